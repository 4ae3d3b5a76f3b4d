"""Looking for a translation: the search knows the seam of the model and nothing else."""

from __future__ import annotations

from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import Seq2Seq
from ojak.search.beam import beam
from ojak.search.greedy import greedy
from ojak.search.hypothesis import Hypothesis

__all__ = ["Hypothesis", "search"]


def search(model: Seq2Seq, source: Tensor, config: SearchConfig, attend: bool = False) -> list[list[Hypothesis]]:
    """The `config.n_best` best hypotheses of each sentence of `source` (B,S), best first.

    `attend` records the attention of each. The model should be in evaluation mode.
    """
    if config.beam == 1:
        return [[hypothesis] for hypothesis in greedy(model, source, config, attend)]
    return beam(model, source, config, attend)
