"""The search, held to its definition with a model that is nothing but a table: the search knows the seam alone."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor, nn

from ojak.batch import sources
from ojak.config import SearchConfig
from ojak.model.seam import Decoded, Memory, Seq2Seq, State
from ojak.search import Hypothesis, loop, search
from ojak.search.processors import processors
from ojak.text.vocabulary import BOS, EOS, PAD, UNK

A, B, C = 4, 5, 6
NAMES = {"$": EOS, "a": A, "b": B, "c": C, "p": PAD, "u": UNK, "s": BOS}
VOCABULARY = 7


@dataclass(frozen=True)
class Said(State):
    """All that was said so far, BOS first, and the first word of the source."""

    tokens: Tensor
    topic: Tensor
    keep: Tensor


class Table(Seq2Seq):
    """Looks up what comes next by what was said; its states are the log-probabilities themselves.

    `table` maps a text (what was said, as in NAMES) to the next words and their probabilities; a text that is not there
    goes on as its longest ending that is. With `topics` the words of the source choose among several tables.
    """

    views = ("table",)

    def __init__(self, *topics: dict[str, dict[str, float]], max_length: int = 50) -> None:
        nn.Module.__init__(self)
        self.topics = topics
        self.config = SimpleNamespace(max_length=max_length)  # type: ignore[assignment]
        self.project = nn.Linear(VOCABULARY, VOCABULARY, bias=False).double()
        self.project.weight.data = torch.eye(VOCABULARY, dtype=torch.float64)

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64

    def row(self, topic: int, said: str) -> Tensor:
        table = self.topics[topic % len(self.topics)]
        begin = next(place for place in range(len(said) + 1) if said[place:] in table)
        found = torch.full((VOCABULARY,), 1e-9, dtype=torch.float64)
        for word, probability in table[said[begin:]].items():
            found[NAMES[word]] = probability
        return (found / found.sum()).log()

    def encode(self, source: Tensor) -> Memory:
        return Memory(source.unsqueeze(2), source != PAD, source[:, :1])

    def start(self, memory: Memory) -> Said:
        return Said(memory.summary[:, :0], memory.summary[:, 0], memory.keep)

    def advance(self, tokens: Tensor, state: State, attend: bool = False) -> tuple[Decoded, Said]:
        assert isinstance(state, Said) and tokens.shape[1] == 1, "the search asks for one step at a time"
        said = torch.cat([state.tokens, tokens], 1)
        letters = {value: key for key, value in NAMES.items()}
        rows = [
            self.row(topic - A, "".join(letters[word] for word in words[1:]))
            for topic, words in zip(state.topic.tolist(), said.tolist(), strict=True)
        ]
        # It looks at the place of the source whose number is the count of words said so far.
        attention = torch.zeros(len(said), 1, 1, state.keep.shape[1], dtype=torch.float64)
        for row, count in enumerate(state.keep.sum(1).tolist()):
            attention[row, 0, 0, (said.shape[1] - 1) % count] = 1.0
        return Decoded(torch.stack(rows).unsqueeze(1), attention if attend else None), Said(said, *_rest(state))


def _rest(state: Said) -> tuple[Tensor, Tensor]:
    return state.topic, state.keep


def source(*rows: list[int]) -> Tensor:
    return sources(rows, torch.device("cpu"))


def text(hypothesis: Hypothesis) -> str:
    letters = {value: key for key, value in NAMES.items()}
    return "".join(letters[word] for word in hypothesis.tokens)


def settings(**changes: float) -> SearchConfig:
    return SearchConfig.model_validate({"beam": 2, "length_penalty": 0.0, "cut_loops": False, **changes})


# The likelier first word leads to the less likely sentence.
GARDEN: dict[str, dict[str, float]] = {
    "": {"a": 0.6, "b": 0.4},
    "a": {"a": 0.3, "b": 0.3, "c": 0.4},
    "b": {"c": 0.9, "a": 0.1},
    "c": {"$": 1.0},
    "aa": {"$": 1.0},
    "ab": {"$": 1.0},
    "ba": {"$": 1.0},
}


def test_greedy_takes_the_likeliest_word_each_time() -> None:
    ((found,),) = search(Table(GARDEN), source([A]), settings(beam=1), attend=True)
    assert text(found) == "ac$"
    assert found.score == pytest.approx(math.log(0.6 * 0.4), abs=1e-6)
    assert found.attention is not None
    assert found.attention[:, 0].argmax(1).tolist() == [0, 1, 0]  # two places, EOS counted


def test_beam_finds_what_greedy_misses() -> None:
    for width in (2, 3, 5):
        (best,) = search(Table(GARDEN), source([A]), settings(beam=width), attend=True)[0]
        assert text(best) == "bc$"
        assert best.score == pytest.approx(math.log(0.4 * 0.9), abs=1e-6)
        assert best.attention is not None
        assert best.attention[:, 0].argmax(1).tolist() == [0, 1, 0]


def test_hypotheses_come_sorted_and_distinct() -> None:
    (found,) = search(Table(GARDEN), source([A]), settings(beam=5, n_best=5))
    assert [text(hypothesis) for hypothesis in found][:2] == ["bc$", "ac$"]
    assert {text(hypothesis) for hypothesis in found} == {"bc$", "ac$", "aa$", "ab$", "ba$"}
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([math.log(p) for p in (0.36, 0.24, 0.18, 0.18, 0.04)], abs=1e-6)


# "a$" has probability 0.3 and "bbb$" 0.2: how much length counts decides between them. The rest, 0.5, goes nine ways.
SHORT_OR_LONG: dict[str, dict[str, float]] = {
    "": {"a": 0.3, "b": 0.7},
    "a": {"$": 1.0},
    "b": {"b": 1.0},
    "bb": {"b": 0.2 / 0.7, "c": 0.5 / 0.7},
    "bbb": {"$": 1.0},
    **{said: dict.fromkeys("abc", 1 / 3) for said in ("bbc", "bbca", "bbcb", "bbcc")},
    **{f"bbc{one}{two}": {"$": 1.0} for one in "abc" for two in "abc"},
}


def test_the_length_penalty_decides_between_short_and_long() -> None:
    """By hand: ln 0.3 = −1.204 over (7/6)^α against ln 0.2 = −1.609 over (9/6)^α. They are equal where
    (9/7)^α = 1.609 / 1.204, at α = 1.155."""
    turn = math.log(math.log(0.2) / math.log(0.3)) / math.log(9 / 7)
    assert turn == pytest.approx(1.155, abs=1e-3)
    for alpha, winner in ((0.0, "a$"), (1.0, "a$"), (turn - 0.01, "a$"), (turn + 0.01, "bbb$"), (2.0, "bbb$")):
        found = search(Table(SHORT_OR_LONG), source([A]), settings(beam=11, n_best=11, length_penalty=alpha))[0]
        assert text(found[0]) == winner, alpha
        values = [hypothesis.score / ((5 + len(hypothesis.tokens)) / 6) ** alpha for hypothesis in found]
        assert values == sorted(values, reverse=True)
        by_text = {text(hypothesis): hypothesis.score for hypothesis in found}
        assert by_text["a$"] == pytest.approx(math.log(0.3), abs=1e-6)  # the score itself is not normalised
        assert by_text["bbb$"] == pytest.approx(math.log(0.2), abs=1e-6)


BABBLE: dict[str, dict[str, float]] = {"": {"a": 0.5, "b": 0.3, "$": 1e-6}}


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("words", [1, 3, 9])
@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("longest", [4, 50])
def test_a_model_that_would_not_stop_is_stopped(width: int, words: int, factor: float, longest: int) -> None:
    config = settings(beam=width, n_best=width, max_length_factor=factor)
    (found,) = search(Table(BABBLE, max_length=longest), source([A] * words), config)
    expected = min(longest, int((words + 1) * factor) + 10)
    assert len(found) == width
    for hypothesis in found:
        assert len(hypothesis.tokens) <= expected
        assert hypothesis.tokens.count(EOS) == 1 and hypothesis.tokens[-1] == EOS
    assert max(len(hypothesis.tokens) for hypothesis in found) == expected
    # The end that was forced still counts with the probability that the model gave it.
    total = 0.8 + 1e-6 + 4 * 1e-9
    longest_found = max(found, key=lambda hypothesis: len(hypothesis.tokens))
    counts = [longest_found.tokens.count(word) for word in (A, B)]
    expected_score = counts[0] * math.log(0.5 / total) + counts[1] * math.log(0.3 / total) + math.log(1e-6 / total)
    assert longest_found.score == pytest.approx(expected_score, rel=1e-9)


FORBIDDEN: dict[str, dict[str, float]] = {"": {"p": 0.4, "s": 0.3, "u": 0.2, "a": 0.06, "$": 0.04}}


@pytest.mark.parametrize("width", [1, 2, 6])
def test_what_cannot_stand_in_a_target_is_never_said(width: int) -> None:
    (found,) = search(Table(FORBIDDEN), source([A, B]), settings(beam=width, n_best=width))
    for hypothesis in found:
        assert not {PAD, BOS, UNK} & set(hypothesis.tokens)
        # What is allowed keeps its probability: nothing is shared out anew.
        count = hypothesis.tokens.count(A)
        assert hypothesis.score == pytest.approx(count * math.log(0.06) + math.log(0.04), rel=1e-6)


TOPICS = (GARDEN, SHORT_OR_LONG, BABBLE)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_company_changes_nothing(width: int) -> None:
    """Sentences of different tables, lengths and limits: each is translated as if it were alone."""
    model, config = Table(*TOPICS), settings(beam=width, n_best=width, length_penalty=0.6)
    rows = [[A], [C, A, A, A], [B, B], [C], [A, A, A], [B]]
    together = search(model, source(*rows), config, attend=True)
    for row, found in zip(rows, together, strict=True):
        (alone,) = search(model, source(row), config, attend=True)
        assert [text(one) for one in found] == [text(one) for one in alone]
        for one, other in zip(found, alone, strict=True):
            assert one.score == pytest.approx(other.score, rel=1e-12)
            assert one.attention is not None and other.attention is not None
            assert one.attention.shape == (len(one.tokens), 1, len(row) + 1)
            assert one.attention.equal(other.attention)


def every(longest: int) -> list[str]:
    return ["".join(words) + "$" for length in range(longest) for words in itertools.product("abc", repeat=length)]


def chance(model: Table, topic: int, said: str) -> float:
    return sum(float(model.row(topic, said[:place])[NAMES[word]]) for place, word in enumerate(said))


# No two words are equally likely: which of them comes first would be anyone's guess.
chances = st.lists(st.integers(1, 1000), min_size=5, max_size=5, unique=True)
places = ["", "a", "b", "c", "aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"]
tables = st.fixed_dictionaries({said: chances.map(lambda row: dict(zip("abc$u", row, strict=True))) for said in places})


@given(tables, tables, st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(2, 4))
@examples(deadline=None, max_examples=25)
def test_a_beam_as_wide_as_all_finds_the_best_of_all(
    one: dict[str, dict[str, float]], other: dict[str, dict[str, float]], alpha: float, longest: int
) -> None:
    model, candidates = Table(one, other, max_length=longest), every(longest)
    config = settings(beam=len(candidates), n_best=5 if longest > 2 else 4, length_penalty=alpha)
    for topic, found in enumerate(search(model, source([A, B], [B]), config)):
        values = {said: chance(model, topic, said) / ((5 + len(said)) / 6) ** alpha for said in candidates}
        best = sorted(values.values(), reverse=True)[: config.n_best]
        assert [values[text(hypothesis)] for hypothesis in found] == pytest.approx(best, rel=1e-9)
        assert [hypothesis.rank for hypothesis in found] == pytest.approx(best, rel=1e-9)
        assert len({text(hypothesis) for hypothesis in found}) == len(found)


@given(tables, st.integers(2, 6), st.sampled_from([0.0, 0.5, 1.0]))
@examples(deadline=None, max_examples=40)
def test_what_a_narrow_beam_finds_is_true_sorted_and_distinct(
    table: dict[str, dict[str, float]], width: int, alpha: float
) -> None:
    model = Table(table, max_length=6)
    (found,) = search(model, source([A, A]), settings(beam=width, n_best=width, length_penalty=alpha))
    assert len(found) == width
    assert len({text(hypothesis) for hypothesis in found}) == width
    values = [hypothesis.rank for hypothesis in found]
    assert values == sorted(values, reverse=True)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(chance(model, 0, text(hypothesis)), rel=1e-9)


def test_the_search_takes_greedy_for_a_beam_of_one_and_cuts_to_n_best() -> None:
    model = Table(GARDEN)
    ((one,),) = search(model, source([A]), settings(beam=1))
    assert text(one) == "ac$"
    for count in (1, 2, 4):
        (found,) = search(model, source([A]), settings(beam=4, n_best=count))
        assert len(found) == count
    assert found[0].attention is None


@given(tables, tables, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1, 2, 3, 5]), st.integers(2, 8))
@examples(deadline=None, max_examples=40)
def test_the_best_words_are_enough(
    one: dict[str, dict[str, float]], other: dict[str, dict[str, float]], alpha: float, width: int, longest: int
) -> None:
    """Where nothing asks for the whole distribution, the search takes the best words alone; it finds what it finds when
    something does, such as a processor that changes nothing."""
    model = Table(one, other, max_length=longest)
    config = settings(beam=width, n_best=width, length_penalty=alpha).model_copy(update={"cut_loops": True})
    sources = source([A, B], [B], [C, A, A, B])
    found = search(model, sources, config, attend=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "processors", lambda *asked: [*processors(*asked), lambda shaped, words, live: None])
        whole = search(model, sources, config, attend=True)
    for narrow, wide in zip(found, whole, strict=True):
        assert [text(hypothesis) for hypothesis in narrow] == [text(hypothesis) for hypothesis in wide]
        assert [hypothesis.token_scores for hypothesis in narrow] == [hypothesis.token_scores for hypothesis in wide]
        assert [hypothesis.ending for hypothesis in narrow] == [hypothesis.ending for hypothesis in wide]


class Untied(Table):
    """No two beginnings are equally likely: which of them a beam keeps is not what is compared."""

    def row(self, topic: int, said: str) -> Tensor:
        noise = torch.Generator().manual_seed(int.from_bytes(said.encode()) % 2**63)
        shaken = super().row(topic, said) + 1e-3 * torch.rand(VOCABULARY, generator=noise, dtype=torch.float64)
        return shaken.log_softmax(0)


def unstopped(model: Table, width: int, alpha: float, longest: int) -> list[float]:
    """The ranks that a beam finds which goes on to the longest length whatever it has found, in plain Python."""
    live, found = [("", 0.0)], []
    for step in range(longest):
        ways = [
            (score + float(model.row(0, said)[NAMES[word]]), said + word)
            for said, score in live
            for word in ("$" if step == longest - 1 else "abc$")
        ]
        ways = sorted(ways, reverse=True)[: 2 * width]
        found += [score / ((5 + len(said)) / 6) ** alpha for score, said in ways[:width] if said[-1] == "$"]
        live = [(said, score) for score, said in ways if said[-1] != "$"][:width]
    return sorted(found, reverse=True)[:width]


@given(tables, st.integers(2, 4), st.sampled_from([0.0, 0.6, 1.0, 2.0]))
@examples(deadline=None, max_examples=40)
def test_an_exact_stop_changes_nothing(table: dict[str, dict[str, float]], width: int, alpha: float) -> None:
    """`stop=exact` finds what a beam finds that never stops; so does `stop=likely` where length does not count."""
    model = Untied(table, max_length=7)
    for stop in ("exact", "likely") if alpha == 0 else ("exact",):
        config = settings(beam=width, n_best=width, length_penalty=alpha).model_copy(update={"stop": stop})
        (found,) = search(model, source([A, A]), config)
        assert [one.rank for one in found] == pytest.approx(unstopped(model, width, alpha, 7), rel=1e-9)


# Two ends of probability 0.3 stand when "bbb", at 0.25, is behind both; it costs nothing to go on and overtakes.
LATE: dict[str, dict[str, float]] = {
    "": {"a": 0.6, "b": 0.4},
    "a": {"$": 0.5, "c": 0.5},
    "ac": {"$": 1.0},
    "b": {"b": 0.625, "c": 0.375},
    "bc": {"$": 1.0},
    "bb": {"b": 1.0},
    "bbbbbbbb": {"$": 1.0},
}


def test_a_likely_stop_may_be_too_early_and_an_exact_one_is_not() -> None:
    """By hand: ln 0.25 / (14/6) = −0.594 for "bbbbbbbb$" against ln 0.3 / (8/6) = −0.903 for "ac$"."""
    for stop, winner in (("first", "ac$"), ("likely", "ac$"), ("exact", "bbbbbbbb$")):
        config = settings(beam=2, length_penalty=1.0).model_copy(update={"stop": stop})
        ((best,),) = search(Table(LATE), source([A] * 9), config)
        assert text(best) == winner, stop
