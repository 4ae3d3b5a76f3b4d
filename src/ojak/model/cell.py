"""One step of a recurrent cell, with the part that depends on the input alone given beforehand.

The equations and the order of the gates are those of torch.nn.RNN, GRU and LSTM. Theirs cannot be used where the
input of a step depends on the step before (attention, input feeding): they would multiply the embedding with its
weights at every step, and here that is one product for the whole target.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ojak.model.deferred import Shared

Hidden = tuple[Tensor, ...]
"""One layer's state: (h,) or, for the LSTM, (h, c); each (N,D)."""

PARTS = {"rnn": 1, "gru": 1, "lstm": 2}
_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


class Cell(nn.Module):
    """An RNN (tanh), GRU (Cho 2014) or LSTM (Hochreiter and Schmidhuber 1997, with forget gate) cell."""

    def __init__(self, kind: Literal["rnn", "gru", "lstm"], input_width: int, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.input = nn.Linear(input_width, _GATES[kind] * width)
        self.recurrent = nn.Linear(width, _GATES[kind] * width)
        nn.init.xavier_uniform_(self.input.weight)
        for gate in self.recurrent.weight.data.chunk(_GATES[kind]):
            nn.init.orthogonal_(gate)
        for layer in (self.input, self.recurrent):
            nn.init.zeros_(layer.bias)
        if kind == "lstm":
            self.input.bias.data[width : 2 * width] = 1.0  # remember until taught to forget (Jozefowicz 2015)

    def begin(self) -> Shared:
        """What every step of a target multiplies the last state with."""
        return Shared(self.recurrent.weight.T, self.recurrent.bias)

    def forward(self, given: Tensor, hidden: Hidden, recurrent: Shared) -> Hidden:
        """The next state. `given` (N,G·D) is `self.input` of the step's input, G the number of gates."""
        past = recurrent.times(hidden[0])
        if self.kind == "rnn":
            return (torch.tanh(given + past),)
        if self.kind == "gru":
            width = hidden[0].shape[1]
            (given_gates, given_new), (past_gates, past_new) = (
                torch.split(part, [2 * width, width], 1) for part in (given, past)
            )
            reset, update = torch.sigmoid(given_gates + past_gates).chunk(2, 1)
            new = torch.tanh(given_new + reset * past_new)
            return (torch.lerp(new, hidden[0], update),)
        gates = given + past
        entry, forget, new, out = gates.chunk(4, 1)
        memory = torch.sigmoid(forget) * hidden[1] + torch.sigmoid(entry) * torch.tanh(new)
        return torch.sigmoid(out) * torch.tanh(memory), memory
