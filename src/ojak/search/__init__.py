"""Looking for a translation: the search knows the seam of the model and nothing else.

One loop (`loop`) for every way of looking. What may be said next is shaped by `processors`, the ways to go on are
picked by a chooser (`choosers`, `constraints`), finished hypotheses are compared by `hypothesis.rank`.
"""

from __future__ import annotations

from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import Seq2Seq
from ojak.search.hypothesis import Hypothesis
from ojak.search.loop import Search
from ojak.search.wishes import Wish, Wishes

__all__ = ["Hypothesis", "Search", "Wish", "Wishes", "search"]


def search(
    model: Seq2Seq, source: Tensor, config: SearchConfig, attend: bool = False, wishes: Wishes | None = None
) -> list[list[Hypothesis]]:
    """The `config.n_best` best hypotheses of each sentence of `source` (B,S), best first.

    `attend` records the attention of each; `wishes` is what single sentences ask for. The model should be in evaluation
    mode. Raises UseError for what the model, or another setting, excludes.
    """
    under_way = Search(model, source, config, attend, wishes)
    for _ in under_way.steps():
        pass
    return under_way.hypotheses()
