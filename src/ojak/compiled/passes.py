"""A Transformer's whole passes: the encoder over sentences, the decoder over rows, each one call of machine code."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import math

import numpy as np

from ojak.compiled.compiler import compiled
from ojak.compiled.layers import (
    ANY,
    ZERO,
    activate,
    attend_float,
    attend_half,
    linear,
    norm,
    rotate,
)
from ojak.compiled.pack import RECORD
from ojak.compiled.vectors import LANES, add, hold, load, load_half, poke, store, store_half

WIDTH, ROW, HEADS, HEAD, PADDED, INNER, INNER_ROW, PRE, ROTARY, ACTIVATION, KIND, PRODUCT, ZEROS = range(13)
"""what a model's shape tells: width, floats from row to row, heads, width of one and the same padded, inner width
padded, its floats from row to row, whether norms come first, whether places are told by rotation, which activation,
which kind of product and its address, and that of a row of zeros"""

OWN, OUT, QUERY, CROSS, SOURCE, INTO, BACK, NORMS = (*range(0, 7 * RECORD, RECORD), 7 * RECORD)
"""columns of a layer: queries, keys and values of its own side; what becomes of its context; queries for the source;
what becomes of that context; keys and values of the source; feed-forward, inner and outer; weights and biases of three
norms"""
COLUMNS = NORMS + 6


@compiled("UniTuple(i8,9)(i8[::1],i8,i8)")
def room(shape, rows, longest):
    """Places of what a pass over `rows` works with, counted in bytes, and how many they are together: states, what a
    part reads, queries with keys and values, contexts, inner states, operands, scores, and addresses of tokens."""
    joint = (3 * shape[HEADS] * shape[PADDED] + 63) // 64 * 64
    states = 0
    read = states + 4 * rows * shape[ROW]
    asked = read + 4 * rows * shape[ROW]
    context = asked + 4 * rows * joint
    inner = context + 4 * rows * shape[HEADS] * shape[PADDED]
    work = inner + 4 * rows * shape[INNER_ROW]
    widest = max(shape[ROW], shape[INNER], shape[HEADS] * shape[PADDED])
    scores = work + 4 * rows * (16 + widest) + 64
    where = scores + 4 * shape[HEADS] * (longest + 2 * LANES)
    return states, read, asked, context, inner, work, scores, where, where + 8 * longest + 64


@compiled("void(i8[::1],i8[::1],i8,i8,i8,i8,i8,i8,f4,i8,i8,i8,i8)")
def through(shape, layer, at, given, given_step, rows, width, work, floor, more, more_step, into, into_step):
    """Rows through the layer at column `at` (see `linear`)."""
    linear(
        shape[KIND], shape[PRODUCT], layer, at, given, given_step, rows, width, work, floor, more, more_step, into,
        into_step,
    )  # fmt: skip


@compiled("void(i8[::1],i8,b1,i8[::1],i8[::1],i8,i8)")
def look_up(shape, table, halves, ids, places, sinusoid, into):
    """The vectors of `ids` (R), from rows of `ROW` floats or halves, with the sinusoids of their `places`."""
    row_bytes = 4 * shape[ROW]
    for row in range(len(ids)):
        for column in range(0, shape[ROW], LANES):
            if halves:
                value = load_half(table + ids[row] * (row_bytes // 2) + 2 * column)
            else:
                value = load(table + ids[row] * row_bytes + 4 * column)
            if not shape[ROTARY]:
                value = add(value, load(sinusoid + places[row] * row_bytes + 4 * column))
            store(into + row * row_bytes + 4 * column, value)


@compiled("void(i8[::1],i8,i8,i8)")
def rotate_heads(shape, place, count, angles):
    """Turns `count` heads side by side."""
    for head in range(count):
        rotate(place + 4 * head * shape[PADDED], shape[HEAD] // 2, angles)


@compiled("void(i8[::1],i8[::1],i8,i8,i8,i8,i8,i8)")
def feed_forward(shape, layer, number, states, rows, read, inner, work):
    """The feed-forward part of a layer, in place."""
    row = 4 * shape[ROW]
    step = 4 * shape[INNER_ROW]
    weight, bias = layer[NORMS + 2 * number], layer[NORMS + 2 * number + 1]
    given = states
    if shape[PRE]:
        norm(states, row, rows, shape[WIDTH], weight, bias, read, row)
        given = read
    floor = ANY if shape[ACTIVATION] else ZERO
    width = (shape[WIDTH] + LANES - 1) // LANES * LANES
    through(shape, layer, INTO, given, row, rows, width, work, floor, shape[ZEROS], 0, inner, step)
    if shape[ACTIVATION]:
        activate(shape[ACTIVATION], inner, step, rows, shape[INNER])
    through(shape, layer, BACK, inner, step, rows, shape[INNER], work, ANY, states, row, states, row)
    if not shape[PRE]:
        norm(states, row, rows, shape[WIDTH], weight, bias, states, row)


@compiled("i8(i8[::1],i8[::1],i8,i8,i8,i8)")
def enter(shape, layer, number, states, rows, read):
    """What a part of a layer reads."""
    if not shape[PRE]:
        return states
    row = 4 * shape[ROW]
    norm(states, row, rows, shape[WIDTH], layer[NORMS + 2 * number], layer[NORMS + 2 * number + 1], read, row)
    return read


@compiled("void(i8[::1],i8[::1],i8,i8,i8,i8,i8,i8)")
def leave(shape, layer, number, at, context, states, rows, work):
    """Adds what a part has found, `context` through the layer at column `at`, to the states."""
    row, width = 4 * shape[ROW], shape[HEADS] * shape[PADDED]
    through(shape, layer, at, context, 4 * width, rows, width, work, ANY, states, row, states, row)
    if not shape[PRE]:
        weight, bias = layer[NORMS + 2 * number], layer[NORMS + 2 * number + 1]
        norm(states, row, rows, shape[WIDTH], weight, bias, states, row)


@compiled("void(i8[::1],i8[::1],i8,i8,i8)")
def finish(shape, last, states, rows, into):
    """The last norm, where there is one, into rows of ROW floats."""
    row = 4 * shape[ROW]
    if shape[PRE]:
        norm(states, row, rows, shape[WIDTH], last[0], last[1], into, row)
    else:
        for column in range(0, rows * row, 4 * LANES):
            store(into + column, load(states + column))


@compiled("void(i8[::1],i8[:,::1],i8[::1],i8,b1,i8[::1],i8[::1],i8[::1],i8[::1],f4[:,::1])")
def encode(shape, layers, last, words, halves, tables, ids, places, begins, into):
    """The states of sentences' tokens `ids` (R), which have `places` (R) in sentences that begin at `begins` (B+1).

    `layers` is the table of the encoder, `last` weight and bias of its last norm or zeros, `words` the address of the
    word vectors, `tables` those of sinusoids and of angles. The states go into an array (R,ROW).
    """
    rows, sentences = len(ids), len(begins) - 1
    states, read, asked, context, inner, work, scores, where, whole = room(shape, rows, rows)
    space = np.empty(whole, np.uint8)
    base = (space.ctypes.data + 63) // 64 * 64
    states, read, asked, context = states + base, read + base, asked + base, context + base
    inner, work, scores, where = inner + base, work + base, scores + base, where + base
    row, width = 4 * shape[ROW], (shape[WIDTH] + LANES - 1) // LANES * LANES
    heads, padded = shape[HEADS], shape[PADDED]
    side = heads * padded
    joint = 4 * ((3 * side + 63) // 64 * 64)
    scale = np.float32(1 / math.sqrt(shape[HEAD]))
    look_up(shape, words, halves, ids, places, tables[0], states)
    for number in range(len(layers)):
        layer = layers[number]
        given = enter(shape, layer, 0, states, rows, read)
        through(shape, layer, OWN, given, row, rows, width, work, ANY, shape[ZEROS], 0, asked, joint)
        if shape[ROTARY]:
            for token in range(rows):
                angles = tables[1] + 4 * shape[HEAD] * places[token]
                rotate_heads(shape, asked + token * joint, 2 * heads, angles)
        for sentence in range(sentences):
            begin, count = begins[sentence], begins[sentence + 1] - begins[sentence]
            for token in range(count):
                poke(where + 8 * token, token * joint)
            keys = asked + begin * joint + 4 * side
            for token in range(begin, begin + count):
                query, to = asked + token * joint, context + 4 * token * side
                attend_float(query, where, count, keys, keys + 4 * side, heads, padded, scale, scores, to, 0, 0)
        leave(shape, layer, 0, OUT, context, states, rows, work)
        feed_forward(shape, layer, 1, states, rows, read, inner, work)
    finish(shape, last, states, rows, into.ctypes.data)
    hold(space)


@compiled("void(i8,i8,i8,i8,b1,i8)")
def keep(given, step, rows, width, halves, into):
    """Stores rows of `width` floats side by side, in half precision or as they are."""
    for row in range(rows):
        for column in range(0, width, LANES):
            value = load(given + row * step + 4 * column)
            if halves:
                store_half(into + 2 * (row * width + column), value)
            else:
                store(into + 4 * (row * width + column), value)


@compiled("void(i8[::1],i8[:,::1],i8,i8,i8,b1,i8[::1])")
def sources(shape, layers, given, step, rows, halves, into):
    """Keys and values of the source for each layer of the decoder: of `rows` of states, at the addresses `into`
    (L), first all keys (rows, HEADS × PADDED) and then all values."""
    kept = 2 * shape[HEADS] * shape[PADDED]
    joint = (kept + 63) // 64 * 64
    width = (shape[WIDTH] + LANES - 1) // LANES * LANES
    space = np.empty(4 * rows * joint + 4 * rows * (16 + width) + 128, np.uint8)
    asked = (space.ctypes.data + 63) // 64 * 64
    work = asked + 4 * rows * joint
    for number in range(len(layers)):
        layer = layers[number]
        through(shape, layer, SOURCE, given, step, rows, width, work, ANY, shape[ZEROS], 0, asked, 4 * joint)
        keep(asked, 4 * joint, rows, kept // 2, halves, into[number])
        values = into[number] + rows * (kept // 2) * (2 if halves else 4)
        keep(asked + 2 * kept, 4 * joint, rows, kept // 2, halves, values)
    hold(space)


@compiled("void(b1,i8,i8,i8,i8,i8,i8,i8,f4,i8,i8,i8,i8)")
def attend(halves, query, where, count, keys, values, heads, width, scale, scores, into, weights, weights_step):
    """Attention (see `layers._attend`) over keys and values of half or single precision."""
    if halves:
        attend_half(query, where, count, keys, values, heads, width, scale, scores, into, weights, weights_step)
    else:
        attend_float(query, where, count, keys, values, heads, width, scale, scores, into, weights, weights_step)


@compiled(
    "void(i8[::1],i8[:,::1],i8[::1],i8,b1,i8[::1],i8[::1],i8,i8,i4[:,::1],i8[::1],i8,i8,i8[::1],i8[::1],i8[::1],f4[::1],i8,f4[:,:,::1])"
)
def decode(
    shape, layers, last, words, halves, tables, ids, length, position, trail, own, slots, capacity, cross, begins,
    sentence, attention, longest, into,
):  # fmt: skip
    """The decoder's states after each of the tokens `ids` (N × T, `length` T), at `into`.

    `position` tokens have been read before. The keys of row n's token t lie at the addresses `own` (L), in slot
    `trail[n, t]` of `slots` slots of `capacity` tokens, and so do the values after all keys; those of the source lie at
    `cross` (L), where `sentence` (N) says which and `begins` (B+1) where each
    begins. Weights go into `attention`, zeros (N × T × K × S), unless it is empty, for `longest` (S) source tokens.
    Rows of a sentence stand side by side.
    """
    rows, count = len(ids), len(sentence)
    longest_side = max(position + length, longest) + LANES
    states, read, asked, context, inner, work, scores, where, whole = room(shape, rows, longest_side)
    space = np.empty(whole, np.uint8)
    base = (space.ctypes.data + 63) // 64 * 64
    states, read, asked, context = states + base, read + base, asked + base, context + base
    inner, work, scores, where = inner + base, work + base, scores + base, where + base
    row, width = 4 * shape[ROW], (shape[WIDTH] + LANES - 1) // LANES * LANES
    heads, padded = shape[HEADS], shape[PADDED]
    side = heads * padded
    joint = 4 * ((3 * side + 63) // 64 * 64)
    alone = 4 * ((side + 63) // 64 * 64)
    bytes_ = 2 if halves else 4
    kept = side * bytes_  # of a token
    scale = np.float32(1 / math.sqrt(shape[HEAD]))
    places = np.empty(rows, np.int64)
    for token in range(rows):
        places[token] = position + token % length
    look_up(shape, words, halves, ids, places, tables[0], states)
    for number in range(len(layers)):
        layer = layers[number]
        given = enter(shape, layer, 0, states, rows, read)
        through(shape, layer, OWN, given, row, rows, width, work, ANY, shape[ZEROS], 0, asked, joint)
        for token in range(rows):
            place = asked + token * joint
            if shape[ROTARY]:
                rotate_heads(shape, place, 2 * heads, tables[1] + 4 * shape[HEAD] * places[token])
            slot = own[number] + ((token // length) * capacity + places[token]) * kept
            keep(place + 4 * side, joint, 1, side, halves, slot)
            keep(place + 8 * side, joint, 1, side, halves, slot + slots * capacity * kept)
        values = own[number] + slots * capacity * kept
        for one in range(count):
            for token in range(position + length):
                poke(where + 8 * token, (trail[one, token] * capacity + token) * kept)
            for after in range(length):
                token = one * length + after
                query, to, seen = asked + token * joint, context + 4 * token * side, position + after + 1
                attend(halves, query, where, seen, own[number], values, heads, padded, scale, scores, to, 0, 0)
        leave(shape, layer, 0, OUT, context, states, rows, work)

        given = enter(shape, layer, 1, states, rows, read)
        through(shape, layer, QUERY, given, row, rows, width, work, ANY, shape[ZEROS], 0, asked, alone)
        one = 0
        while one < count:
            # All rows of a sentence read its keys and values while they are near.
            end = one + 1
            while end < count and sentence[end] == sentence[one]:
                end += 1
            begin = begins[sentence[one]]
            seen = begins[sentence[one] + 1] - begin
            for token in range(seen):
                poke(where + 8 * token, (begin + token) * kept)
            values = cross[number] + begins[-1] * kept
            for token in range(one * length, end * length):
                query, to, told = asked + token * alone, context + 4 * token * side, 0
                if len(attention):
                    told = attention.ctypes.data + 4 * longest * (token * len(layers) + number) * heads
                attend(
                    halves, query, where, seen, cross[number], values, heads, padded, scale, scores, to, told,
                    4 * longest,
                )  # fmt: skip
            one = end
        leave(shape, layer, 1, CROSS, context, states, rows, work)
        feed_forward(shape, layer, 2, states, rows, read, inner, work)
    finish(shape, last, states, rows, into.ctypes.data)
    hold(space)
