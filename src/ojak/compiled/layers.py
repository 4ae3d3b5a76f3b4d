"""The parts of a layer on rows of activations: products, norm, rotation, attention.

Rows are padded with zeros to whole vectors, and every function leaves zeros there. Places are addresses, and a `…_step`
is the bytes from one row to the next. What a model's layers are is told by tables (`pack`).
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import math

import numpy as np

from ojak.compiled.compiler import compiled, variant
from ojak.compiled.pack import BIAS, OUTPUTS, SCALES, STARTS, WEIGHTS, WORDS
from ojak.compiled.products import BF16, FP32, multiply
from ojak.compiled.vectors import (
    LANES,
    add,
    begin,
    div,
    exp,
    fetch,
    fma,
    get,
    largest,
    least,
    load,
    load_half,
    most,
    mul,
    peek,
    put,
    size,
    splat,
    store,
    store_bf16,
    store_bytes,
    sub,
    total,
)

OTHER, GELU, SWISH, SWIGLU = range(4)
"""activations that take a pass of their own; relu is cut off while the product is written"""

ANY = np.float32(-np.inf)
"""the floor of what is not cut"""
ZERO, ONE = np.float32(0), np.float32(1)


@compiled("void(i8,i8,i8,i8,i8,i8,i8)")
def operand(kind, given, given_step, rows, width, into, scales):
    """Rows of `width` floats as operands of a product: bf16, or bytes with a scale for each row."""
    for row in range(rows):
        place = given + row * given_step
        if kind == BF16:
            to = into + row * 2 * width
            for column in range(0, width, LANES):
                store_bf16(to + 2 * column, load(place + 4 * column))
        else:
            to = into + row * width
            high = splat(ZERO)
            for column in range(0, width, LANES):
                high = most(size(load(place + 4 * column)), high)
            peak = largest(high)
            put(scales + 4 * row, peak / np.float32(127))
            factor = np.float32(127) / peak if peak > np.float32(1e-30) else ZERO
            for column in range(0, width, LANES):
                store_bytes(to + column, load(place + 4 * column), factor)


@compiled("void(i8,i8,i8[::1],i8,i8,i8,i8,i8,i8,f4,i8,i8,i8,i8)")
def linear(kind, product, layer, at, given, given_step, rows, width, work, floor, more, more_step, into, into_step):
    """The layer whose record begins at column `at` of `layer`: rows of `width` floats, a multiple of 16, multiplied by
    the `product` of this kind, cut at `floor` from below, and added to the rows at `more` (or to one of zeros, with a
    step of 0). `work` has room for the operands and their scales, 4 × rows × (16 + width) bytes."""
    if kind != FP32:
        operands = work + (4 * rows + 63) // 64 * 64
        operand(kind, given, given_step, rows, width, operands, work)
        given, given_step = operands, (2 if kind == BF16 else 1) * width
    weights, words, outputs, bias = layer[at + WEIGHTS], layer[at + WORDS], layer[at + OUTPUTS], layer[at + BIAS]
    starts, scales = layer[at + STARTS], layer[at + SCALES]
    multiply(
        product, given, given_step, rows, weights, words, outputs, starts, work, scales, bias, floor, more, more_step,
        into, into_step,
    )  # fmt: skip


@compiled("void(i8,i8,i8,i8,i8,i8,i8,i8)")
def norm(given, given_step, rows, width, weight, bias, into, into_step):
    """Layer norm (Ba 2016) of rows of `width` floats, with torch's ε; weight and bias are 0 in the padding."""
    padded = (width + LANES - 1) // LANES * LANES
    for row in range(rows):
        place, to = given + row * given_step, into + row * into_step
        sums = splat(ZERO)
        for column in range(0, padded, LANES):
            sums = add(sums, load(place + 4 * column))
        mean = total(sums) / np.float32(width)
        shift, squares = splat(mean), splat(ZERO)
        for column in range(0, padded, LANES):
            off = sub(load(place + 4 * column), shift)
            squares = fma(off, off, squares)
        spread = (total(squares) - np.float32(padded - width) * mean * mean) / np.float32(width)
        factor = splat(ONE / np.float32(math.sqrt(spread + np.float32(1e-5))))
        for column in range(0, padded, LANES):
            off = mul(sub(load(place + 4 * column), shift), factor)
            store(to + 4 * column, fma(off, load(weight + 4 * column), load(bias + 4 * column)))


@compiled("void(i8,i8,i8)")
def rotate(place, half, angles):
    """Turns the pairs of a head, its first `half` and its second, by the angles: their sines, then their cosines."""
    if half % LANES == 0:
        for column in range(0, 4 * half, 4 * LANES):
            one, other = load(place + column), load(place + 4 * half + column)
            sine, cosine = load(angles + column), load(angles + 4 * half + column)
            store(place + column, sub(mul(one, cosine), mul(other, sine)))
            store(place + 4 * half + column, fma(one, sine, mul(other, cosine)))
    else:
        for column in range(0, 4 * half, 4):
            one, other = get(place + column), get(place + 4 * half + column)
            sine, cosine = get(angles + column), get(angles + 4 * half + column)
            put(place + column, one * cosine - other * sine)
            put(place + 4 * half + column, one * sine + other * cosine)


@compiled("void(i8,i8,i8,i8,i8)")
def activate(which, place, step, rows, width):
    """An activation that is not relu, in place. SwiGLU's gate is the first half of a row of 2 × `width`."""
    one, most_power = splat(ONE), splat(np.float32(88))
    for row in range(rows):
        here = place + row * step
        for column in range(0, 4 * width, 4 * LANES):
            if which == GELU:
                for single in range(here + column, here + column + 4 * LANES, 4):
                    value = get(single)
                    put(single, np.float32(0.5 * value * (1 + math.erf(value * math.sqrt(0.5)))))
            else:
                value = load(here + column)
                value = div(value, add(one, exp(least(sub(splat(ZERO), value), most_power))))
                if which == SWIGLU:
                    value = mul(value, load(here + 4 * width + column))
                store(here + column, value)


read, READ = load, 4 * LANES  # what is read as a vector, and its bytes: `attend_half` gives them another meaning


def _attend(query, where, count, keys, values, heads, width, scale, scores, into, weights, weights_step):
    """The contexts (H,width) of a query (H,width) over `count` tokens, Vaswani 2017, equation 1.

    `where` lists so many bytes for each token, at which its keys lie from `keys` on, and its values from `values`
    on, (H,width) both, the width a multiple of 16. `scores` has room for a head's (H, count and 32 more). The
    weights of a head are told at `weights`, unless that is 0, and those of the next `weights_step` bytes after.
    """
    vectors = width // LANES
    all_bytes = heads * vectors * READ
    step = 4 * (count // LANES + 2) * LANES
    # Token by token, as they lie in memory. The values are asked for meanwhile.
    for token in range(count):
        offset = peek(where + 8 * token)
        key, value = keys + offset, values + offset
        for line in range(0, all_bytes, 64):
            fetch(value + line)
        for head in range(heads):
            sums = splat(ZERO)
            for number in range(head * vectors, (head + 1) * vectors):
                sums = fma(load(query + 4 * LANES * number), read(key + READ * number), sums)
            put(scores + head * step + 4 * token, total(sums) * scale)
    for head in range(heads):
        chances = scores + head * step
        highs = splat(ANY)
        for token in range(0, count, LANES):
            score = begin(load(chances + 4 * token), count - token)
            store(chances + 4 * token, score)
            highs = most(score, highs)
        shift, sums = splat(largest(highs)), splat(ZERO)
        for token in range(0, count, LANES):
            chance = exp(sub(load(chances + 4 * token), shift))
            store(chances + 4 * token, chance)
            sums = add(sums, chance)
        share = ONE / total(sums)
        number = head * vectors
        end = number + vectors
        while number < end:
            here, to = values + READ * number, into + 4 * LANES * number
            if end - number >= 4:
                one, two, three, four = splat(ZERO), splat(ZERO), splat(ZERO), splat(ZERO)
                for token in range(count):
                    chance = splat(get(chances + 4 * token))
                    place = here + peek(where + 8 * token)
                    one = fma(chance, read(place), one)
                    two = fma(chance, read(place + READ), two)
                    three = fma(chance, read(place + 2 * READ), three)
                    four = fma(chance, read(place + 3 * READ), four)
                part = splat(share)
                store(to, mul(one, part))
                store(to + 4 * LANES, mul(two, part))
                store(to + 8 * LANES, mul(three, part))
                store(to + 12 * LANES, mul(four, part))
                number += 4
            else:
                one = splat(ZERO)
                for token in range(count):
                    chance = splat(get(chances + 4 * token))
                    one = fma(chance, read(here + peek(where + 8 * token)), one)
                store(to, mul(one, splat(share)))
                number += 1
        if weights:
            for token in range(count):
                put(weights + head * weights_step + 4 * token, get(chances + 4 * token) * share)


ATTENDS = "void(i8,i8,i8,i8,i8,i8,i8,f4,i8,i8,i8,i8)"
attend_float = compiled(ATTENDS)(variant(_attend, "attend_float", {}))
attend_half = compiled(ATTENDS)(variant(_attend, "attend_half", {"read": load_half, "READ": 2 * LANES}))
