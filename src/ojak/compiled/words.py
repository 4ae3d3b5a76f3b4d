"""From the decoder's states to words: the logits, or only the likeliest words, for which no logits are kept."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import math

import numpy as np

from ojak.compiled.compiler import compiled
from ojak.compiled.layers import ANY, ZERO, linear, operand
from ojak.compiled.pack import BIAS, OUTPUTS, SCALES, STARTS, WEIGHTS, WORDS
from ojak.compiled.products import BF16, FP32, multiply
from ojak.compiled.vectors import (
    LANES,
    above,
    add,
    begin,
    exp,
    first,
    get,
    hold,
    largest,
    load,
    most,
    put,
    splat,
    store,
    sub,
    total,
)
from ojak.text.vocabulary import EOS, SPECIALS

TOGETHER = 512
"""so many words' logits of all rows are made, and read while they are near; a multiple of PANEL"""
AT_FIRST = len(SPECIALS)
"""the specials stand before all other words; of them only the end may be said"""


@compiled("void(i8,i8,i8[::1],i8,i8,i8,i8,i8,f4[:,::1])")
def logits(kind, product, record, given, given_step, rows, width, zeros, into):
    """Logits of `rows` of states, for all outputs of the layer, padding included, into an array (rows, OUTPUTS)."""
    space = np.empty(4 * rows * (16 + width) + 64, np.uint8)
    step = 4 * record[OUTPUTS]
    linear(
        kind, product, record, 0, given, given_step, rows, width, space.ctypes.data, ANY, zeros, 0, into.ctypes.data,
        step,
    )  # fmt: skip
    hold(space)


@compiled("void(i8,i8,i8[::1],i8,i8,i8,i8,i8,i8,f4[:,::1],i8[::1],f4[:,::1],i8[:,::1],f4[::1])")
def likeliest(kind, product, record, given, given_step, rows, width, zeros, words, barred, sentence, scores, best, end):
    """The likeliest of `words` words for each of `rows` of states, the first of equals first, into `best` (rows,C) with
    their log-probabilities in `scores` (rows,C), and the log-probability of the end into `end` (rows).

    `barred` (B,V') holds what is added to the logits of each `sentence` (rows), 0 or −∞; it may have no rows. Specials
    other than the end take part in the sum of the probabilities, but are not chosen.
    """
    count = best.shape[1]
    size = 2 if kind == BF16 else 1
    room = (4 * rows + 63) // 64 * 64
    space = np.empty(room + 4 * rows * width + 4 * rows * TOGETHER + 64, np.uint8)
    work = (space.ctypes.data + 63) // 64 * 64
    block = work + room + 4 * rows * width
    operands, step = given, given_step
    if kind != FP32:
        operands, step = work + room, size * width
        operand(kind, given, given_step, rows, width, operands, work)
    peaks, sums = np.full(rows, -np.inf, np.float32), np.zeros(rows, np.float32)
    scores[:] = -np.inf
    best[:] = EOS
    for start in range(0, record[OUTPUTS], TOGETHER):
        outputs = min(TOGETHER, record[OUTPUTS] - start)
        multiply(
            product, operands, step, rows, record[WEIGHTS] + 4 * start * record[WORDS], record[WORDS], outputs,
            record[STARTS] + 4 * start, work, record[SCALES] + 4 * start, record[BIAS] + 4 * start, ANY, zeros, 0,
            block, 4 * TOGETHER,
        )  # fmt: skip
        real = min(outputs, words - start)
        for row in range(rows):
            here = block + 4 * row * TOGETHER
            highs = splat(ANY)
            if len(barred):
                bars = barred.ctypes.data + 4 * (sentence[row] * barred.shape[1] + start)
                for column in range(0, real, LANES):
                    store(here + 4 * column, add(load(here + 4 * column), load(bars + 4 * column)))
            if real % LANES:
                last = here + 4 * (real // LANES * LANES)
                store(last, begin(load(last), real % LANES))
            for column in range(0, real, LANES):
                highs = most(load(here + 4 * column), highs)
            high = largest(highs)
            if high > peaks[row]:
                sums[row] *= np.float32(math.exp(peaks[row] - high))
                peaks[row] = high
            shift, chances = splat(peaks[row]), splat(ZERO)
            for column in range(0, real, LANES):
                chances = add(chances, exp(sub(load(here + 4 * column), shift)))
            sums[row] += total(chances)
            if start == 0:
                end[row] = get(here + 4 * EOS)
                for special in range(AT_FIRST):
                    if special != EOS:
                        put(here + 4 * special, ANY)
            bound = scores[row, count - 1]
            if high <= bound:
                continue
            for column in range(0, real, LANES):
                bits = above(load(here + 4 * column), bound)
                while bits:
                    word = column + first(bits)
                    bits &= bits - 1
                    score = get(here + 4 * word)
                    if score > bound:
                        place = count - 1
                        while place > 0 and scores[row, place - 1] < score:
                            scores[row, place], best[row, place] = scores[row, place - 1], best[row, place - 1]
                            place -= 1
                        scores[row, place], best[row, place] = score, start + word
                        bound = scores[row, count - 1]
    for row in range(rows):
        whole = peaks[row] + np.float32(math.log(sums[row]))
        end[row] -= whole
        for place in range(count):
            scores[row, place] -= whole
    hold(space)
