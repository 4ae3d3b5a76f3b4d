"""Tokenizers that learn more entries from new text. What they had keeps its id, and text without new entries its cut.

Words and characters gain the most frequent ones that they lack. Subwords gain characters that were spelt in bytes, and
then merges of neighbours in the cuts of the new words, the most frequent first (Sennrich 2016, section 3.2): byte pair
encoding that goes on where the vocabulary stands, for `unigram` too.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ojak.errors import ConfigError
from ojak.text.listed import ListedTokenizer
from ojak.text.normalise import SPACE
from ojak.text.subword import SubwordTokenizer
from ojak.text.tokenizer import Tokenizer

RARE = 2
"""pieces that would be seen less often are not merged"""


def grow(tokenizer: Tokenizer, sentences: Iterable[str], add: int, min_frequency: int = 1) -> Tokenizer:
    """The tokenizer with at most `add` entries more. Raises ConfigError for one that cannot grow."""
    if isinstance(tokenizer, ListedTokenizer):
        cuts = Counter(entry for text in sentences for entry in tokenizer.cut(tokenizer.form.of(text)))
        new = [entry for entry in _ranked(cuts) if entry not in tokenizer.vocabulary and cuts[entry] >= min_frequency]
        return type(tokenizer)([*tokenizer.vocabulary.learnt, *new[:add]], tokenizer.form)
    if not isinstance(tokenizer, SubwordTokenizer):
        raise ConfigError("text.add needs tokenizers that Ojak has learnt, but those of an imported model are fixed.")
    words = Counter(word for text in sentences for word in tokenizer.form.of(text).split(" ") if word)
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    unknown = [letter for letter in _ranked(characters) if tokenizer.rank(letter) is None][:add]
    spelt = tokenizer.with_pieces(unknown, {})
    cuts_of = {word: spelt.pieces(spelt.encode(word)) for word in words}
    merged = _merges(cuts_of, words, set(spelt.entries), add - len(unknown))
    return tokenizer.with_pieces([*unknown, *merged], merged)


def made_of(old: Tokenizer, entry: str) -> list[int]:
    """The ids by which a tokenizer writes an entry that it lacks: what the entry takes the place of."""
    if isinstance(old, ListedTokenizer):
        return [old.nearest(entry)]
    assert isinstance(old, SubwordTokenizer)
    if entry.startswith(SPACE):
        return old.encode(entry[1:])
    # Inside a word, where the tokenizer itself does not begin: the fewest pieces, the likeliest of these.
    best: list[tuple[int, float, list[int]]] = [(0, 0.0, [])]
    for end in range(1, len(entry) + 1):
        ways = []
        for begin in range(end):
            rank, (count, cost, ids) = old.rank(entry[begin:end]), best[begin]
            if rank is not None or end - begin == 1:
                more = old.piece_ids(entry[begin:end])
                ways.append((count + len(more), cost + (rank or 0.0), [*ids, *more]))
        best.append(min(ways))
    return best[-1][2]


def _ranked(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda entry: (-counts[entry], entry))


def _merges(cuts: dict[str, list[str]], counts: Counter[str], known: set[str], most: int) -> dict[str, tuple[str, str]]:
    """Up to `most` new pieces and the two that each is made of, in their order: always of the commonest neighbours.

    `cuts` are those of words, seen as often as `counts` says; pieces that are `known` are not made again.
    """
    words = [(list(cut), counts[word]) for word, cut in cuts.items()]
    seen: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def count(place: int, sign: int) -> set[tuple[str, str]]:
        cut, times = words[place]
        pairs = [pair for pair in itertools.pairwise(cut) if not any(map(_is_byte, pair))]
        for pair in pairs:
            seen[pair] += sign * times
            where[pair].add(place)
        return set(pairs)

    for place in range(len(words)):
        count(place, 1)
    agenda = [(-times, pair) for pair, times in seen.items()]
    heapq.heapify(agenda)
    found: dict[str, tuple[str, str]] = {}
    while agenda and len(found) < most:
        times, pair = heapq.heappop(agenda)
        piece = "".join(pair)
        if -times != seen[pair] or -times < RARE or piece in known:
            continue  # counted anew since, too rare, or a piece that the tokenizer did not choose here
        found.setdefault(piece, pair)
        changed: set[tuple[str, str]] = set()
        for place in sorted(where.pop(pair)):
            changed |= count(place, -1)
            words[place] = _joined(words[place][0], pair), words[place][1]
            changed |= count(place, 1)
        for other in changed:
            heapq.heappush(agenda, (-seen[other], other))
    return found


def _joined(cut: Sequence[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for piece in cut:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def _is_byte(piece: str) -> bool:
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
