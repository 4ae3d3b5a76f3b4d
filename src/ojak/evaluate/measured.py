"""Systems measured on pairs: scores with intervals, in whole and by part, and each system against the first.

What a system said is all that is asked for, so a system may be a model, or a file of translations made elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ojak.corpus.pair import Pair
from ojak.errors import UseError
from ojak.evaluate import buckets, counts, metrics
from ojak.evaluate.buckets import Bucket, Words
from ojak.evaluate.contrast import Contrasts, contrasts
from ojak.evaluate.counts import Counts
from ojak.evaluate.habits import length_ratio, rates
from ojak.evaluate.resample import Chance, Paired, bootstrap, interval, paired
from ojak.evaluate.trained import Trained


@dataclass(frozen=True)
class Forced:
    """The references as a model sees them: the log-probability of each, and its tokens, the end included."""

    scores: list[float]
    tokens: list[int]


@dataclass(frozen=True)
class Timed:
    """How a translation was made: the beam, the seconds for all sentences, the tokens written."""

    beam: int
    seconds: float
    tokens: int

    def per_second(self, count: int) -> float:
        """How many of these a second took; 0 where no time was measured."""
        return count / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class System:
    """What is measured: the translations of all sources, and what else is known of them."""

    name: str
    hypotheses: list[str]
    forced: Forced | None = None
    timed: Timed | None = None
    given: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """scores of sentences that were made elsewhere, by name"""


@dataclass(frozen=True)
class Measured:
    """A score of a system on all sentences or some; `low` and `high` hold 95 % of what chance in the choice of the
    sentences makes of it, and are None where that was not asked for."""

    name: str
    value: float
    signature: str
    low: float | None = None
    high: float | None = None
    lower: bool = False
    """whether lower is better"""
    digits: int = 2
    """that are shown after the point"""
    percent: bool = False

    def said(self) -> str:
        """The number and its interval, for a reader."""
        form = f".{self.digits}{'%' if self.percent else 'f'}"
        if self.low is None or self.high is None:
            return f"{self.value:{form}}"
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        chance = {} if self.low is None else {"low": self.low, "high": self.high}
        return {"name": self.name, "score": self.value, **chance, "signature": self.signature}


@dataclass(frozen=True)
class Part:
    """The scores of the sentences of a bucket."""

    name: str
    pairs: int
    scores: list[Measured]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "pairs": self.pairs, "scores": [score.as_dict() for score in self.scores]}


@dataclass(frozen=True)
class Found:
    """What was found of one system."""

    system: System
    counts: list[Counts]
    scores: list[Measured]
    by_length: list[Part]
    by_label: list[Part]
    by_frequency: list[Words]
    habits: list[Measured]
    """how long it talks, and how much it repeats and copies"""
    without_leaks: list[Measured]
    """the scores without what stands in training; empty where nothing does, or all"""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, all but the sentences."""
        named = {score.name: score.value for score in self.scores}
        known = {name.replace("/", "_per_"): named[name] for name in _OF_MODELS if name in named}
        found = {
            "scores": [score.as_dict() for score in self.scores if score.name not in _OF_MODELS],
            "by_label": {part.name: [score.as_dict() for score in part.scores] for part in self.by_label},
            "by_length": [part.as_dict() for part in self.by_length],
            "by_frequency": [words.as_dict() for words in self.by_frequency],
            **known,
            **_by_name(self.habits),
            "habits": [habit.as_dict() for habit in self.habits],
        }
        if self.without_leaks:
            found["without_leaks"] = [score.as_dict() for score in self.without_leaks if score.name not in _OF_MODELS]
        if timed := self.system.timed:
            found |= {"beam": timed.beam, "seconds": timed.seconds, "tokens": timed.tokens}
            found["sentences_per_second"] = timed.per_second(len(self.system.hypotheses))
            found["tokens_per_second"] = timed.per_second(timed.tokens)
        return found


_OF_MODELS = ("perplexity", "bits/character")


def _by_name(habits: Sequence[Measured]) -> dict[str, float]:
    return {habit.name.replace(" ", "_"): habit.value for habit in habits}


@dataclass(frozen=True)
class Report:
    """What `ojak evaluate` and `ojak compare` tell; the first system is the baseline of the others."""

    pairs: list[Pair]
    languages: tuple[str, str]
    systems: list[Found]
    comparisons: list[list[Paired]]
    """one for each system but the first"""
    habits_compared: list[list[Paired]]
    """the same of how they talk"""
    contrasts: list[Contrasts]
    """the same of words: which each gets right more often"""
    references: list[Measured]
    """how much the references repeat and copy"""
    cutter: str
    """the tokenizer that cut words for `by_frequency`"""
    lowercase: bool
    """whether scores and words are without case"""
    chance: Chance
    trained: Trained | None = None
    notes: list[str] = field(default_factory=list)
    title: str = ""
    """what was measured on"""

    @property
    def hypotheses(self) -> list[str]:
        """The translations of the first system."""
        return self.systems[0].system.hypotheses

    @property
    def scores(self) -> list[Measured]:
        """The scores of the first system."""
        return self.systems[0].scores

    @property
    def words(self) -> str:
        """How words were cut, for a reader."""
        return f"{self.cutter}, without case" if self.lowercase else self.cutter

    def comparable(self, name: str) -> bool:
        """Whether all systems have a score of that name which can be set against that of the first: perplexities can
        where all cut the references into as many tokens."""
        return all(any(each.name == name for each in compared) for compared in self.comparisons)

    def table(self) -> str:
        """The same for a reader."""
        from ojak.evaluate.table import table

        return table(self)

    def as_dict(self) -> dict[str, Any]:
        """All but the sentences, for JSON; of one system its figures stand at the top."""
        first, *_ = self.systems
        found: dict[str, Any] = {"test": self.title, "pairs": len(self.pairs), "languages": list(self.languages)}
        if len(self.systems) == 1:
            found |= first.as_dict()
        else:
            found["baseline"] = first.system.name
            found["systems"] = [{"name": one.system.name, **one.as_dict()} for one in self.systems]
            found["significance"] = self.chance.significance()
            found["comparisons"] = [
                {
                    "system": one.system.name,
                    "scores": [each.as_dict() for each in compared],
                    "habits": [each.as_dict() for each in habits],
                    "words": words.as_dict(),
                }
                for one, compared, habits, words in zip(
                    self.systems[1:], self.comparisons, self.habits_compared, self.contrasts, strict=True
                )
            ]
        found["pairs_by_label"] = {part.name: part.pairs for part in first.by_label}
        found["length_unit"] = buckets.length_unit(self.languages[0])
        found["words"] = self.cutter
        found["lowercase"] = self.lowercase
        found["references"] = _by_name(self.references)
        found["leaks"] = self.trained.as_dict() if self.trained else None
        found["chance"] = self.chance.as_dict()
        found["notes"] = self.notes
        return found


def measure(
    pairs: Sequence[Pair],
    systems: Sequence[System],
    languages: tuple[str, str] = ("", ""),
    lowercase: bool = False,
    chance: Chance | None = None,
    trained: Trained | None = None,
    notes: Sequence[str] = (),
    title: str = "",
) -> Report:
    """Measures what systems said of the sources of pairs against the targets of these.

    `languages` are the codes of source and target ("" where not known), `lowercase` folds case in scores and words,
    `trained` tells of the training text, whose words must be cut and folded alike. Raises UseError where there are no
    pairs or systems, or a system has not said as many.
    """
    if not pairs:
        raise UseError("There must be pairs to evaluate on, but there are none.")
    if not systems:
        raise UseError("There must be a system to measure, but there is none.")
    chance = chance or Chance()
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    for system in systems:
        if len(system.hypotheses) != len(pairs):
            raise UseError(
                f"A system must say one line for each of the {len(pairs)} pairs, but {system.name} has "
                f"{len(system.hypotheses)}. Translate the same file."
            )
    measures = metrics.measures(references, languages[1], lowercase)
    lengths, labels = buckets.by_length(sources, languages[0]), buckets.by_label([pair.label for pair in pairs])
    leaked = trained.leaks.exact if trained else set()
    clean = [place for place in range(len(pairs)) if place not in leaked]
    name = metrics.word_cutter(languages[1], references)
    cut = metrics.cutter(name, lowercase)
    found, habits = [], []
    for system in systems:
        counted = _counted(system, measures, references)
        habits.append([length_ratio(system.hypotheses, references), *rates(system.hypotheses, sources)])
        found.append(
            Found(
                system=system,
                counts=counted,
                scores=_scores(counted, chance),
                by_length=_parts(counted, lengths, chance),
                by_label=_parts(counted, labels, chance),
                by_frequency=_words(system.hypotheses, references, trained, cut, chance) if trained else [],
                habits=_scores(habits[-1], chance),
                without_leaks=_scores([one.part(clean) for one in counted], chance) if leaked and clean else [],
            )
        )
    compared = [paired(*_shared(found[0].counts, other.counts), chance) for other in found[1:]]
    return Report(
        pairs=list(pairs),
        languages=languages,
        systems=found,
        comparisons=compared,
        habits_compared=[paired(habits[0], other, chance) for other in habits[1:]],
        contrasts=[contrasts(systems[0].hypotheses, system.hypotheses, references, cut) for system in systems[1:]],
        references=_scores(rates(references, sources), Chance(0, 0)),
        cutter=name,
        lowercase=lowercase,
        chance=chance,
        trained=trained,
        notes=list(notes),
        title=title,
    )


def _counted(system: System, measures: Sequence[metrics.Measure], references: Sequence[str]) -> list[Counts]:
    found = [counts.counted(measure, system.hypotheses, references) for measure in measures]
    if system.forced:
        found.append(counts.perplexity(system.forced.scores, system.forced.tokens))
        found.append(counts.bits(system.forced.scores, references))
    return [*found, *(counts.given(name, values) for name, values in system.given.items())]


def _words(
    hypotheses: Sequence[str],
    references: Sequence[str],
    trained: Trained,
    cut: Callable[[str], str],
    chance: Chance,
) -> list[Words]:
    found = buckets.by_frequency(hypotheses, references, trained.words, cut)
    counted = [Counts(name, rows, buckets.f, buckets.f) for name, rows in found.items()]
    words = []
    for one, score in zip(counted, _scores(counted, chance), strict=True):
        wanted, said, matched = (int(total) for total in one.rows.sum(axis=0))
        words.append(Words(one.name, wanted, said, matched, score.low, score.high))
    return words


def _shared(base: Sequence[Counts], other: Sequence[Counts]) -> tuple[list[Counts], list[Counts]]:
    """The measures that both have. Perplexities compare only where both cut the references into as many tokens."""
    named = {one.name: one for one in other}
    both = [(one, named[one.name]) for one in base if one.name in named]
    both = [(a, b) for a, b in both if a.name != "perplexity" or (a.rows[:, 1] == b.rows[:, 1]).all()]
    return [one for one, _ in both], [two for _, two in both]


def _scores(counted: Sequence[Counts], chance: Chance) -> list[Measured]:
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(counted)
    if chance.resamples and counted:
        bounds = [interval(scores) for scores in bootstrap(counted, chance)]
    return [
        Measured(one.name, one.score(), one.signature, low, high, one.lower, one.digits, one.percent)
        for one, (low, high) in zip(counted, bounds, strict=True)
    ]


def _parts(counted: Sequence[Counts], parts: Sequence[Bucket], chance: Chance) -> list[Part]:
    return [
        Part(bucket.name, len(bucket.places), _scores([one.part(bucket.places) for one in counted], chance))
        for bucket in parts
    ]
