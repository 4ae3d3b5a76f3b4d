"""A recurrent model's whole passes: an encoder layer over sentences, the decoder over rows, each one call of machine
code."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from ojak.compiled.compiler import compiled
from ojak.compiled.layers import ANY, ONE, ZERO, linear
from ojak.compiled.pack import RECORD
from ojak.compiled.vectors import (
    LANES,
    add,
    begin,
    div,
    exp,
    fma,
    get,
    load,
    mul,
    put,
    splat,
    store,
    sub,
    total,
    vector,
)

RNN, GRU, LSTM = range(3)
GATES = (1, 3, 4)
"""of a cell of each kind"""
NONE, ADDITIVE, DOT = range(3)
"""how a query is scored against keys; general and scaled dot attention are dot attention over other keys"""

CELL, KIND, PRODUCT, ZEROS, WIDTH, STATE, EMBEDDING, READOUT = range(8)
SCORER, BEFORE, FEEDS, CONTEXT_AT, WORD_AT, JOINT = range(8, 14)
"""what a model's shape tells: kind of cell, kind of product and its address, that of a row of zeros, and widths, all
padded, of cells, of the encoder's states, of word vectors and of read-outs; then how queries are scored, whether before
the cell, whether read-outs are fed back, where in what the read-out sees the context and the word begin (0: not there),
and how wide it is"""

QUERY, GIVEN, EXTRA, READ, CELLS = (*range(0, 4 * RECORD, RECORD), 4 * RECORD)
"""columns of the decoder's record: queries (additive); the first cell's gates by the word, and by what else enters it;
the read-out; then for each layer gates by the layer below and by the last state"""
ENTRY, RECURRENT = 0, RECORD
"""of a layer"""


@compiled(vector(vector))
def sigmoid(value):
    """1 / (1 + e^-x) of each"""
    one = splat(ONE)
    return div(one, add(one, exp(sub(splat(ZERO), value))))


@compiled(vector(vector))
def tanh(value):
    """tanh of each, to 1e-7 of 1"""
    half = sigmoid(add(value, value))
    return sub(add(half, half), splat(ONE))


@compiled("void(i8,i8,i8,i8,i8,i8)")
def cell(which, given, past, width, hidden, memory):
    """The next state of one row, in place: gates from the input and from the last state, `width` floats each in torch's
    order (see `model.cell`)."""
    gate = 4 * width
    for column in range(0, gate, 4 * LANES):
        one, other, state = given + column, past + column, hidden + column
        if which == RNN:
            store(state, tanh(add(load(one), load(other))))
        elif which == GRU:
            reset = sigmoid(add(load(one), load(other)))
            update = sigmoid(add(load(one + gate), load(other + gate)))
            new = tanh(fma(reset, load(other + 2 * gate), load(one + 2 * gate)))
            store(state, fma(update, sub(load(state), new), new))
        else:
            entry = sigmoid(add(load(one), load(other)))
            forget = sigmoid(add(load(one + gate), load(other + gate)))
            new = tanh(add(load(one + 2 * gate), load(other + 2 * gate)))
            out = sigmoid(add(load(one + 3 * gate), load(other + 3 * gate)))
            kept = fma(forget, load(memory + column), mul(entry, new))
            store(memory + column, kept)
            store(state, mul(out, tanh(kept)))


@compiled("void(i8[::1],i8[::1],i8,i8,i8,i8,i8,i8,i8)")
def through(shape, net, at, given, width, rows, work, into, step):
    """Rows of `width` floats, one after another, through the layer whose record begins at column `at`."""
    linear(shape[KIND], shape[PRODUCT], net, at, given, 4 * width, rows, width, work, ANY, shape[ZEROS], 0, into, step)


@compiled("void(i8[::1],i8[::1],i8,i8,i8,i8,i8,i8,i8)")
def added(shape, net, at, given, width, rows, work, into, step):
    """The same, added to what is there."""
    linear(shape[KIND], shape[PRODUCT], net, at, given, 4 * width, rows, width, work, ANY, into, step, into, step)


@compiled("void(i8,i8,i8)")
def copy(given, width, into):
    """`width` floats."""
    for column in range(0, 4 * width, 4 * LANES):
        store(into + column, load(given + column))


@compiled("void(i8[::1],i8[::1],i8[::1],i8[::1],i8,i8,i8,i8,b1,i8,i8,i8)")
def read(shape, layer, order, begins, width, given, gates, gates_step, backward, into, into_step, space):
    """One layer of the encoder in one direction: rows of tokens `given`, those of each sentence one after another from
    `begins` (B+1) on; their gates by the input go to `gates`, the states after each token to `into`.

    `order` (B) names the sentences from the longest to the shortest, so that those which still have tokens stand first.
    """
    tokens, count = begins[-1], len(order)
    cells = shape[WIDTH]
    through(shape, layer, ENTRY, given, width, tokens, space, gates, gates_step)
    hidden = space
    memory = hidden + 4 * count * cells
    past = memory + 4 * count * cells
    work = past + count * gates_step
    for place in range(hidden, past, 4 * LANES):
        store(place, splat(ZERO))
    active = count
    for after in range(begins[order[0] + 1] - begins[order[0]]):
        while begins[order[active - 1] + 1] - begins[order[active - 1]] <= after:
            active -= 1
        through(shape, layer, RECURRENT, hidden, cells, active, work, past, gates_step)
        for row in range(active):
            sentence = order[row]
            token = begins[sentence + 1] - 1 - after if backward else begins[sentence] + after
            here = hidden + 4 * row * cells
            cell(
                shape[CELL], gates + token * gates_step, past + row * gates_step, cells, here, memory + 4 * row * cells
            )
            copy(here, cells, into + token * into_step)


@compiled("void(i8[::1],i8[::1],i8,i8,i8,i8,i8[::1],i8[::1],i8,i8,i8,i8,i8,i8,i8,i8)")
def look(
    shape,
    net,
    query,
    rows,
    keys,
    states,
    begins,
    sentence,
    additive,
    scores,
    asked,
    context,
    step,
    told,
    told_step,
    work,
):
    """The contexts of `rows` of queries at `context`, `step` bytes apart, and where `told` is not 0 the weights."""
    width, wide = shape[WIDTH], shape[STATE]
    if shape[SCORER] == ADDITIVE:
        asked_step = 4 * ((width + 63) // 64 * 64)
        through(shape, net, QUERY, query, width, rows, work, asked, asked_step)
    else:
        asked, asked_step = query, 4 * width
    for row in range(rows):
        first = begins[sentence[row]]
        count = begins[sentence[row] + 1] - first
        question, high = asked + row * asked_step, ANY
        for token in range(count):
            key, sums = keys + 4 * (first + token) * width, splat(ZERO)
            for column in range(0, 4 * width, 4 * LANES):
                if shape[SCORER] == ADDITIVE:
                    sums = fma(tanh(add(load(question + column), load(key + column))), load(additive + column), sums)
                else:
                    sums = fma(load(question + column), load(key + column), sums)
            score = total(sums)
            high = max(high, score)
            put(scores + 4 * token, score)
        shift, sums = splat(high), splat(ZERO)
        for token in range(0, count, LANES):
            chance = exp(sub(begin(load(scores + 4 * token), count - token), shift))
            store(scores + 4 * token, chance)
            sums = add(sums, chance)
        share, to = ONE / total(sums), context + row * step
        for column in range(0, 4 * wide, 4 * LANES):
            sums = splat(ZERO)
            for token in range(count):
                sums = fma(splat(get(scores + 4 * token)), load(states + 4 * (first + token) * wide + column), sums)
            store(to + column, mul(sums, splat(share)))
        if told:
            for token in range(count):
                put(told + row * told_step + 4 * token, get(scores + 4 * token) * share)


@compiled("void(i8[::1],i8[::1],i8,i8[::1],i8,i8[::1],i8[::1],i8,i8,i8,i8,i8,i8[::1],i8[::1],i8,i8,i8,i8,i8,i8)")
def say(
    shape, net, words, ids, length, hidden, memory, feed, keys, states, summary, constant, begins, sentence, additive,
    attention, longest, into, into_step, space,
):  # fmt: skip
    """The read-outs after each of the tokens `ids` (N × T, `length` T), at `into`.

    `hidden` and `memory` (L) are the addresses of the cells' states (N,D), `feed` that of the last read-outs, all
    changed in place. `keys`, `states` and `summary` belong to the source, `constant` is what its one vector adds to the
    gates, or 0; `sentence` (N) says which each row reads. `attention` is where the weights (N,T,S) go, 0 for nowhere,
    for `longest` (S) source tokens; it holds zeros.
    """
    rows = len(sentence)
    width, wide, words_width, read_width = shape[WIDTH], shape[STATE], shape[EMBEDDING], shape[READOUT]
    count = 1 if shape[CELL] == RNN else 3 if shape[CELL] == GRU else 4
    gates_step = 4 * ((count * width + 63) // 64 * 64)
    asked_step = 4 * ((width + 63) // 64 * 64)
    read_step = 4 * ((read_width + 63) // 64 * 64)
    gates = space
    past = gates + rows * gates_step
    asked = past + rows * gates_step
    context = asked + rows * asked_step
    word = context + 4 * rows * wide
    joint = word + 4 * rows * words_width
    found = joint + 4 * rows * shape[JOINT]
    scores = found + rows * read_step
    work = scores + 4 * (longest + LANES)
    work = (work + 63) // 64 * 64
    top = hidden[len(hidden) - 1]
    for after in range(length):
        for row in range(rows):
            copy(words + 4 * ids[row * length + after] * words_width, words_width, word + 4 * row * words_width)
        through(shape, net, GIVEN, word, words_width, rows, work, gates, gates_step)
        if constant:
            for row in range(rows):
                for column in range(0, gates_step, 4 * LANES):
                    here = gates + row * gates_step + column
                    store(here, add(load(here), load(constant + sentence[row] * gates_step + column)))
        told = attention
        if attention:
            told += 4 * after * longest
        if shape[BEFORE]:
            look(
                shape, net, top, rows, keys, states, begins, sentence, additive, scores, asked, context, 4 * wide, told,
                4 * length * longest, work,
            )  # fmt: skip
            added(shape, net, EXTRA, context, wide, rows, work, gates, gates_step)
        elif shape[FEEDS]:
            added(shape, net, EXTRA, feed, read_width, rows, work, gates, gates_step)
        for number in range(len(hidden)):
            at = CELLS + 2 * RECORD * number
            if number:
                through(shape, net, at + ENTRY, hidden[number - 1], width, rows, work, gates, gates_step)
            through(shape, net, at + RECURRENT, hidden[number], width, rows, work, past, gates_step)
            for row in range(rows):
                here = 4 * row * width
                cell(
                    shape[CELL], gates + row * gates_step, past + row * gates_step, width, hidden[number] + here,
                    memory[number] + here,
                )  # fmt: skip
        if shape[SCORER] and not shape[BEFORE]:
            look(
                shape, net, top, rows, keys, states, begins, sentence, additive, scores, asked, context, 4 * wide, told,
                4 * length * longest, work,
            )  # fmt: skip
        for row in range(rows):
            to = joint + 4 * row * shape[JOINT]
            copy(top + 4 * row * width, width, to)
            if shape[CONTEXT_AT]:
                seen = context + 4 * row * wide if shape[SCORER] else summary + 4 * sentence[row] * wide
                copy(seen, wide, to + 4 * shape[CONTEXT_AT])
            if shape[WORD_AT]:
                copy(word + 4 * row * words_width, words_width, to + 4 * shape[WORD_AT])
        through(shape, net, READ, joint, shape[JOINT], rows, work, found, read_step)
        for row in range(rows):
            to = into + (row * length + after) * into_step
            for column in range(0, 4 * read_width, 4 * LANES):
                store(to + column, tanh(load(found + row * read_step + column)))
            if shape[FEEDS]:
                copy(to, read_width, feed + 4 * row * read_width)


@compiled("i8(i8[::1],i8,i8)")
def room(shape, rows, longest):
    """Bytes that `say` works in."""
    count = 1 if shape[CELL] == RNN else 3 if shape[CELL] == GRU else 4
    widest = max(shape[WIDTH], shape[STATE], shape[EMBEDDING], shape[JOINT], shape[READOUT])
    floats = 2 * (count * shape[WIDTH] + 63) + shape[WIDTH] + 63 + shape[STATE] + shape[EMBEDDING] + shape[JOINT]
    floats += shape[READOUT] + 63 + 16 + widest
    return 4 * rows * floats + 4 * (longest + LANES) + 192
