"""What both directions say made into one set of links.

The ways that grow and intersect (Och and Ney 2003, section 4; Koehn, Och and Marcu 2003, figure 1) are given links:
`forward` is what the model from source to target found, `backward` what the one from target to source found; both as
(source word, target word). The others are given how much both models looked, before anything was decided: matrices
(target words, source words) of shares, where the rows of `forward` sum to 1, and the columns of `backward`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ojak.align.links import Link, Links
from ojak.align.words import Matrix

LEAST = 0.45
"""the least mean share that the soft union links by; chosen on half of the gold of benchmarks/alignment.py"""

_BESIDE = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def intersection(forward: Links, backward: Links) -> Links:
    """What both directions found: few links, nearly all of them right."""
    return forward & backward


def union(forward: Links, backward: Links) -> Links:
    """What either direction found: most of the right links, and many wrong ones."""
    return forward | backward


def grow_diag(forward: Links, backward: Links) -> Links:
    """The intersection, and links of the union beside those there are, diagonally too, that join a word which has no
    link yet, until there are no more."""
    return frozenset(_grown(forward, backward))


def grow_diag_final(forward: Links, backward: Links) -> Links:
    """`grow_diag`, then the links of each direction that join a word which still has none, wherever they stand."""
    return _finished(forward, backward, either=True)


def grow_diag_final_and(forward: Links, backward: Links) -> Links:
    """`grow_diag`, then the links of each direction that join two words which both still have none."""
    return _finished(forward, backward, either=False)


def _grown(forward: Links, backward: Links) -> set[Link]:
    found, every = set(forward & backward), forward | backward
    sources, targets = {i for i, _ in found}, {j for _, j in found}
    waiting = sorted(found)
    while waiting:  # links are looked around in order, and the new ones in the next round
        new = []
        for i, j in waiting:
            for down, right in _BESIDE:
                link = i + down, j + right
                if link in every and link not in found and (link[0] not in sources or link[1] not in targets):
                    found.add(link)
                    new.append(link)
                    sources.add(link[0])
                    targets.add(link[1])
        waiting = sorted(new)
    return found


def _finished(forward: Links, backward: Links, either: bool) -> Links:
    found = _grown(forward, backward)
    sources, targets = {i for i, _ in found}, {j for _, j in found}
    for direction in (forward, backward):
        for i, j in sorted(direction):
            free = i not in sources, j not in targets
            if any(free) if either else all(free):
                found.add((i, j))
                sources.add(i)
                targets.add(j)
    return frozenset(found)


def one_way(matrix: Matrix) -> Links:
    """The source word that each target word looked at most, of a matrix (target words, source words)."""
    if not matrix.shape[1]:
        return frozenset()
    return frozenset((int(i), j) for j, i in enumerate(matrix.argmax(1)) if matrix[j, i] > 0)


def mutual(forward: Matrix, backward: Matrix) -> Links:
    """Words that choose each other, by the mean of both directions: each has its greatest share in the other. So a
    direction that is sure outvotes one that is not, where the intersection keeps only what both would choose alone.
    The mutual argmax is that of Jalili Sabet 2020 ("SimAlign"), who take it of a matrix of similarities."""
    mean = _mean(forward, backward)
    return one_way(mean) & _turned(one_way(mean.T))


def soft_union(forward: Matrix, backward: Matrix, least: float = LEAST) -> Links:
    """Words whose share, the mean of both directions, is `least` or more (the soft union of DeNero and Klein 2007, who
    have posteriors of two hidden Markov models). A word may have several links or none. For models that are sure, as
    guided ones are; others spread their shares too thinly."""
    return frozenset((int(i), int(j)) for j, i in np.argwhere(_mean(forward, backward) >= np.float32(least)))


def both_ways(way: str, forward: Matrix, backward: Matrix) -> Links:
    """The links of a pair by a way of its name."""
    if way in SOFT_WAYS:
        return SOFT_WAYS[way](forward, backward)
    return WAYS[way](one_way(forward), _turned(one_way(backward.T)))


def _mean(forward: Matrix, backward: Matrix) -> Matrix:
    mean: Matrix = (forward + backward) * np.float32(0.5)
    return mean


def _turned(links: Links) -> Links:
    return frozenset((j, i) for i, j in links)


WAYS: dict[str, Callable[[Links, Links], Links]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag": grow_diag,
    "grow-diag-final": grow_diag_final,
    "grow-diag-final-and": grow_diag_final_and,
}
"""the ways that are given links, by the names of the command line"""

SOFT_WAYS: dict[str, Callable[[Matrix, Matrix], Links]] = {"mutual": mutual, "soft-union": soft_union}
"""the ways that are given shares"""
