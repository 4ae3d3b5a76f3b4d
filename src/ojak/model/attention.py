"""The attention mechanisms.

A mechanism scores a query, the decoder's state, against keys, one for each source token. The scores become weights
by a softmax over the real source tokens, and the weights a context vector, the weighted sum of the values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ojak.model import fused
from ojak.model.deferred import Shared

_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""those of torch's for a GPU that serve sentences: cuDNN's takes 65 ms to prepare itself for every new shape"""


class Scorer(nn.Module, ABC):
    """How well each key fits the query. Letters as in `seam`; A is the width of the keys."""

    @abstractmethod
    def keys(self, states: Tensor) -> Tensor:
        """The keys (B,S,A) of the encoder's states (B,S,E): the part that is computed once a sentence."""

    @abstractmethod
    def against(self, keys: Tensor) -> Callable[[Tensor], Tensor]:
        """What scores queries (N,T,D) against these keys (N,S,A): a function to (N,T,S), for all steps of a target."""


class Additive(Scorer):
    """e_tj = vᵀ tanh(W s + U h_j), Bahdanau 2015, A.1.2. Query and states may differ in width."""

    def __init__(self, query_width: int, state_width: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, query_width, bias=False)
        self.key = nn.Linear(state_width, query_width)
        self.vector = nn.Parameter(torch.empty(query_width).uniform_(-1, 1) * query_width**-0.5)

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.key(states)
        return keys

    def against(self, keys: Tensor) -> Callable[[Tensor], Tensor]:
        matrix = Shared(self.query.weight.T)

        def score(query: Tensor) -> Tensor:
            asked = matrix.times(query.flatten(0, 1)).view(*query.shape[:2], 1, -1)
            return torch.tanh(asked + keys.unsqueeze(1)) @ self.vector  # (N,T,1,A) + (N,1,S,A)

        return score


class Dot(Scorer):
    """e_tj = sᵀ h_j, Luong 2015, equation 8. The widths must agree, which the configuration sees to."""

    def keys(self, states: Tensor) -> Tensor:
        return states

    def against(self, keys: Tensor) -> Callable[[Tensor], Tensor]:
        return Shared(keys.transpose(1, 2)).times


class ScaledDot(Dot):
    """e_tj = qᵀ k_j / √D, Vaswani 2017, equation 1, without projections."""

    def against(self, keys: Tensor) -> Callable[[Tensor], Tensor]:
        return super().against(keys / math.sqrt(keys.shape[-1]))


class General(Dot):
    """e_tj = sᵀ W h_j, Luong 2015, equation 8. W h_j is the key, so that widths may differ."""

    def __init__(self, query_width: int, state_width: int) -> None:
        super().__init__()
        self.key = nn.Linear(state_width, query_width, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        keys: Tensor = self.key(states)
        return keys


def scorer(name: str, query_width: int, state_width: int) -> Scorer:
    """The mechanism that `model.attention` names."""
    if name == "additive":
        return Additive(query_width, state_width)
    if name == "general":
        return General(query_width, state_width)
    return Dot() if name == "dot" else ScaledDot()


def weigh(scores: Tensor, keep: Tensor) -> Tensor:
    """Weights from scores (…,T,S) and `keep`, which broadcasts to them: α_t = softmax(e_t) over real source tokens."""
    return scores.masked_fill(~keep, -math.inf).softmax(-1)


def attend(scores: Tensor, keep: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Context and weights from scores (…,T,S), `keep` and values (…,S,E): c_t = Σ_j α_tj h_j."""
    weights = weigh(scores, keep)
    return weights @ values, weights


class MultiHead(nn.Module):
    """Scaled dot attention in H subspaces of width d = D / H, Vaswani 2017, 3.2.2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def split(self, rows: Tensor, shape: Sequence[int]) -> Tensor:
        """Rows (M,D), of states of this shape (N,T), → (N,H,T,d)"""
        states = fused.states(rows, shape)
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, keep: Tensor, weigh: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Output as rows (M,D), and the weights (N,H,T,S) if `weigh`, of queries (N,H,T,d) over keys and values
        (N,H,S,d).

        `keep` broadcasts to (N,H,T,S). Unless the weights are asked for, a faster way to the same is taken where there
        is one: on a GPU torch's kernel, in training on a CPU (where that one is slow) `fused.attend`.
        """
        weights = None
        if query.is_cuda and not weigh:
            with sdpa_kernel(_KERNELS):
                read = F.scaled_dot_product_attention(query, keys, values, attn_mask=keep)
            context = fused.rows(read.transpose(1, 2).flatten(2))
        elif fused.serves(query) and not weigh:
            context = fused.attend(query, keys, values, keep)
        else:
            scores = query @ keys.transpose(-1, -2) * query.shape[-1] ** -0.5
            read, weights = attend(scores, keep, values)
            context = fused.rows(read.transpose(1, 2).flatten(2))
        merged: Tensor = self.out(context)
        return merged, weights

    def weights_of(self, head: int, query: Tensor, keys: Tensor, keep: Tensor) -> Tensor:
        """The weights (N,1,T,S) of one head, a small part of the work, beside the faster ways that tell of none. Scores
        of bf16 become weights in fp32."""
        scores = query[:, head : head + 1] @ keys[:, head : head + 1].mT * query.shape[-1] ** -0.5
        return weigh(scores.float() if scores.dtype == torch.bfloat16 else scores, keep)
