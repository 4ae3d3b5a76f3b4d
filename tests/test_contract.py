"""What every architecture owes the rest of the house. See "Contract tests" in docs/design.md."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from zoo import VOCABULARY, ZOO, make, plain_greedy, ragged, settings

from ojak.batch import pad
from ojak.config import SearchConfig
from ojak.model.seam import Memory
from ojak.search import Wish, Wishes, search
from ojak.search.forced import score
from ojak.text.vocabulary import BOS, EOS, PAD, UNK

everything = pytest.mark.parametrize("name", ZOO)


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def targets(seed: int = 2, rows: int = 4, length: int = 6) -> torch.Tensor:
    words = torch.randint(4, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))
    words[:, 0] = BOS
    return words


def forced(model, source, hypothesis):  # type: ignore[no-untyped-def]
    """The tokens of a hypothesis, teacher-forced for its sentence alone: score, attention (T,K,S)."""
    target_in = torch.tensor([[BOS, *hypothesis.tokens[:-1]]])
    target_out = torch.tensor([hypothesis.tokens])
    decoded = model(source, target_in, True)
    return score(model, decoded.states, target_out).item(), decoded.attention[0]


SEEDS = (1, 2, 3)  # hypotheses must overtake each other, or a search that mixes them up would not be noticed


@everything
@pytest.mark.parametrize("seed", SEEDS)
def test_beam_attention_is_that_of_teacher_forcing_its_tokens(name: str, seed: int) -> None:
    model, source = make(name, seed), ragged(seed)
    found = search(model, source, settings(beam=3, n_best=3, length_penalty=0.5), attend=True)
    for row, hypotheses in enumerate(found):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())]
        assert len(hypotheses) == 3
        for hypothesis in hypotheses:
            assert hypothesis.attention is not None
            close(hypothesis.attention, forced(model, alone, hypothesis)[1])


@everything
@pytest.mark.parametrize("seed", SEEDS)
def test_beam_score_is_that_of_teacher_forcing_its_tokens(name: str, seed: int) -> None:
    model, source = make(name, seed), ragged(seed)
    for row, hypotheses in enumerate(search(model, source, settings(beam=4, n_best=4))):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())]
        for hypothesis in hypotheses:
            assert hypothesis.score == pytest.approx(forced(model, alone, hypothesis)[0], abs=1e-8)


TRANSFORMERS = [name for name in ZOO if name.startswith("transformer")]

# Every way of looking, and what it asks of the sentences.
WAYS: dict[str, tuple[dict[str, object], Wishes | None]] = {
    "greedy": ({"beam": 1}, None),
    "loops cut": ({"beam": 3, "n_best": 3, "cut_loops": True}, None),
    "diverse": ({"beam": 4, "n_best": 4, "diversity_groups": 2, "diversity_strength": 2.0}, None),
    "sampling": ({"beam": 1, "n_best": 3, "sampling": True, "temperature": 2.0}, None),
    "cut sampling": ({"beam": 1, "n_best": 3, "sampling": True, "top_k": 4, "top_p": 0.9, "min_p": 0.05}, None),
    "all penalties": (
        {"beam": 3, "n_best": 2, "stop": "exact", "length_norm": "plain", "repetition_penalty": 1.5}
        | {"no_repeat_ngram_size": 2, "min_length": 4, "max_length": 9},
        None,
    ),
    "asked for": (
        {"beam": 3, "n_best": 3},
        Wishes(
            [Wish(prefix=[5, 6]), Wish(phrases=[[7, 8], [9]]), Wish(), Wish(prefix=[4], phrases=[[10, 10, 5]])],
            banned=[[6], [7, 9]],
        ),
    ),
}


def short(**changes: object) -> SearchConfig:
    return settings(**{"max_length": 10, **changes})


@everything
@pytest.mark.parametrize("way", WAYS)
def test_every_way_keeps_scores_and_attention_in_step(name: str, way: str) -> None:
    """Score, token scores and attention of each hypothesis are those of teacher-forcing its tokens."""
    model, source = make(name), ragged()
    changes, wishes = WAYS[way]
    for row, hypotheses in enumerate(search(model, source, short(**changes), True, wishes)):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())]
        for hypothesis in hypotheses:
            value, attention = forced(model, alone, hypothesis)
            assert hypothesis.score == pytest.approx(value, abs=1e-8)
            assert sum(hypothesis.token_scores) == pytest.approx(value, abs=1e-8)
            assert len(hypothesis.token_scores) == len(hypothesis.tokens)
            assert hypothesis.attention is not None
            close(hypothesis.attention, attention)


@pytest.mark.parametrize("name", ["rnn-none-start", "lstm-additive-feeding", "gru-general-before", *TRANSFORMERS[:2]])
@pytest.mark.parametrize("way", WAYS)
def test_company_changes_nothing(name: str, way: str) -> None:
    """A sentence alone is translated as in a batch, whatever is asked for."""
    model, source = make(name), ragged()
    changes, wishes = WAYS[way]
    wishes = wishes or Wishes([Wish()] * 4)
    together = search(model, source, short(**changes), True, wishes)
    for row, found in enumerate(together):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())]
        (lonely,) = search(model, alone, short(**changes), True, Wishes([wishes.sentences[row]], wishes.banned))
        assert [one.tokens for one in found] == [one.tokens for one in lonely]
        for one, other in zip(found, lonely, strict=True):
            assert one.rank == pytest.approx(other.rank)
            close(one.attention, other.attention)  # type: ignore[arg-type]


@everything
def test_any_cutting_of_the_target_gives_the_same(name: str) -> None:
    model, source, target = make(name), ragged(), targets()
    whole = model(source, target, True)
    for cut in ((1,) * 6, (3, 3), (1, 4, 1), (5, 1)):
        state, states, attention = model.start(model.encode(source)), [], []
        for piece in target.split(cut, 1):
            decoded, state = model.advance(piece, state, True)
            states.append(decoded.states)
            attention.append(decoded.attention)
        close(torch.cat(states, 1), whole.states)
        close(torch.cat(attention, 1), whole.attention)  # type: ignore[arg-type]


@everything
def test_asking_for_attention_changes_nothing(name: str) -> None:
    model, source, target = make(name), ragged(), targets()
    asked, unasked = model(source, target, True), model(source, target, False)
    assert unasked.attention is None
    close(asked.states, unasked.states)


@everything
def test_padding_is_invisible(name: str) -> None:
    model, source, target = make(name), ragged(), targets()
    together = model(source, target, True)
    for row in range(len(source)):
        length = int((source[row] != PAD).sum())
        alone = model(source[row : row + 1, :length], target[row : row + 1, :4], True)
        close(together.states[row, :4], alone.states[0])
        close(together.attention[row, :4, :, :length], alone.attention[0])


@everything
def test_attention_is_a_distribution_over_real_tokens(name: str) -> None:
    model, source, target = make(name), ragged(), targets()
    attention = model(source, target, True).attention
    assert attention.shape == (4, 6, len(model.views), source.shape[1])
    close(attention.sum(-1), torch.ones_like(attention[..., 0]))
    assert attention[(source == PAD)[:, None, None].expand_as(attention)].eq(0).all()


@everything
def test_select_then_advance_is_advance_of_the_selected(name: str) -> None:
    model, source, target = make(name), ragged(), targets()
    rows = torch.tensor([2, 0, 0, 3])
    _, state = model.advance(target[:, :3], model.start(model.encode(source)))
    selected = model.advance(target[rows, 3:], state.select(rows), True)[0]
    direct = model(source[rows], target[rows], True)
    close(selected.states, direct.states[:, 3:])
    close(selected.attention, direct.attention[:, 3:])  # type: ignore[arg-type]


@everything
def test_a_beam_of_one_is_greedy(name: str) -> None:
    model, source = make(name), ragged()
    found = [hypothesis.tokens for (hypothesis,) in search(model, source, settings(beam=1))]
    assert found == plain_greedy(model, source, settings(beam=1))


@everything
def test_rows_of_a_sentence_are_reordered_as_they_are_selected(name: str) -> None:
    """What is of the source stays in its place: rows of one sentence do not tell it apart."""
    model, source, target = make(name), ragged(), targets()
    pairs, rows = torch.arange(4).repeat_interleave(2), torch.tensor([1, 0, 2, 2, 5, 4, 7, 6])
    states = [model.advance(target[pairs, :3], model.start(model.encode(source[pairs])))[1] for _ in range(2)]
    one = model.advance(target[pairs, 3:], states[0].reorder(rows), True)[0]
    other = model.advance(target[pairs, 3:], states[1].select(rows), True)[0]
    close(one.states, other.states)
    close(one.attention, other.attention)  # type: ignore[arg-type]


@everything
def test_a_wide_beam_is_exhaustive_search(name: str) -> None:
    model, source = make(name), ragged(lengths=(3, 2))
    model.config = model.config.model_copy(update={"max_length": 3})
    words = [word for word in range(VOCABULARY) if word not in (PAD, UNK, BOS, EOS)]
    every = [[*middle, EOS] for length in range(3) for middle in itertools.product(words, repeat=length)]
    config = settings(beam=len(every), n_best=5, length_penalty=0.7)
    for row, found in enumerate(search(model, source, config)):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())].expand(len(every), -1)
        decoded = model(alone, pad([[BOS, *tokens[:-1]] for tokens in every]))
        scores = score(model, decoded.states, pad(every)).tolist()
        best = sorted(zip(scores, every, strict=True), key=lambda s: -s[0] / ((5 + len(s[1])) / 6) ** 0.7)[:5]
        assert [hypothesis.tokens for hypothesis in found] == [tokens for _, tokens in best]
        assert [hypothesis.score for hypothesis in found] == pytest.approx([value for value, _ in best])


@everything
def test_memory_and_gradients(name: str) -> None:
    """Every weight of the model takes part, and the memory is shaped as the seam says."""
    model, source, target = make(name), ragged(), targets()
    memory = model.encode(source)
    assert isinstance(memory, Memory)
    assert memory.keep.equal(source != PAD)
    assert memory.states.shape[:2] == source.shape and memory.summary.shape == memory.states[:, 0].shape
    model.output(model(source, target).states).square().sum().backward()
    idle = [key for key, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not idle
    assert all(math.isfinite(float(weight.grad.sum())) for weight in model.parameters())  # type: ignore[union-attr]
