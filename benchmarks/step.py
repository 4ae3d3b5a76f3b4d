"""One step of the decoder, by the ways there are to make it faster than PyTorch as it comes: torch.compile, a package
of AOTInductor, a C++ extension of ATen's operations, and Ojak's machine code.

    python benchmarks/step.py [--rounds 5]

The step is that of the small model of decoding.py: a word in, the likeliest next word out, 20 words of source, 24
steps, one thread. For all but Ojak it has static shapes, a cache of fixed length and a mask over it, which suits
compilers best; torch.compile freezes the weights. All give the same words in fp32, or the program ends. Needs a C++
compiler. Writes benchmarks/results/step.json: the median of the milliseconds a step of all rounds, by turns, and the
seconds that making it took.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
import torch._inductor
from common import keep, machine
from decoding_models import made
from torch import Tensor, nn
from torch.utils.cpp_extension import load_inline

from ojak.compiled import compiled
from ojak.model import folder
from ojak.model.transformer import Transformer, sinusoid
from ojak.text.vocabulary import BOS, EOS
from ojak.train.run import versions

WORDS, STEPS, LONGEST = 20, 24, 32
ROWS = (1, 64)

Words = Callable[[], list[Tensor]]
"""goes through all steps, and gives the words (N) of each"""

CPP = """
#include <torch/extension.h>
using torch::Tensor;
Tensor heads(const Tensor& x, int64_t h) { return x.view({x.size(0), 1, h, -1}).transpose(1, 2); }
Tensor read(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double scale) {
  auto weights = (at::matmul(q, k.transpose(2, 3)) * scale + mask).softmax(-1);
  return at::matmul(weights, v).transpose(1, 2).flatten(2);
}
Tensor norm(const Tensor& x, const Tensor& w, const Tensor& b) { return at::layer_norm(x, {x.size(2)}, w, b); }
Tensor step(const Tensor& tokens, const Tensor& position, const std::vector<Tensor>& p, const std::vector<Tensor>& cache,
            const Tensor& places, const Tensor& none, int64_t h, double scale, double emb) {
  torch::InferenceMode guard;
  auto x = (at::embedding(p[0], tokens) * emb + p[1].index_select(0, position)).to(p[4].scalar_type());
  auto zero = at::zeros({}, x.options()), low = at::full({}, -INFINITY, x.options());
  auto mask = at::where(at::gt(places, position), low, zero);
  size_t layers = cache.size() / 4;
  for (size_t l = 0; l < layers; ++l) {
    const Tensor* w = &p[4 + 22 * l];
    const Tensor* c = &cache[4 * l];
    c[0].index_copy_(2, position, heads(at::linear(x, w[2], w[3]), h));
    c[1].index_copy_(2, position, heads(at::linear(x, w[4], w[5]), h));
    x = norm(x + at::linear(read(heads(at::linear(x, w[0], w[1]), h), c[0], c[1], mask, scale), w[6], w[7]), w[8], w[9]);
    x = norm(x + at::linear(read(heads(at::linear(x, w[10], w[11]), h), c[2], c[3], none, scale), w[12], w[13]), w[14], w[15]);
    x = norm(x + at::linear(at::relu(at::linear(x, w[16], w[17])), w[18], w[19]), w[20], w[21]);
  }
  return std::get<1>(at::linear(x.squeeze(1), p[2], p[3]).max(1));
}
"""  # noqa: E501


class Step(nn.Module):
    """The decoder's step in plain PyTorch, over the weights of a Transformer with norms after its layers."""

    def __init__(self, model: Transformer, source: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        memory = model.start(model.encode(source))
        rows, heads = len(source), model.config.heads
        self.heads, self.layers, self.scale = heads, len(model.decoder), (model.config.width // heads) ** -0.5
        self.words, self.project = model.target.to(dtype), nn.Linear(1, 1)
        self.project.weight, self.project.bias = (
            nn.Parameter(part.detach().to(dtype)) for part in (model.project.weight, model.project.bias)
        )
        self.decoder = cast(nn.ModuleList, model.decoder).to(dtype)
        table = sinusoid(0, LONGEST, model.config.width, model.project.weight)
        self.register_buffer("table", table.to(dtype))
        self.register_buffer("places", torch.arange(LONGEST))
        for layer, (keys, values) in enumerate(memory.source):
            empty = torch.zeros(rows, heads, LONGEST, model.config.width // heads, dtype=dtype)
            for name, cache in (("keys", empty), ("values", empty.clone()), ("far_keys", keys), ("far_values", values)):
                self.register_buffer(f"{name}{layer}", cache.to(dtype).contiguous())

    def caches(self) -> list[Tensor]:
        """Of each layer: own keys and values, those of the source."""
        names = ("keys", "values", "far_keys", "far_values")
        return [getattr(self, f"{name}{layer}") for layer in range(self.layers) for name in names]

    def weights(self) -> list[Tensor]:
        """All that the C++ step wants, in its order."""
        found = [self.words.weight, self.table, self.project.weight, self.project.bias]
        for layer in cast(Any, self.decoder):
            own, cross, inner = layer.own, layer.cross, layer.feed_forward
            parts = [own.query, own.key, own.value, own.out, layer.norms[0], cross.query, cross.out, layer.norms[1]]
            for part in (*parts, inner.inner, inner.outer, layer.norms[2]):
                found += [part.weight, part.bias]
        return [one.detach() for one in found]

    def forward(self, tokens: Tensor, position: Tensor) -> Tensor:
        """The likeliest words (N) after the `tokens` (N,1), which stand at the `position` (1)."""
        states = self.words(tokens) + self.table.index_select(0, position)
        mask = torch.where(self.places > position, -math.inf, 0.0).to(states.dtype)
        caches = self.caches()
        for number, layer in enumerate(cast(Any, self.decoder)):
            keys, values, far_keys, far_values = caches[4 * number : 4 * number + 4]
            keys.index_copy_(2, position, layer.own.split(layer.own.key(states)))
            values.index_copy_(2, position, layer.own.split(layer.own.value(states)))
            query = layer.own.split(layer.own.query(states))
            states = layer.norms[0](states + layer.own.out(self._read(query, keys, values, mask)))
            query = layer.cross.split(layer.cross.query(states))
            states = layer.norms[1](states + layer.cross.out(self._read(query, far_keys, far_values, None)))
            inner = torch.relu(layer.feed_forward.inner(states))
            states = layer.norms[2](states + layer.feed_forward.outer(inner))
        logits = nn.functional.linear(states.squeeze(1), self.project.weight, self.project.bias)
        return logits.max(1)[1]

    def _read(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        scores = query @ keys.transpose(2, 3) * self.scale
        weights = (scores if mask is None else scores + mask).softmax(-1)
        return (weights @ values).transpose(1, 2).flatten(2)


def through(step: Callable[[Tensor, Tensor], Tensor], rows: int) -> Words:
    """All steps of a function of a word and its place."""
    positions = [torch.tensor([place]) for place in range(STEPS)]

    def said() -> list[Tensor]:
        tokens, found = torch.full((rows, 1), BOS), []
        for position in positions:
            found.append(step(tokens, position))
            tokens = found[-1].unsqueeze(1)
        return found

    return said


def ojak(place: Path, source: Tensor, precision: Any) -> Words:
    """All steps of Ojak's machine code."""
    model = compiled(folder.load(place, torch.device("cpu")).model.eval(), precision)
    output = model.outputs()
    memory = model.encode(source)

    def said() -> list[Tensor]:
        state, tokens, found = model.start(memory), torch.full((len(source), 1), BOS), []
        for _ in range(STEPS):
            decoded, state = model.advance(tokens, state)
            found.append(output.likeliest(decoded.states[:, -1], 1).words[:, 0])
            tokens = found[-1].unsqueeze(1)
        return found

    return said


@functools.cache
def in_cpp() -> Any:
    """The C++ step, built once."""
    return load_inline("ojak_step", CPP, functions=["step"], extra_cflags=["-O3"], build_directory=tempfile.mkdtemp())


def ways(place: Path, source: Tensor, rows: int) -> dict[str, Callable[[], Words]]:
    """What makes each contender, for a batch of so many rows."""

    def plain(dtype: torch.dtype) -> Step:
        model = folder.load(place, torch.device("cpu")).model.eval()
        assert isinstance(model, Transformer)
        return Step(model, source, dtype).eval()

    def compile_it(dtype: torch.dtype) -> Words:
        torch._dynamo.reset()
        words = through(torch.compile(plain(dtype), fullgraph=True), rows)
        with torch._inductor.config.patch(freezing=True):
            words()
        return words

    def package(dtype: torch.dtype) -> Words:
        step = plain(dtype)
        exported = torch.export.export(step, (torch.full((rows, 1), BOS), torch.tensor([0])))
        file = str(Path(tempfile.mkdtemp()) / "step.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=file)
        return through(torch._inductor.aoti_load_package(file), rows)

    def extension(dtype: torch.dtype) -> Words:
        step = plain(dtype)
        native = in_cpp()
        weights, caches, none = step.weights(), step.caches(), torch.zeros((), dtype=dtype)
        scale = cast(float, step.words.scale)

        def one(tokens: Tensor, position: Tensor) -> Tensor:
            return cast(
                Tensor,
                native.step(tokens, position, weights, caches, step.places, none, step.heads, step.scale, scale),
            )

        return through(one, rows)

    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    made_by = {
        "PyTorch": lambda dtype: through(plain(dtype), rows),
        "torch.compile": compile_it,
        "AOTInductor": package,
        "C++ extension": extension,
    }
    found: dict[str, Callable[[], Words]] = {}
    for name, make in made_by.items():
        for kind, dtype in kinds.items():
            found[f"{name} {kind}"] = lambda make=make, dtype=dtype: make(dtype)  # type: ignore[misc]
    for kind in ("fp32", "bf16", "int8"):
        found[f"ojak {kind}"] = lambda kind=kind: ojak(place, source, kind)  # type: ignore[misc]
    return found


@torch.no_grad()
def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # or making would take no time the second time
    place = made("small") / "ojak"
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for rows in ROWS:
        torch.manual_seed(rows)
        source = torch.randint(10, 8000, (rows, WORDS + 1))
        source[:, -1] = EOS
        contenders: dict[str, Words] = {}
        seconds: dict[str, float] = {}
        wanted = None
        for name, make in ways(place, source, rows).items():
            begun = time.perf_counter()
            contenders[name] = make()
            said = contenders[name]()
            seconds[name] = time.perf_counter() - begun
            wanted = said if wanted is None else wanted
            same = sum(int((one == other).sum()) for one, other in zip(said, wanted, strict=True))
            if name.endswith("fp32") and same < 0.99 * rows * STEPS:
                raise SystemExit(f"{name} says other words than PyTorch: {same} of {rows * STEPS} are the same")
        times: dict[str, list[float]] = {name: [] for name in contenders}
        repeats = 20 if rows == 1 else 4
        for _ in range(asked.rounds):
            for name, words in contenders.items():
                begun = time.perf_counter()
                for _ in range(repeats):
                    words()
                times[name].append(1000 * (time.perf_counter() - begun) / repeats / STEPS)
        found[str(rows)] = {
            name: {"ms": statistics.median(its), "rounds": sorted(its), "making": seconds[name]}
            for name, its in times.items()
        }
        for name, its in found[str(rows)].items():
            print(f"{rows:3} rows, {name:22} {its['ms']:7.3f} ms a step, made in {its['making']:5.1f} s", flush=True)
    command = f"python benchmarks/step.py --rounds {asked.rounds}"
    keep("step", {"command": command, "machine": machine(), "threads": 1, "versions": versions(), "rows": found})


if __name__ == "__main__":
    main()
