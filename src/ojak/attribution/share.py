"""How much of a target token comes from the source, and how much from what was said before it."""

from __future__ import annotations

import torch
from torch import Tensor

from ojak.attribution.gradients import no_words, value, word_vectors
from ojak.batch import Batch
from ojak.model.seam import Seq2Seq


def share(model: Seq2Seq, pair: Batch) -> Tensor:
    """The contributions (T,2), in nats, of the source's words and of the target words before, to log p(y_t).

    Voita (2021) asks this of the layers, by relevance that is passed back; here it is asked of the output. It is the
    Shapley value (1953) of two players, whose words are there or are zeros: with v(source there, target there),

        source: ½ [v(1,1) − v(0,1)] + ½ [v(1,0) − v(0,0)]        target: ½ [v(1,1) − v(1,0)] + ½ [v(0,1) − v(0,0)]

    so the two sum to what all words together make of the token, and what either side could tell alone is halved
    between them. Four passes; negative where the words make the token less likely.
    """
    words = word_vectors(model, pair)

    def worth(source: bool, target: bool) -> Tensor:
        return value(model, pair, no_words(pair, words, source=not source, target=not target))

    both, neither, source, target = worth(True, True), worth(False, False), worth(True, False), worth(False, True)
    return torch.stack([both - target + source - neither, both - source + target - neither], 1) / 2
