"""Products of activations with the weights of a layer, in fp32, bf16 and int8.

All three are one and the same: a word of 32 bits holds one float, two bf16 or four bytes of an activation, and meets a
vector of words, those of as many outputs, in one instruction that multiplies and adds. Weights lie as panels of `PANEL`
outputs, word after word, so that they are read from first to last; a tile of a few rows by a panel stays in registers
until its sums are whole, and is scaled, cut and added to there before it is written.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from ojak.compiled.compiler import SETTINGS, called_by_address, variant
from ojak.compiled.vectors import FLOAT, INT, address, at, library, nothing, number, operation

FP32, BF16, INT8 = 0, 1, 2
KINDS = ("fp32", "bf16", "int8")
PER_WORD = (1, 2, 4)
"""how many numbers of each kind a word holds"""

_told = SETTINGS.CPU_FEATURES  # what numba compiles for: this processor, unless it is told otherwise
_features = {name for name, there in llvm.get_host_cpu_features().items() if there}
if _told is not None:
    _features = {name[1:] for name in _told.split(",") if name.startswith("+")}
WIDE = "avx512f" in _features
SERVES = (True, "avx512bf16" in _features, "avx512vnni" in _features)
"""which kinds the processor has instructions for"""

LANES, VECTORS = (16, 4) if WIDE else (8, 2)
PANEL = LANES * VECTORS
"""outputs side by side"""
ROWS = 6
"""of a tile: its sums, a word of activations and a panel's words fill the registers"""

INDEX = ir.IntType(64)
FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES)


def tile(kind: int, rows: int) -> Any:
    """The operation that makes a tile: so many rows by a panel. All of its arguments but `floor` are addresses, or
    bytes from one row to the next (`…_step`), or counts.

    `words` of each row of activations at `given` are multiplied with the `weights` of the panel. int8: to begin with
    the sums are `starts`, what the zero points of activations add up to, and each is multiplied by the scale of its row
    and of its output. Then `bias` is added, what is below `floor` becomes `floor`, and the rows at `more` are added.
    """
    sums = INTS if kind == INT8 else FLOATS

    def write(
        builder: Any,
        given: Any,
        given_step: Any,
        weights: Any,
        words: Any,
        starts: Any,
        row_scales: Any,
        scales: Any,
        bias: Any,
        floor: Any,
        more: Any,
        more_step: Any,
        into: Any,
        into_step: Any,
    ) -> None:
        if not SERVES[kind]:
            return  # it is never called

        def index(value: int) -> Any:
            return ir.Constant(INDEX, value)

        def panel_at(place: Any, of: Any) -> list[Any]:
            steps = (builder.add(place, index(4 * LANES * number)) for number in range(VECTORS))
            return [builder.load(at(builder, step, of), align=4) for step in steps]

        def rows_at(place: Any, step: Any) -> list[Any]:
            return [builder.add(place, builder.mul(step, index(row))) for row in range(rows)]

        def everywhere(value: Any) -> Any:
            of = ir.VectorType(value.type, LANES)
            one = builder.insert_element(ir.Constant(of, ir.Undefined), value, ir.Constant(INT, 0))
            return builder.shuffle_vector(one, ir.Constant(of, ir.Undefined), ir.Constant(INTS, [0] * LANES))

        def fused(one: Any, other: Any, further: Any) -> Any:
            return library(builder, f"llvm.fma.v{LANES}f32", FLOATS, one, other, further)

        def multiplied(sum_: Any, word: Any, weight: Any) -> Any:
            if kind == INT8:
                return library(builder, "llvm.x86.avx512.vpdpbusd.512", INTS, sum_, word, weight)
            if kind == BF16:
                return library(builder, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, sum_, word, weight)
            return fused(builder.bitcast(word, FLOATS), builder.bitcast(weight, FLOATS), sum_)

        begin = panel_at(starts, INTS) if kind == INT8 else [ir.Constant(FLOATS, [0.0] * LANES)] * VECTORS
        places = rows_at(given, given_step)
        entry, loop = builder.block, builder.append_basic_block("words")
        after = builder.append_basic_block("whole")
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(INDEX)
        step.add_incoming(index(0), entry)
        held = [[builder.phi(sums) for _ in range(VECTORS)] for _ in range(rows)]
        panel = panel_at(builder.add(weights, builder.mul(step, index(4 * PANEL))), INTS)
        whole = []
        for row in range(rows):
            place = builder.add(places[row], builder.mul(step, index(4)))
            word = everywhere(builder.load(at(builder, place, INT), align=4))
            whole.append([multiplied(sum_, word, weight) for sum_, weight in zip(held[row], panel, strict=True)])
            for phi, first, following in zip(held[row], begin, whole[row], strict=True):
                phi.add_incoming(first, entry)
                phi.add_incoming(following, loop)
        next_step = builder.add(step, index(1))
        step.add_incoming(next_step, loop)
        builder.cbranch(builder.icmp_signed("<", next_step, words), loop, after)

        builder.position_at_end(after)
        shift, lowest = panel_at(bias, FLOATS), everywhere(floor)
        column = panel_at(scales, FLOATS) if kind == INT8 else []
        others = [panel_at(place, FLOATS) for place in rows_at(more, more_step)]
        for row, place in enumerate(rows_at(into, into_step)):
            values = whole[row]
            if kind == INT8:
                scale = builder.load(at(builder, builder.add(row_scales, index(4 * row)), FLOAT), align=4)
                both = [builder.fmul(everywhere(scale), one) for one in column]
                floats = [builder.sitofp(value, FLOATS) for value in values]
                values = [fused(*three) for three in zip(floats, both, shift, strict=True)]
            else:
                values = [builder.fadd(value, one) for value, one in zip(values, shift, strict=True)]
            for place_of, (value, other) in enumerate(zip(values, others[row], strict=True)):
                cut = builder.select(builder.fcmp_ordered(">", value, lowest), value, lowest)
                to = at(builder, builder.add(place, index(4 * LANES * place_of)), FLOATS)
                builder.store(builder.fadd(cut, other), to, align=4)

    write.__name__ = write.__qualname__ = f"tile_{KINDS[kind]}_{rows}"
    return operation(nothing, *[address] * 8, number, *[address] * 4)(write)


six = four = two = one = tile(FP32, 1)  # names that `product` gives a meaning to
COUNTS = 15
"""arguments of a product, all of them addresses, bytes and counts but the floor, which comes as `FLOOR`th"""
FLOOR = 10


def _whole(
    given, given_step, rows, weights, words, outputs, starts, row_scales, scales, bias, floor, more, more_step, into,
    into_step,
):  # fmt: skip
    """All tiles of a product, panel after panel; `six`, `four`, `two` and `one` make those of so many rows."""
    for panel in range(outputs // PANEL):
        place = panel * 4 * PANEL
        w, s, c, b = weights + place * words, starts + place, scales + place, bias + place
        row = 0
        while row < rows:
            left = rows - row
            g, r, i = given + row * given_step, row_scales + 4 * row, into + row * into_step + place
            m = more
            if more_step:
                m += row * more_step + place
            if left >= ROWS:
                six(g, given_step, w, words, s, r, c, b, floor, m, more_step, i, into_step)
                row += ROWS
            elif left >= 4:
                four(g, given_step, w, words, s, r, c, b, floor, m, more_step, i, into_step)
                row += 4
            elif left >= 2:
                two(g, given_step, w, words, s, r, c, b, floor, m, more_step, i, into_step)
                row += 2
            else:
                one(g, given_step, w, words, s, r, c, b, floor, m, more_step, i, into_step)
                row += 1


@cache
def product(kind: int) -> int:
    """The address of the machine code that makes a product of this kind (see `multiply`).

    It is told by its address so that it is made once, and not into every function that multiplies.
    """
    tiles = {name: tile(kind, rows) for name, rows in (("six", ROWS), ("four", 4), ("two", 2), ("one", 1))}
    arguments = [*[address] * FLOOR, number, *[address] * (COUNTS - FLOOR - 1)]
    whole = variant(_whole, f"product_{KINDS[kind]}", tiles)
    return int(called_by_address(nothing(*arguments))(whole).address)


@operation(nothing, address, *[address] * FLOOR, number, *[address] * (COUNTS - FLOOR - 1))
def multiply(builder: Any, where: Any, *values: Any) -> None:
    """Calls the product at an address. Its arguments are those of a tile, for all `rows` and `outputs` (a multiple of
    PANEL): given, given_step, rows, weights, words, outputs, starts, row_scales, scales, bias, floor, more, more_step,
    into, into_step; `more` is one row of PANEL floats for all where `more_step` is 0."""
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(builder.inttoptr(where, kind.as_pointer()), values)
