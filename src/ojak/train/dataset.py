"""Pairs as ids, and the batches of each pass over them: those to train on from a store on disk, those to validate on
in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from ojak.batch import Batch, Ids, blank, collate, plan
from ojak.config import Recipe
from ojak.corpus.links import between_tokens, words_of
from ojak.corpus.pair import Pair
from ojak.corpus.store import Rows, Store
from ojak.errors import DataError, UseError
from ojak.text import Tokenizer
from ojak.text.sampling import Sampler

WINDOW = 256  # chunks, of 1,024 pairs each, from which batches are made together

Places = npt.NDArray[np.int64]


class Dev:
    """Pairs to validate on. `skipped` says how many were left out because a side is empty or too long."""

    def __init__(self, pairs: Sequence[Pair], source: Tokenizer, target: Tokenizer, recipe: Recipe) -> None:
        longest = recipe.model.max_length - 1
        self._budget = recipe.train.batch_tokens
        self.pairs: list[Pair] = []
        self._ids: tuple[list[list[int]], list[list[int]]] = ([], [])
        for pair in pairs:
            ids = source.encode(pair.source), target.encode(pair.target)
            if all(0 < len(side) <= longest for side in ids):
                self.pairs.append(pair)
                for side, encoded in zip(self._ids, ids, strict=True):
                    side.append(encoded)
        self.skipped = len(pairs) - len(self.pairs)
        if not self.pairs:
            raise DataError(
                f"At least one pair must fit the model, but all {len(pairs)} to validate on are empty or longer than "
                f"{longest} tokens; raise model.max_length, or split the sentences."
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(self, device: torch.device) -> Iterator[Batch]:
        """All pairs, by length."""
        for places in plan(*self._lengths(), self._budget):
            yield self._batch(places, device)

    def heaviest(self, device: torch.device) -> list[Batch]:
        """The batches that take the most memory (see `Epoch.heaviest`)."""
        planned = plan(*(lengths := self._lengths()), self._budget)
        numbers = dict.fromkeys(number for _, number in weights(planned, lengths))
        return [self._batch(planned[number], device) for number in numbers]

    def _lengths(self) -> tuple[Places, Places]:
        source, target = (np.array([len(ids) for ids in side], dtype=np.int64) for side in self._ids)
        return source, target

    def _batch(self, places: Places, device: torch.device) -> Batch:
        source, target = ([side[place] for place in places] for side in self._ids)
        return collate(source, target, device)


class Training:
    """Pairs to train on, in a store. `weights` say how often those of each corpus are seen in a pass: those of the
    recipe, or else those that the store was packed with. Raises UseError where they let hardly a pair be seen."""

    def __init__(self, store: Store, source: Tokenizer, target: Tokenizer, recipe: Recipe) -> None:
        self.store, self.recipe = store, recipe
        self.tokenizers = source, target
        self.samplers = [Sampler(tokenizer, recipe.text.sample) for tokenizer in self.tokenizers]
        self.aligned = store.linked and recipe.train.alignment_weight > 0
        self.skipped = int(store.record["skipped"])
        self.weights: Sequence[float] = recipe.data.weights or store.record["about"].get("weights", ())
        if self.weights:
            seen = sum(self.weights[part["corpus"]] * part["pairs"] for part in store.record["parts"])
            if seen < 1:
                raise UseError(
                    "A pass must see a pair at least, but the weights of the corpora (data.weights) let it see "
                    f"{seen:.2g} of {len(store):,}; raise them."
                )

    def __len__(self) -> int:
        return len(self.store)

    def epoch(self, number: int) -> Epoch:
        """A pass."""
        return Epoch(self, number)


@dataclass(frozen=True)
class Group:
    """The batches of one update."""

    batches: list[Batch]
    """those that this process learns from; at the end of a pass the last may be blank"""
    count: int
    """of all processes together"""


class Epoch:
    """One pass over the pairs, in an order that the seed and the number of the pass decide.

    The chunks of the store are shuffled and looked at in windows of 256; within a window, pairs of nearly equal
    lengths make batches, and these are shuffled again. So memory holds the ids of one window, whatever the size of
    the corpus, and a corpus of up to 262,144 pairs is one window, shuffled as a whole. What a batch is, and what is
    drawn when it is learnt from, depends on its number alone: not on those before it, nor on who learns from it.
    """

    def __init__(self, training: Training, number: int) -> None:
        self._training, self._number = training, number
        self._seed = training.recipe.seed
        self._budget = training.recipe.train.batch_tokens
        self._windows = self._shuffled()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def groups(self, begin: int, each: int, device: torch.device, share: tuple[int, int] = (0, 1)) -> Iterator[Group]:
        """The batches from the number `begin` on for updates in which every process learns from `each`, in the last of
        the pass perhaps fewer. `share` says which process this is, of how many: only its own batches are made."""
        rank, size = share
        makers = self._makers(begin, device)
        while group := list(islice(makers, each * size)):
            mine = [make() for make in group[rank::size]]
            blanks = [blank(device)] * (math.ceil(len(group) / size) - len(mine))
            yield Group(mine + blanks, len(group))

    def batches(self, begin: int, device: torch.device) -> Iterator[Batch]:
        """The batches from the number `begin` on."""
        for make in self._makers(begin, device):
            yield make()

    def _makers(self, begin: int, device: torch.device) -> Iterator[Callable[[], Batch]]:
        first = int(np.searchsorted(self._ends, begin, side="right"))
        skip = begin - (int(self._ends[first - 1]) if first else 0)
        for window in range(first, len(self._windows)):
            rows, planned = self._rows(window), self._plan(window)
            for number, places in list(enumerate(planned))[skip:]:
                yield partial(self._batch, rows, places, (window, number), device)
            skip = 0

    def heaviest(self, device: torch.device) -> list[Batch]:
        """The batches that take the most memory: the one of most tokens, padding included, and the one of the largest
        area, which attention has a number for each place of. They may be the same. None of a pass in which no pair is
        drawn."""
        plans = ((window, self._plan(window)) for window in range(len(self._windows)))
        windows = {
            window: weights(planned, self._training.store.lengths(self._windows[window][:, 0]))
            for window, planned in plans
            if planned
        }
        found = (max((one[kind], window) for window, one in windows.items()) for kind in (0, 1) if windows)
        return [
            self._batch(self._rows(window), self._plan(window)[number], (window, number), device)
            for window, number in dict.fromkeys((window, number) for (_, number), window in found)
        ]

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """How many batches the windows up to each have together: all are planned once, by their lengths alone."""
        return np.cumsum([len(self._plan(window)) for window in range(len(self._windows))])

    def _shuffled(self) -> list[npt.NDArray[np.int64]]:
        """The chunks of each window, as row (chunk, copy): a corpus of weight 2.5 has two copies of each chunk, and a
        third of which half the pairs are drawn."""
        weights = self._training.weights
        corpora = self._training.store.chunks[:, 0]
        copies = np.array([math.ceil(weights[corpus]) if weights else 1 for corpus in corpora])
        rows = np.repeat(np.arange(len(corpora)), copies)
        copy = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
        both = np.stack([rows, copy], axis=1)
        if len(both) > WINDOW:  # else the order of the chunks is nothing to anyone
            both = both[self._generator(len(both), 1).permutation(len(both))]
        return [both[place : place + WINDOW] for place in range(0, len(both), WINDOW)]

    def _rows(self, window: int) -> Rows:
        return self._training.store.rows(self._windows[window][:, 0])

    def _plan(self, window: int) -> list[Places]:
        """The batches of a window, as places in its rows."""
        lengths = self._training.store.lengths(self._windows[window][:, 0])
        drawn = self._drawn(window)
        shuffle = (self._seed, self._number, window)
        if drawn is None:
            return plan(lengths[0], lengths[1], self._budget, shuffle)
        places = np.nonzero(drawn)[0]
        return [places[batch] for batch in plan(lengths[0][places], lengths[1][places], self._budget, shuffle)]

    def _drawn(self, window: int) -> npt.NDArray[np.bool_] | None:
        """Which pairs of a window are drawn, where a weight is no whole number; None for all."""
        weights = self._training.weights
        if all(float(weight).is_integer() for weight in weights):
            return None
        store = self._training.store
        found = []
        for chunk, copy in self._windows[window]:
            corpus = int(store.chunks[chunk, 0])
            share = weights[corpus] - copy if weights else 1.0
            count = store.pairs_of(int(chunk))
            found.append(self._generator(int(chunk), 2).random(count) < share)
        return np.concatenate(found)

    def _batch(self, rows: Rows, places: Places, which: tuple[int, int], device: torch.device) -> Batch:
        sides: list[Sequence[Ids]] = [rows.take(side, places) for side in (0, 1)]
        if self._training.recipe.text.sample:
            generator = self._generator(*which, 3)
            longest = self._training.recipe.model.max_length - 1
            sides = [
                sampler.cut(side, generator, longest)
                for sampler, side in zip(self._training.samplers, sides, strict=True)
            ]
        seed = int(self._generator(*which, 4).integers(2**62))
        return collate(sides[0], sides[1], device, seed, self._links(rows, places, sides))

    def _links(self, rows: Rows, places: Places, sides: Sequence[Sequence[Ids]]) -> list[npt.NDArray[np.bool_]] | None:
        """The links between the tokens of some pairs, however they were cut; None where none are learnt from."""
        if not self._training.aligned:
            return None
        words = [words_of(one, side) for one, side in zip(self._training.tokenizers, sides, strict=True)]
        return [between_tokens(*pair) for pair in zip(rows.links_of(places), *words, strict=True)]

    def _generator(self, *numbers: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self._seed, self._number, *numbers, 1 << 20]))


def weights(planned: Sequence[Places], lengths: Sequence[npt.NDArray[np.int64]]) -> list[tuple[int, int]]:
    """Of planned batches the most tokens and the largest area, each with the number of the batch that has it."""
    sizes = np.array([[len(places), *(int(side[places].max()) + 1 for side in lengths)] for places in planned])
    tokens = sizes[:, 0] * (sizes[:, 1] + sizes[:, 2])
    area = tokens * (sizes[:, 1] + sizes[:, 2])
    return [(int(kind.max()), int(kind.argmax())) for kind in (tokens, area)]
