"""What attention says of one pair: weights, norms, rollout and self-attention. Letters as in `model.seam`.

All take a batch of one pair and give shares (T,S): each row sums to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ojak.batch import Batch
from ojak.errors import UseError
from ojak.model.inside import SelfAttends, Transforms
from ojak.model.seam import Seq2Seq
from ojak.result import view_indices


def layers(views: Sequence[str]) -> list[str]:
    """The names of the layers that the views belong to, in their order; none where views have no layers."""
    return list(dict.fromkeys(view.rsplit(".", 1)[0] for view in views if "." in view))


def chosen(views: Sequence[str], layer: int | None, head: int | None) -> str:
    """The name of the view, layer or mean that the numbers of a layer and a head stand for. Raises UseError."""
    if head is not None and layer is None:
        raise UseError("A head belongs to a layer, but only the head is given; add --layer.")
    if layer is None:
        return "mean"
    there = layers(views)
    if not there:
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
    """‖Σ αf(x)‖, how long a vector each source token adds (Kobayashi 2020, equations 3 and 4), as a share of its row.

    Of a layer it is the norm of the sum over its heads, since that is what the layer adds; of several layers the mean
    of the layers' shares. A recurrent decoder's context is the sum of α h.
    """
    assert isinstance(model, Transforms)
    state = model.start(model.encode(pair.source))
    vectors = model.transformed(state)[0]  # (K,S,E)
    attention = model.advance(pair.target_in, state, True)[0].attention
    assert attention is not None
    groups = layers(model.views) if view == "mean" else []
    found = []
    for group in groups or [view]:
        heads = view_indices(model.views, group)
        added = torch.einsum("tks,kse->tse", attention[0, :, heads], vectors[heads]).norm(dim=-1)
        found.append(added / added.sum(1, keepdim=True).clamp_min(torch.finfo(added.dtype).tiny))
    return torch.stack(found).mean(0)


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
