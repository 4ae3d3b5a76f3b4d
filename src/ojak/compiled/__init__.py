"""Models as machine code for a CPU, behind the seam: fp32, bf16 and int8.

numba, an extra, makes the machine code; it is imported when a model is compiled, and not before.
"""

from __future__ import annotations

import importlib.util
from typing import Literal, get_args

import torch

from ojak.errors import UseError
from ojak.model.recurrent import Recurrent
from ojak.model.seam import Seq2Seq
from ojak.model.transformer import Transformer

Precision = Literal["auto", "exact", "fp32", "bf16", "int8"]
"""what is multiplied, on a CPU: exact is PyTorch's own fp32, the others are compiled; auto is fp32 where it can be
compiled, and exact where not"""
PRECISIONS: tuple[str, ...] = get_args(Precision)
NEEDS = {"bf16": "AVX512-BF16", "int8": "AVX512-VNNI"}


def settled(precision: Precision, model: Seq2Seq, device: torch.device) -> Literal["exact", "fp32", "bf16", "int8"]:
    """The precision that is meant. Raises UseError for one that the model, the device, the processor or the
    installation has not."""
    if precision not in PRECISIONS:
        raise UseError(f"The precision must be one of {', '.join(PRECISIONS)}, but is {precision!r}.")
    if precision == "exact":
        return "exact"
    missing = ""
    if device.type != "cpu":
        missing = f"a CPU, but the device is {device}; leave --precision out, or use --device cpu"
    elif not isinstance(model, Transformer | Recurrent):
        missing = "a single model, but these are several; leave --precision out"
    elif importlib.util.find_spec("numba") is None:
        missing = "numba, but it is not installed: pip install 'ojak[fast]'"
    elif precision != "auto":
        from ojak.compiled.products import KINDS, SERVES

        if not SERVES[KINDS.index(precision)]:
            missing = f"a processor with {NEEDS[precision]}, but this one has none; use --precision fp32"
    if not missing:
        return "fp32" if precision == "auto" else precision
    if precision == "auto":
        return "exact"
    raise UseError(f"Precision {precision} needs {missing}.")


def compiled(model: Seq2Seq, precision: Literal["fp32", "bf16", "int8"]) -> Seq2Seq:
    """The model as machine code of that precision, which `settled` has found to serve. It keeps nothing of the model
    that is given."""
    from ojak.compiled.products import KINDS
    from ojak.compiled.recurrent import CompiledRecurrent
    from ojak.compiled.transformer import CompiledTransformer

    kind = KINDS.index(precision)
    if isinstance(model, Recurrent):
        return CompiledRecurrent(model, kind)
    assert isinstance(model, Transformer)
    return CompiledTransformer(model, kind)
