"""What attention says of one pair: weights, norms, rollout and self-attention. Letters as in `model.seam`.

All take a batch of one pair and give shares (T,S): each row sums to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ojak.batch import Batch
from ojak.errors import UseError
from ojak.maps import Values
from ojak.model.inside import SelfAttends, Transforms
from ojak.model.seam import Seq2Seq
from ojak.result import layers, view_indices

Numbers = TypeVar("Numbers", Tensor, Values)


def chosen(views: Sequence[str], layer: int | None, head: int | None) -> str:
    """The name of the view, layer or mean that the numbers of a layer and a head stand for. Raises UseError."""
    if head is not None and layer is None:
        raise UseError("A head belongs to a layer, but only the head is given; add --layer.")
    if layer is None:
        return "mean"
    there = layers(views)
    if there == list(views):
        raise UseError(
            f"The model must have layers of attention to choose one, but it has one view, {', '.join(views)}; "
            "leave --layer out."
        )
    if not 0 <= layer < len(there):
        raise UseError(f"The layer must be from 0 to {len(there) - 1}; found {layer}.")
    heads = [view for view in views if view.startswith(there[layer] + ".")]
    if head is None:
        return there[layer]
    if not 0 <= head < len(heads):
        raise UseError(f"The head must be from 0 to {len(heads) - 1}; found {head}.")
    return heads[head]


def cross_weights(model: Seq2Seq, pair: Batch) -> Tensor:
    """The weights (T,K,S)."""
    attention = model(pair.source, pair.target_in, True).attention
    assert attention is not None
    found: Tensor = attention[0]
    return found


def weights(model: Seq2Seq, pair: Batch, view: str) -> Tensor:
    """The mean of the weights of the views that `view` stands for."""
    return cross_weights(model, pair)[:, view_indices(model.views, view)].mean(1)


def norms(model: Seq2Seq, pair: Batch, view: str) -> Tensor:
    """How long a vector each source token adds, by the views that `view` stands for, as a share of its row. A recurrent
    decoder's context is the sum of α h."""
    assert isinstance(model, Transforms)
    state = model.start(model.encode(pair.source))
    vectors = model.transformed(state)
    attention = model.advance(pair.target_in, state, True)[0].attention
    assert attention is not None
    found = norms_of(view, model.views, *lengths(attention, vectors, model.views))[0]
    return found / found.sum(1, keepdim=True).clamp_min(torch.finfo(found.dtype).tiny)


def lengths(weights: Tensor, vectors: Tensor, views: Sequence[str]) -> tuple[Tensor, Tensor]:
    """‖α f(x)‖ of each view (N,T,K,S) and ‖Σ_h α f(x)‖ over the heads of each layer (N,T,L,S), from the weights
    (N,T,K,S) and f(x) (N,K,S,E). Kobayashi 2020, equations 4 and 8."""
    each = weights * vectors.norm(dim=3).unsqueeze(1)
    shape = len(layers(views)), -1
    heads, vectors = weights.unflatten(2, shape), vectors.unflatten(1, shape)  # (N,T,L,H,S), (N,L,H,S,E)
    # ‖Σ α_h f_h‖² = Σ α_h α_g f_h·f_g, so that no tensor has T, S and E at once.
    products = torch.einsum("nlhse,nlgse->nlshg", vectors, vectors)
    squares = torch.einsum("ntlhs,nlshg,ntlgs->ntls", heads, products, heads)
    return each, squares.clamp(min=0).sqrt()


def norms_of(view: str, views: Sequence[str], each: Numbers, together: Numbers) -> Numbers:
    """Of `lengths`, or of such arrays of one pair, those that `view` stands for, (…,T,S).

    A layer's heads are added up as vectors, since that is what the layer adds: what they let through can cancel out.
    Layers are not; all of them together are the mean of their norms, so one that adds longer vectors counts for more.
    """
    if view in views:
        return each[..., list(views).index(view), :]
    there = layers(views)
    chosen = [there.index(view)] if view in there else list(range(len(there)))
    found: Numbers = together[..., chosen, :].mean(-2)
    return found


def self_weights(model: Seq2Seq, pair: Batch) -> tuple[Tensor, Tensor]:
    """Self-attention of the encoder (L,H,S,S) and of the decoder (L,H,T,T)."""
    assert isinstance(model, SelfAttends)
    encoder, decoder = model.self_attention(pair.source, pair.target_in)
    return encoder[0], decoder[0]


def rollout(model: Seq2Seq, pair: Batch, view: str) -> Tensor:
    """The weights of `view`, carried down through the encoder to its words (Abnar and Zuidema 2020).

    What stands at a place of the encoder's top is a mixture of words. With A the mean over a layer's heads, each layer
    passes on ½A + ½I, the half for the residual; the product over the layers says which words are in the mixture.
    """
    encoder = self_weights(model, pair)[0].mean(1)  # (L,S,S)
    mixture = torch.eye(encoder.shape[-1], dtype=encoder.dtype, device=encoder.device)
    for layer in encoder:
        mixture = (layer @ mixture + mixture) / 2
    return weights(model, pair, view) @ mixture
