"""What the model says when a source word is not there: occlusion (Zeiler and Fergus 2014; Li 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ojak import batch
from ojak.batch import Batch
from ojak.model.seam import Seq2Seq
from ojak.search import forced

ROWS = 2048
"""target tokens that are scored at once, so that long sentences do not ask for much memory"""


def log_probabilities(model: Seq2Seq, sources: Sequence[Sequence[int]], pair: Batch) -> Tensor:
    """The log-probability (N,T) of each target token of the pair, after each of the N sources (whole ids), in double
    precision."""
    size = max(1, ROWS // pair.target_out.shape[1])
    found = []
    for first in range(0, len(sources), size):
        source = batch.pad(sources[first : first + size]).to(pair.source.device)
        before, after = (side.expand(len(source), -1) for side in (pair.target_in, pair.target_out))
        found.append(forced.token_scores(model, model(source, before).states, after))
    return torch.cat(found)


def occlusion(model: Seq2Seq, pair: Batch, groups: Sequence[Sequence[int]]) -> Tensor:
    """log p(y_t | x, y_<t) − log p(y_t | x without the group, y_<t), as (T,G) for the G `groups` of source places.

    The tokens are taken out, and those after them move up. A shorter sentence is something that the model knows; a
    stand-in such as <unk> or a vector of zeros is something that it may never have met, and the difference would tell
    of that as well. Positive: the word made the token likelier.
    """
    ids = pair.source[0].tolist()
    without = [[word for place, word in enumerate(ids) if place not in set(group)] for group in groups]
    # Without its only token a source would be nothing, which no encoder reads; there is always an end of sentence.
    scores = log_probabilities(model, [ids, *(rest or ids for rest in without)], pair)
    return (scores[0] - scores[1:]).T
