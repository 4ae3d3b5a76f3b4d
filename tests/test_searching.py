"""Every feature of the search: a recurrent model with additive attention and a Transformer, greedy and with a beam.

The table of docs/search.md has a tick for a feature only where a test here says so: the two are held to each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from sacrebleu.metrics import CHRF
from zoo import VOCABULARY, make, ragged, settings

from ojak.config import SearchConfig
from ojak.errors import UseError
from ojak.model.ensemble import Ensemble
from ojak.model.folder import Loaded
from ojak.model.seam import Seq2Seq
from ojak.search import Hypothesis, Search, Wish, Wishes, search
from ojak.search.hypothesis import length_penalty
from ojak.text.listed import WordTokenizer
from ojak.text.normalise import Form
from ojak.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK
from ojak.translate import Translator
from ojak.translate.glossary import Glossary
from ojak.translate.stream import decided

MODELS = {"RNN with additive": "gru-additive-before", "Transformer": "transformer-pre-rotary-swiglu"}
WAYS = {"greedy": {"beam": 1}, "beam": {"beam": 4}}
LENGTH = 12

Check = Callable[[Seq2Seq, torch.Tensor, dict[str, object]], None]
FEATURES: dict[str, Check] = {}
NOT: dict[str, set[str]] = {}
"""where a feature makes no sense and is refused"""


def feature(name: str, without: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    def keep(check: Check) -> Check:
        FEATURES[name] = check
        NOT[name] = set(without)
        return check

    return keep


def look(
    model: Seq2Seq, source: torch.Tensor, way: dict[str, object], wishes: Wishes | None = None, **changes: object
) -> list[list[Hypothesis]]:
    return search(model, source, settings(**{"max_length": LENGTH, **way, **changes}), True, wishes)


def first(found: list[list[Hypothesis]]) -> list[Hypothesis]:
    return [hypotheses[0] for hypotheses in found]


def said(found: list[list[Hypothesis]]) -> list[list[int]]:
    return [one.tokens for one in first(found)]


@feature("n-best with scores", ("greedy",))
def n_best(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for found in look(model, source, way, n_best=4):
        assert len(found) == 4 == len({tuple(one.tokens) for one in found})
        assert [one.rank for one in found] == sorted((one.rank for one in found), reverse=True)


@feature("log-probability of each token")
def token_scores(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for row, one in enumerate(first(look(model, source, way))):
        decoded = model(source[row : row + 1], torch.tensor([[BOS, *one.tokens[:-1]]]))
        scores = model.output(decoded.states[0]).log_softmax(-1)
        expected = [float(scores[place, word]) for place, word in enumerate(one.tokens)]
        assert one.token_scores == pytest.approx(expected, abs=1e-8)


@feature("length penalty, both norms", ("greedy",))
def lengths(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for norm in ("wu", "plain"):
        for alpha in (0.0, 1.0):
            for found in look(model, source, way, n_best=4, length_norm=norm, length_penalty=alpha):
                for one in found:
                    length = len(one.tokens)
                    divisor = ((5 + length) / 6) ** alpha if norm == "wu" else length**alpha
                    assert one.rank == pytest.approx(one.score / divisor)


@feature("coverage penalty", ("greedy",))
def coverage(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for found in look(model, source, way, n_best=4, coverage_penalty=0.7, length_penalty=0.5):
        for one in found:
            assert one.attention is not None
            seen = one.attention.mean(1).sum(0).clamp(max=1.0).log().sum()
            divisor = length_penalty(float(len(one.tokens)), SearchConfig(length_penalty=0.5))
            assert one.rank == pytest.approx(one.score / divisor + 0.7 * float(seen))


@feature("when a beam stops", ("greedy",))
def stops(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    by_stop = {stop: first(look(model, source, way, stop=stop)) for stop in ("first", "likely", "exact")}
    for quick, likely, exact in zip(*by_stop.values(), strict=True):
        assert exact.rank >= likely.rank - 1e-12 and likely.rank >= quick.rank - 1e-12


@feature("diverse beam", ("greedy",))
def diverse(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    groups = look(model, source, way, n_best=4, diversity_groups=4, diversity_strength=100.0)
    for found in groups:
        begins = [one.tokens[0] for one in found]
        assert len(set(begins)) == len(begins) == 4, "at that cost no group begins as another"
    alone = look(model, source, {"beam": 1})
    for found, (greedy,) in zip(groups, alone, strict=True):
        assert greedy.tokens in [one.tokens for one in found]


@feature("sampling: temperature, top-k, top-p, min-p", ("beam",))
def sampling(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    asked = {**way, "sampling": True, "n_best": 6}
    drawn = [[one.tokens for one in found] for found in look(model, source, asked, temperature=3.0)]
    assert drawn == [[one.tokens for one in found] for found in look(model, source, asked, temperature=3.0)]
    assert drawn != [
        [one.tokens for one in found] for found in look(model, source, asked, temperature=3.0, sampling_seed=2)
    ]
    assert max(len({tuple(tokens) for tokens in found}) for found in drawn) > 3
    greedy = said(look(model, source, way))
    for cut in ({"top_k": 1}, {"top_p": 1e-9}, {"min_p": 0.999999}, {"temperature": 1e-3}):
        for found, expected in zip(look(model, source, asked, **cut), greedy, strict=True):
            assert {tuple(one.tokens) for one in found} == {tuple(expected)}, cut


@feature("repetition penalty")
def repetition(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    plain, dear = (look(model, source, way, repetition_penalty=p, min_length=7, max_length=7) for p in (1.0, 100.0))
    count = [sum(len(tokens) - len(set(tokens)) for tokens in said(found)) for found in (plain, dear)]
    assert count[0] > count[1]


@feature("no repeated n-grams")
def ngrams(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    assert any(len(set(pairwise(tokens))) < len(tokens) - 1 for tokens in said(look(model, source, way, min_length=12)))
    for tokens in said(look(model, source, way, min_length=12, no_repeat_ngram_size=2)):
        assert len(set(pairwise(tokens))) == len(tokens) - 1


@feature("minimum and maximum length")
def bounds(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for least, most in ((9, 9), (1, 3), (4, 6)):
        for one in first(look(model, source, way, min_length=least, max_length=most)):
            assert least <= len(one.tokens) <= most
            assert one.ending in ("model", "limit") and (one.ending == "limit") == (len(one.tokens) == most)


@feature("forced prefix")
def prefix(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    wanted = [[5, 9, 4], [], [10], [7, 7]]
    found = said(look(model, source, way, Wishes([Wish(prefix=ids) for ids in wanted], [[9]])))
    assert [tokens[: len(ids)] for tokens, ids in zip(found, wanted, strict=True)] == wanted
    assert all(9 not in tokens[len(ids) :] for tokens, ids in zip(found, wanted, strict=True))
    free = said(look(model, source, way))
    begun = look(model, source, way, Wishes([Wish(prefix=tokens[:2]) for tokens in free]))
    if way["beam"] == 1:  # what it says anyhow changes nothing; it may only be longer, by what was asked for
        assert [tokens[:9] for tokens in said(begun)] == [tokens[:9] for tokens in free]


@feature("banned words and phrases")
def banned(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    free = said(look(model, source, way, min_length=6))
    word, phrase = free[0][0], free[2][1:3]
    for tokens in said(look(model, source, way, Wishes([Wish()] * 4, [[word], phrase]), min_length=6)):
        assert word not in tokens and phrase not in [list(two) for two in pairwise(tokens)]


@feature("terms that must appear")
def constraints(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    wanted: list[list[list[int]]] = [[[5, 6], [9]], [[4, 4, 4]], [], [[10, 7], [7, 10], [8]]]
    for tokens, phrases in zip(
        said(look(model, source, way, Wishes([Wish(phrases=ids) for ids in wanted]))), wanted, strict=True
    ):
        for ids in phrases:
            assert any(tokens[place : place + len(ids)] == ids for place in range(len(tokens))), (tokens, ids)


@feature("vocabulary shortlist")
def shortlist(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    lists = [[4, 5, 6], [7, 8], list(range(4, VOCABULARY)), [10]]
    wishes = Wishes([Wish(words=torch.tensor(ids)) for ids in lists])
    found = look(model, source, way, wishes)
    for one, ids, row in zip(first(found), lists, range(4), strict=True):
        assert set(one.tokens) <= {*ids, EOS}
        # Probabilities are shared out among the words of the list, and the specials.
        words = torch.tensor(sorted({PAD, UNK, BOS, EOS, *ids}))
        decoded = model(source[row : row + 1], torch.tensor([[BOS, *one.tokens[:-1]]]))
        scores = model.output(decoded.states[0])[:, words].log_softmax(-1)
        places = [words.tolist().index(word) for word in one.tokens]
        assert one.score == pytest.approx(sum(float(scores[t, p]) for t, p in enumerate(places)), abs=1e-8)
    # With the whole vocabulary as its list nothing changes.
    every = Wishes([Wish(words=torch.arange(VOCABULARY))] * 4)
    assert said(look(model, source, way, every)) == said(look(model, source, way))


@feature("ensemble")
def ensemble(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    other = make("gru-general-after", seed=5)
    both = Ensemble([model, other]).double().eval()
    for row, one in enumerate(first(look(both, source, way))):
        target = torch.tensor([[BOS, *one.tokens[:-1]]])
        parts = [m(source[row : row + 1], target, True) for m in (model, other)]
        chances = [m.output(p.states[0]).softmax(-1) for m, p in zip((model, other), parts, strict=True)]
        mean = torch.stack(chances).mean(0).log()
        expected = [float(mean[place, word]) for place, word in enumerate(one.tokens)]
        assert one.token_scores == pytest.approx(expected, abs=1e-8)
        assert one.attention is not None and len(both.views) == one.attention.shape[1]
        length = one.attention.shape[2]
        joined = torch.cat([part.attention[0] for part in parts], 1)[:, :, :length]
        torch.testing.assert_close(one.attention, joined, rtol=1e-8, atol=1e-8)
    assert said(look(Ensemble([model, model]), source, way)) == said(look(model, source, way))
    lists = Wishes([Wish(words=torch.tensor([4, 5, 6]))] * 4)
    assert {word for tokens in said(look(both, source, way, lists)) for word in tokens} <= {EOS, 4, 5, 6}


@feature("loops cut")
def loops(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    longest = settings(max_length_factor=99, min_length=60, **way)
    free, cut = (first(search(model, source, longest.model_copy(update={"cut_loops": on}))) for on in (False, True))
    assert any(one.ending == "loop" for one in cut) and not any(one.ending == "loop" for one in free)
    for one, other in zip(cut, free, strict=True):
        if one.ending == "loop" and way["beam"] == 1:
            assert len(one.tokens) < len(other.tokens)
            assert one.tokens[:-1] == other.tokens[: len(one.tokens) - 1], "nothing changes before it is cut"


@feature("streaming")
def streaming(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for row in range(len(source)):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())]
        (expected,) = first(look(model, alone, way))
        under_way = Search(model, alone, settings(**{"max_length": LENGTH, **way}), True)
        told = list(decided(under_way))
        assert [word for word, _, _ in told] == expected.tokens
        assert [score for _, score, _ in told] == pytest.approx(expected.token_scores)
        looked = [weights for _, _, weights in told if weights is not None]
        assert expected.attention is not None
        torch.testing.assert_close(torch.stack(looked), expected.attention)


@feature("attention of each hypothesis")
def attention(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    for row, hypotheses in enumerate(look(model, source, way, n_best=way["beam"])):
        alone = source[row : row + 1, : int((source[row] != PAD).sum())]
        for one in hypotheses:
            forced = model(alone, torch.tensor([[BOS, *one.tokens[:-1]]]), True).attention
            torch.testing.assert_close(one.attention, forced[0], rtol=1e-8, atol=1e-8)


def maker(model: Seq2Seq, way: dict[str, object]) -> Translator:
    """The model with a tokenizer of words, "w4" to the last of its vocabulary."""
    words = [f"w{number}" for number in range(len(SPECIALS), VOCABULARY)]
    tokenizer = WordTokenizer(words, Form())
    return Translator(Loaded(model, tokenizer, tokenizer, settings(**{"max_length": LENGTH, **way}), ("", "")))


TEXTS = ["w4 w5 w6", "w7", "w5 w9 w4 w8 w6"]


@feature("glossary")
def glossary(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    translator = maker(model, way)
    found = translator.translate(TEXTS, glossary=Glossary([("w5", "w8 w4")]))
    assert ["w8 w4" in one.text for one in found][::2] == [True, True]
    assert found[1].text == translator.translate(TEXTS)[1].text, "its source does not hold the term"


@feature("alternatives at a place")
def alternatives(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    translator = maker(model, way)
    own = translator.translate([TEXTS[0]])[0]
    for at in range(len(own.tokens)):
        others = translator.continuations(TEXTS[0], at, 3)
        assert all(one.tokens[:at] == own.tokens[:at] for one in others)
        assert len({one.tokens[at] for one in others}) == len(others) == 3
        scores = [one.token_scores[at] for one in others]
        assert scores == sorted(scores, reverse=True)


@feature("minimum Bayes risk", ("greedy",))
def minimum_risk(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    translator = maker(model, way)
    listed = translator.translate(TEXTS, settings(**{"max_length": LENGTH, **way, "n_best": 4}))
    chosen = translator.translate(TEXTS, settings(**{"max_length": LENGTH, **way, "mbr": 4}))
    for every, one in zip(listed, chosen, strict=True):
        candidates = [every.text, *(other.text for other in every.alternatives)]
        chrf = CHRF()
        means = [sum(chrf.sentence_score(a, [b]).score for b in candidates) for a in candidates]
        assert means[candidates.index(one.text)] == pytest.approx(max(means))


@feature("forced scoring")
def forced(model: Seq2Seq, source: torch.Tensor, way: dict[str, object]) -> None:
    translator = maker(model, {**way, "min_length": 4})
    found = translator.translate(TEXTS, attention=True)
    for one, again in zip(found, translator.force(TEXTS, [one.text for one in found], attention=True), strict=True):
        assert again.tokens == one.tokens and len(one.tokens) > 1
        assert again.token_scores == pytest.approx(one.token_scores)
        torch.testing.assert_close(torch.tensor(again.attention), torch.tensor(one.attention))


CELLS = [
    pytest.param(name, model, way, id=f"{name} / {model} / {way}")
    for name in FEATURES
    for model in MODELS
    for way in WAYS
    if way not in NOT[name]
]


@pytest.mark.parametrize("name, model, way", CELLS)
def test_the_feature_does_what_it_says(name: str, model: str, way: str) -> None:
    with torch.no_grad():
        FEATURES[name](make(MODELS[model], seed=2), ragged(2), WAYS[way])


def table() -> list[str]:
    """The rows that docs/search.md must have: a tick where a test above runs."""
    header = ["feature", *(f"{model}, {way}" for model in MODELS for way in WAYS)]
    rows = [header, ["---", *[":-:"] * 4]]
    for name in FEATURES:
        rows.append([name, *("–" if way in NOT[name] else "✓" for _ in MODELS for way in WAYS)])
    return [f"| {' | '.join(row)} |" for row in rows]


def test_the_table_of_the_documentation_is_the_one_tested() -> None:
    page = (Path(__file__).parent.parent / "docs" / "search.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in page


def test_settings_that_make_no_sense_together_are_refused() -> None:
    for wrong, told in (
        ({"sampling": True}, "beam must be 1"),
        ({"temperature": 2.0, "top_k": 5}, "temperature and top_k must be left alone"),
        ({"diversity_groups": 3, "diversity_strength": 1.0}, "must divide beam"),
        ({"diversity_groups": 2}, "need each other"),
        ({"beam": 1, "coverage_penalty": 0.2}, "needs several"),
        ({"min_length": 9, "max_length": 8}, "at most max_length"),
        ({"mbr": 9}, "mbr must be from 2 to beam"),
        ({"beam": 1, "mbr": 2, "n_best": 3, "sampling": True}, "at most mbr"),
    ):
        with pytest.raises(ValueError, match=re.escape(told)):
            SearchConfig.model_validate(wrong)
    with pytest.raises(ValueError, match=r"(?s)sampling draws.*and diversity_groups above 1"):
        SearchConfig(sampling=True, diversity_groups=2)


def test_what_the_model_or_another_wish_excludes_is_refused() -> None:
    model, source = make("gru-none-start"), ragged()
    with pytest.raises(UseError, match="coverage_penalty counts where attention looked"):
        search(model, source, settings(coverage_penalty=0.5))
    terms = Wishes([Wish(phrases=[[5]])] * 4)
    for changes in ({"sampling": True, "beam": 1}, {"diversity_groups": 2, "diversity_strength": 1.0}):
        with pytest.raises(UseError, match="share one beam out"):
            search(model, source, settings(**changes), wishes=terms)
    with pytest.raises(UseError, match="asks for 300; ask for less"):
        search(model, source, settings(), wishes=Wishes([Wish(prefix=[5] * 300)] * 4))


def test_a_term_that_cannot_be_had_does_not_keep_others_from_being_found() -> None:
    """A limit too short: what lacks a term comes last, and something comes."""
    model, source = make("gru-additive-before"), ragged()
    model.config = model.config.model_copy(update={"max_length": 4})
    for found in look(model, source, {"beam": 3}, Wishes([Wish(phrases=[[5, 6, 7]], prefix=[])] * 4), n_best=3):
        assert found and found[0].tokens == [5, 6, 7, EOS]
