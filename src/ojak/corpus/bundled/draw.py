"""Draws pairs out of the grammar: the same ones for the same seed, on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

from ojak.corpus.bundled.grammar import DOMAINS, Template, all_templates, templates_of
from ojak.corpus.pair import Pair
from ojak.errors import UseError

Part = Literal["train", "held_out"]
HELD_OUT_OF = 10  # one in so many sentences is held out for ever


def number_of(text: str) -> int:
    """A number of 64 bits that stands for `text`, the same everywhere (unlike `hash`)."""
    return int.from_bytes(blake2b(text.encode("utf-8"), digest_size=8).digest(), "big")


def part_of(target: str) -> Part:
    """The part of the corpus that a target sentence belongs to, whatever the seed.

    A template and its fillers make one target, and a source has one target, so deciding by the target parts the
    combinations and both sorts of sentence at once: what several combinations say in the same words goes one way.
    """
    return "held_out" if number_of(target) % HELD_OUT_OF == 0 else "train"


def permuted(size: int, key: int) -> Iterator[int]:
    """The numbers 0 to `size` in an order that `key` decides, without a list of them in memory.

    Four rounds of a Feistel network over the next even number of bits; what falls outside is walked past.
    """
    half = max(1, (max(1, size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    keys = [(key >> (16 * turn)) & 0xFFFF for turn in range(4)]
    for start in range(1 << (2 * half)):
        left, right = start >> half, start & mask
        for turn, add in enumerate(keys):
            mixed = ((right + add) * 0x9E3779B1 + turn * 0x85EBCA6B) & 0xFFFFFFFF
            mixed ^= mixed >> 15
            mixed = (mixed * 0x2C1B3C6D) & 0xFFFFFFFF
            left, right = right, left ^ ((mixed ^ (mixed >> 13)) & mask)
        value = left << half | right
        if value < size:
            yield value


def _sentences(template: Template, seed: int, part: Part) -> Iterator[tuple[str, str]]:
    for index in permuted(template.span, number_of(f"{seed}/{template.name}")):
        combination = template.combination(index)
        if combination is not None:
            source, target = template.realise(combination)
            if part_of(target) == part:
                yield source, target


def _domain(domain: str, count: int, seed: int, part: Part, seen: set[str]) -> list[Pair]:
    """`count` pairs of one domain: the templates take turns, and one that has no more drops out."""
    pairs: list[Pair] = []
    turns = [_sentences(template, seed, part) for template in templates_of(domain)]
    while len(pairs) < count:
        if not turns:
            raise UseError(
                f"the bundled corpus holds {len(pairs)} {part} pairs of {domain}, {count} were asked for: "
                "ask for fewer pairs"
            )
        lasting = []
        for turn in turns:
            if len(pairs) == count:
                break
            for source, target in turn:
                if source not in seen:
                    seen.add(source)
                    pairs.append(Pair(source, target, label=domain))
                    lasting.append(turn)
                    break
        else:
            turns = lasting
    return pairs


def generate(count: int, seed: int, part: Part = "train") -> list[Pair]:
    """`count` pairs with distinct sources, equally many a domain (±1), in a mixed order.

    The same count, seed and part give the same list everywhere. Templates of a domain take turns, so that one with
    many combinations does not drown the others. Nothing that "held_out" gives, neither a combination of template and
    fillers nor a sentence of either side, can be had from "train", whatever the two seeds.
    """
    if part not in ("train", "held_out"):
        raise UseError(f"part must be 'train' or 'held_out', not {part!r}")
    if count < 0:
        raise UseError(f"the number of pairs must be 0 or more, not {count}")
    if count > size():
        raise UseError(f"the bundled corpus holds {size()} pairs in all, {count} were asked for: ask for fewer")
    seen: set[str] = set()
    pairs: list[Pair] = []
    for place, domain in enumerate(DOMAINS):
        share = count // len(DOMAINS) + (place < count % len(DOMAINS))
        pairs += _domain(domain, share, seed, part, seen)
    return [pairs[index] for index in permuted(len(pairs), number_of(f"{seed}/order"))]


def size() -> int:
    """How many combinations of a template with fillers the grammar holds, both parts together."""
    return sum(template.size for template in all_templates())
