"""From the decoder's states to words: the logits, and the likeliest words without keeping logits."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from ojak.compiled.compiler import compiled
from ojak.compiled.layers import ANY, linear


@compiled
def logits(kind, product, record, given, given_step, rows, width, zeros, space, into, into_step):
    """Logits of `rows` of states, for all outputs of the layer, padding included."""
    linear(kind, product, record, 0, given, given_step, rows, width, space, ANY, zeros, 0, into, into_step)
