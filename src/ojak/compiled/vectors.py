"""Vectors of 16 floats as values that compiled functions reckon with.

numba turns plain loops into machine code, but leaves it to LLVM whether and how they become vector instructions. Here a
vector is a type of its own, and its operations are LLVM's: a loop over `load` is the instructions that it says. Memory
is told by addresses (integers, in bytes), so that the weights of a whole model are one table of them. LLVM cuts a
vector in pieces where the processor's own are shorter.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 16
BYTES = 4 * LANES
"""of a vector in memory"""

FLOAT, INT, HALF = ir.FloatType(), ir.IntType(32), ir.HalfType()
FLOATS, INTS, HALVES = (ir.VectorType(of, LANES) for of in (FLOAT, INT, HALF))


class Vector(types.Type):
    """The type of a vector."""

    def __init__(self) -> None:
        super().__init__(name="Vector")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """It is LLVM's own vector."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


vector, address, number = Vector(), types.intp, types.float32
nothing = types.void


def operation(result: Any, *given: Any) -> Callable[[Callable[..., Any]], Any]:
    """Makes an operation of compiled functions from one that writes it with LLVM's builder and values."""

    def make(write: Callable[..., Any]) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            found = write(builder, *values)
            return context.get_dummy_value() if found is None else found

        def typed(context: Any, *asked: Any) -> Any:
            return result(*given), generate

        typed.__name__ = typed.__qualname__ = write.__name__
        typed.__doc__ = write.__doc__
        names = ["context", *(f"x{place}" for place in range(len(given)))]
        told = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        typed.__signature__ = inspect.Signature(told)  # type: ignore[attr-defined]
        return intrinsic(typed)

    return make


def library(builder: Any, name: str, result: Any, *values: Any, flags: tuple[str, ...] = ()) -> Any:
    """A call of one of LLVM's own functions."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values, fastmath=flags)


def at(builder: Any, place: Any, kind: Any) -> Any:
    """The pointer to what lies at an address."""
    return builder.inttoptr(place, kind.as_pointer())


def spread(builder: Any, value: Any) -> Any:
    """A vector of 16 times the same."""
    kind = ir.VectorType(value.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INT, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(INTS, [0] * LANES))


def constant(value: float) -> Any:
    """The same as a constant."""
    return ir.Constant(FLOATS, [value] * LANES)


@operation(vector, address)
def load(builder: Any, place: Any) -> Any:
    """Sixteen floats."""
    return builder.load(at(builder, place, FLOATS), align=4)


@operation(nothing, address, vector)
def store(builder: Any, place: Any, value: Any) -> None:
    """Sixteen floats."""
    builder.store(value, at(builder, place, FLOATS), align=4)


@operation(vector, address)
def load_half(builder: Any, place: Any) -> Any:
    """Sixteen floats of half precision (IEEE binary16)."""
    return builder.fpext(builder.load(at(builder, place, HALVES), align=2), FLOATS)


@operation(nothing, address, vector)
def store_half(builder: Any, place: Any, value: Any) -> None:
    """Sixteen floats, rounded to half precision; what is too large becomes the largest there is."""
    most = constant(65504.0)
    value = library(builder, "llvm.minnum.v16f32", FLOATS, value, most)
    value = library(builder, "llvm.maxnum.v16f32", FLOATS, value, constant(-65504.0))
    builder.store(builder.fptrunc(value, HALVES), at(builder, place, HALVES), align=2)


@operation(nothing, address, vector)
def store_bf16(builder: Any, place: Any, value: Any) -> None:
    """Sixteen floats, rounded to bf16, to the nearest, ties to even."""
    bits = builder.bitcast(value, INTS)
    odd = builder.and_(builder.lshr(bits, ir.Constant(INTS, [16] * LANES)), ir.Constant(INTS, [1] * LANES))
    rounded = builder.add(bits, builder.add(odd, ir.Constant(INTS, [0x7FFF] * LANES)))
    kind = ir.VectorType(ir.IntType(16), LANES)
    upper = builder.trunc(builder.lshr(rounded, ir.Constant(INTS, [16] * LANES)), kind)
    builder.store(upper, at(builder, place, kind), align=2)


@operation(address, address)
def peek(builder: Any, place: Any) -> Any:
    """An address."""
    return builder.load(at(builder, place, ir.IntType(64)), align=8)


@operation(nothing, address, address)
def poke(builder: Any, place: Any, value: Any) -> None:
    """An address."""
    builder.store(value, at(builder, place, ir.IntType(64)), align=8)


@operation(number, address)
def get(builder: Any, place: Any) -> Any:
    """A float."""
    return builder.load(at(builder, place, FLOAT), align=4)


@operation(nothing, address, number)
def put(builder: Any, place: Any, value: Any) -> None:
    """A float."""
    builder.store(value, at(builder, place, FLOAT), align=4)


@operation(vector, number)
def splat(builder: Any, value: Any) -> Any:
    """Sixteen times the same."""
    return spread(builder, value)


@operation(vector, vector, vector)
def add(builder: Any, one: Any, other: Any) -> Any:
    """one + other"""
    return builder.fadd(one, other)


@operation(vector, vector, vector)
def sub(builder: Any, one: Any, other: Any) -> Any:
    """one − other"""
    return builder.fsub(one, other)


@operation(vector, vector, vector)
def mul(builder: Any, one: Any, other: Any) -> Any:
    """one × other"""
    return builder.fmul(one, other)


@operation(vector, vector, vector)
def div(builder: Any, one: Any, other: Any) -> Any:
    """one / other"""
    return builder.fdiv(one, other)


@operation(vector, vector, vector, vector)
def fma(builder: Any, one: Any, other: Any, more: Any) -> Any:
    """one × other + more, rounded once"""
    return library(builder, "llvm.fma.v16f32", FLOATS, one, other, more)


@operation(vector, vector, vector)
def most(builder: Any, one: Any, other: Any) -> Any:
    """The larger of each two."""
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def _hold(context: Any, array: Any) -> Any:
    """Keeps an array until here: numba frees one after the last line that names it, though its address be in use."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.get_dummy_value()

    return nothing(array), generate


hold: Any = intrinsic(_hold)


@operation(vector, vector, vector)
def least(builder: Any, one: Any, other: Any) -> Any:
    """The smaller of each two."""
    return builder.select(builder.fcmp_ordered("<", one, other), one, other)


@operation(vector, vector)
def size(builder: Any, value: Any) -> Any:
    """Without signs."""
    return library(builder, "llvm.fabs.v16f32", FLOATS, value)


@operation(number, vector)
def total(builder: Any, value: Any) -> Any:
    """The sum of the sixteen."""
    zero = ir.Constant(FLOAT, 0.0)
    return library(builder, "llvm.vector.reduce.fadd.v16f32", FLOAT, zero, value, flags=("reassoc",))


@operation(number, vector)
def largest(builder: Any, value: Any) -> Any:
    """The largest of the sixteen, none of which may be no number."""
    return library(builder, "llvm.vector.reduce.fmax.v16f32", FLOAT, value, flags=("nnan", "nsz"))


@operation(address, vector, number)
def above(builder: Any, value: Any, bound: Any) -> Any:
    """A bit for each of the sixteen that is larger than the bound."""
    found = builder.fcmp_ordered(">", value, spread(builder, bound))
    return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))


@operation(address, address)
def first(builder: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set; one must be."""
    return library(builder, "llvm.cttz.i64", ir.IntType(64), bits, ir.Constant(ir.IntType(1), 1))


@operation(vector, vector, types.intp)
def begin(builder: Any, value: Any, count: Any) -> Any:
    """The first `count` of the sixteen, and then −∞."""
    places = ir.Constant(INTS, list(range(LANES)))
    keep = builder.icmp_signed("<", places, spread(builder, builder.trunc(count, INT)))
    return builder.select(keep, value, constant(float("-inf")))


@operation(vector, vector)
def exp(builder: Any, value: Any) -> Any:
    """e to the power of each, which must not be above 88, to 2 units in the last place; below −87 it is as at −87.

    exp(x) = 2^n exp(r) with n the whole number next to x / ln 2, and exp(r), |r| ≤ ln 2 / 2, by a polynomial (Cody and
    Waite 1980; the Taylor polynomial of degree 7 is as good as the type there).
    """

    def fused(one: Any, other: Any, more: Any) -> Any:
        return library(builder, "llvm.fma.v16f32", FLOATS, one, other, more)

    least = constant(-87.0)
    bounded = builder.select(builder.fcmp_ordered(">", value, least), value, least)
    whole = library(builder, "llvm.rint.v16f32", FLOATS, builder.fmul(bounded, constant(1.4426950408889634)))
    rest = fused(whole, constant(-0.693359375), bounded)  # ln 2 in two parts, the first of few bits
    rest = fused(whole, constant(2.12194440e-4), rest)
    found = constant(1 / 5040)
    for divisor in (720, 120, 24, 6, 2, 1, 1):
        found = fused(found, rest, constant(1 / divisor))
    power = builder.shl(builder.fptosi(whole, INTS), ir.Constant(INTS, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(found, INTS), power), FLOATS)


@operation(nothing, address)
def fetch(builder: Any, place: Any) -> None:
    """Asks for the line of memory at an address before it is wanted."""
    kind = ir.IntType(8).as_pointer()
    numbers = [ir.Constant(INT, value) for value in (0, 3, 1)]  # to read, to be kept near, data
    signature = ir.FunctionType(ir.VoidType(), [kind, INT, INT, INT])
    function = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
    builder.call(function, [builder.inttoptr(place, kind), *numbers])


@operation(nothing, address, vector, number)
def store_bytes(builder: Any, place: Any, value: Any, scale: Any) -> None:
    """Sixteen whole numbers next to value × scale, which must be within ±127, each with 128 added, as bytes."""
    scaled = builder.fmul(value, spread(builder, scale))
    whole = builder.fptosi(library(builder, "llvm.rint.v16f32", FLOATS, scaled), INTS)
    raised = builder.add(whole, ir.Constant(INTS, [128] * LANES))
    kind = ir.VectorType(ir.IntType(8), LANES)
    builder.store(builder.trunc(raised, kind), at(builder, place, kind), align=1)
