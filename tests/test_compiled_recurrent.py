"""Recurrent models as machine code say what the plain ones say: every cell, every mechanism."""

from __future__ import annotations

import pytest
import torch
from zoo import VOCABULARY, ZOO, make, ragged, settings

from ojak.model.seam import Seq2Seq
from ojak.search import search
from ojak.text.vocabulary import BOS

pytest.importorskip("numba")

from ojak.compiled import compiled
from ojak.compiled.products import KINDS, SERVES

RECURRENT = [name for name in ZOO if not name.startswith("transformer")]


def both(name: str, kind: str) -> tuple[Seq2Seq, Seq2Seq]:
    plain = make(name).float()
    return plain, compiled(plain, kind)  # type: ignore[arg-type]


def targets(rows: int, length: int) -> torch.Tensor:
    words = torch.randint(4, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))
    words[:, 0] = BOS
    return words


@pytest.mark.parametrize("name", RECURRENT)
@torch.inference_mode()
def test_states_attention_and_logits_are_those_of_the_plain_model(name: str) -> None:
    """However the target is cut, and whichever rows are chosen in between."""
    plain, fast = both(name, "fp32")
    source, rows = ragged(), torch.tensor([2, 0, 3, 1, 2])
    words = targets(len(source), 7)
    memory, other = plain.encode(source), fast.encode(source)
    torch.testing.assert_close(other.states, memory.states, rtol=0, atol=1e-5)
    torch.testing.assert_close(other.summary, memory.summary, rtol=0, atol=1e-5)
    expected = plain.advance(words, plain.start(memory), True)[0]
    first, state = fast.advance(words[:, :3], fast.start(other), True)
    second, state = fast.advance(words[rows, 3:4], state.select(rows), True)
    third, _ = fast.advance(words[rows, 4:], state.reorder(torch.arange(len(rows))), True)
    states = torch.cat([first.states[rows], second.states, third.states], 1)
    torch.testing.assert_close(states, expected.states[rows], rtol=0, atol=1e-5)
    assert first.attention is not None and second.attention is not None and third.attention is not None
    attention = torch.cat([first.attention[rows], second.attention, third.attention], 1)
    torch.testing.assert_close(attention, expected.attention[rows], rtol=0, atol=1e-5)  # type: ignore[index]
    torch.testing.assert_close(fast.output(states), plain.output(expected.states[rows]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["bf16", "int8"])
@pytest.mark.parametrize("name", ["gru-additive-before", "gru-dot-after", "lstm-general-feeding", "lstm-none-start"])
@torch.inference_mode()
def test_fewer_digits_change_little(name: str, kind: str) -> None:
    """The weights here are large, so some states are far off; most are not."""
    if not SERVES[KINDS.index(kind)]:
        pytest.skip(f"this processor has no {kind}")
    plain, fast = both(name, kind)
    source = ragged()
    words = targets(len(source), 5)
    (one, _), (other, _) = (model.advance(words, model.start(model.encode(source))) for model in (plain, fast))
    off = (one.states - other.states).abs()
    assert 0 < off.mean() < 0.02, "states lie within ±1"


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("beam", [1, 3])
def test_translations_are_those_of_the_plain_model(name: str, beam: int) -> None:
    plain, fast = both(name, "fp32")
    found = [search(model, ragged(), settings(beam=beam, n_best=beam), attend=True) for model in (plain, fast)]
    for theirs, ours in zip(*found, strict=True):
        for one, other in zip(theirs, ours, strict=True):
            assert one.tokens == other.tokens
            assert one.score == pytest.approx(other.score, abs=1e-3)
            if one.attention is not None and other.attention is not None:
                torch.testing.assert_close(one.attention, other.attention, rtol=0, atol=1e-4)
