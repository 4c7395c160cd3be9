"""Fill a tile with samples.

Random numbers are those of `tms._random`, in 32-bit arithmetic. Every intermediate result is cast back to 32
bits by name, since numba makes 64 bits of a sum or product of two 32-bit numbers without being asked.
"""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tms import _random
from tms._kernels._kernel import kernel
from tms._kernels._special import clear_rows, fill, like, log
from tms._kernels._types import GAPS
from tms._kernels._vector import VECTOR_BYTES, spread, store

ORDER, GAP, GAP_VALUE = _random.ORDER, _random.GAP, _random.GAP_VALUE

_ROUND_1, _ROUND_2 = np.uint32(0x21F0_AAAD), np.uint32(0x735A_2D97)


@kernel
def bits(counter, key0, key1):
    """`tms._random.bits` for uint32."""
    x = np.uint32(counter ^ key0)
    x = np.uint32(x ^ np.uint32(x >> np.uint32(16)))
    x = np.uint32(x * _ROUND_1)
    x = np.uint32(x ^ np.uint32(x >> np.uint32(15)))
    x = np.uint32(x ^ key1)
    x = np.uint32(x * _ROUND_2)
    return np.uint32(x ^ np.uint32(x >> np.uint32(15)))


@intrinsic
def _uniform_row(typing, tile, o, begin, step, key0, key1, last, scale, count):
    """A row of sparse uniform inputs, in whole vectors; `bits` for counters begin, begin + step, …"""

    def generate(context, builder, signature, arguments):
        tile, o, begin, step, key0, key1, last, scale, count = arguments
        scalar = context.get_value_type(signature.args[0].dtype)
        lanes = 8 * VECTOR_BYTES // signature.args[0].dtype.bitwidth
        integers, numbers = ir.VectorType(ir.IntType(32), lanes), ir.VectorType(scalar, lanes)

        def constant(value):
            return ir.Constant(integers, [value] * lanes)

        first, second = spread(builder, key0, integers), spread(builder, key1, integers)
        limit, factor = spread(builder, last, integers), spread(builder, scale, numbers)
        steps = spread(builder, step, integers)
        start = builder.mul(ir.Constant(integers, list(range(lanes))), steps)
        start = builder.add(start, spread(builder, begin, integers))
        zero = ir.Constant(numbers, [0.0] * lanes)
        out = context.make_array(signature.args[0])(context, builder, value=tile).data
        index = o.type
        with cgutils.for_range_slice(builder, index(0), count, index(lanes), intp=index) as (t, _):
            passed = spread(builder, builder.trunc(t, ir.IntType(32)), integers)
            x = builder.xor(builder.add(start, builder.mul(passed, steps)), first)
            x = builder.xor(x, builder.lshr(x, constant(16)))
            x = builder.mul(x, constant(int(_ROUND_1)))
            x = builder.xor(x, builder.lshr(x, constant(15)))
            x = builder.mul(builder.xor(x, second), constant(int(_ROUND_2)))
            x = builder.xor(x, builder.lshr(x, constant(15)))
            value = builder.fmul(builder.uitofp(x, numbers), factor)
            active = builder.icmp_unsigned("<=", x, limit)
            store(builder, builder.select(active, value, zero), builder.gep(out, [builder.add(o, t)]))
        return context.get_dummy_value()

    n, whole = types.intp, types.uint32
    return types.void(tile, n, whole, whole, whole, whole, whole, tile.dtype, n), generate


@intrinsic
def _grouped_row(typing, tile, o, counters, keys, last, scale, limits, start, count):
    """A row of features in sets, in whole vectors.

    counters: those of the feature's first number and of its set's, and the steps between samples. keys: two
    of the features, two of the sets. limits, start: of the set, see `_random.set_limits`.
    """

    def generate(context, builder, signature, arguments):
        tile, o, counters, keys, last, scale, limits, start, count = arguments
        scalar = context.get_value_type(signature.args[0].dtype)
        lanes = 8 * VECTOR_BYTES // signature.args[0].dtype.bitwidth
        integers, numbers = ir.VectorType(ir.IntType(32), lanes), ir.VectorType(scalar, lanes)

        def constant(value):
            return ir.Constant(integers, [value] * lanes)

        def every(values):
            whole = [builder.extract_value(values, i) for i in range(values.type.count)]
            return [spread(builder, value, integers) for value in whole]

        def first(begin, step):
            return builder.add(builder.mul(ir.Constant(integers, list(range(lanes))), step), begin)

        def drawn(begin, step, passed, key0, key1):
            x = builder.xor(builder.add(begin, builder.mul(passed, step)), key0)
            x = builder.xor(x, builder.lshr(x, constant(16)))
            x = builder.mul(x, constant(int(_ROUND_1)))
            x = builder.xor(x, builder.lshr(x, constant(15)))
            x = builder.mul(builder.xor(x, key1), constant(int(_ROUND_2)))
            return builder.xor(x, builder.lshr(x, constant(15)))

        begin, set_begin, step, set_step = every(counters)
        key0, key1, set_key0, set_key1 = every(keys)
        bound, together = every(limits)
        begin, set_begin = first(begin, step), first(set_begin, set_step)
        limit, factor = spread(builder, last, integers), spread(builder, scale, numbers)
        start = spread(builder, start, integers)
        zero = ir.Constant(numbers, [0.0] * lanes)
        unit = ir.Constant(numbers, [2.0**-32] * lanes)
        out = context.make_array(signature.args[0])(context, builder, value=tile).data
        index = o.type
        with cgutils.for_range_slice(builder, index(0), count, index(lanes), intp=index) as (t, _):
            passed = spread(builder, builder.trunc(t, ir.IntType(32)), integers)
            x = drawn(begin, step, passed, key0, key1)
            of_set = drawn(set_begin, set_step, passed, set_key0, set_key1)
            number = builder.uitofp(x, numbers)
            alone = builder.fmul(number, factor)
            alone = builder.select(builder.icmp_unsigned("<=", x, limit), alone, zero)
            active = builder.icmp_unsigned("<", builder.sub(of_set, start), together)
            value = builder.select(active, builder.fmul(number, unit), zero)
            is_bound = builder.icmp_unsigned("<", of_set, bound)
            store(builder, builder.select(is_bound, value, alone), builder.gep(out, [builder.add(o, t)]))
        return context.get_dummy_value()

    n, whole = types.intp, types.uint32
    four, two = types.UniTuple(whole, 4), types.UniTuple(whole, 2)
    return types.void(tile, n, four, four, whole, tile.dtype, two, whole, n), generate


@kernel
def _splitmix64(x):
    x = np.uint64(x + np.uint64(0x9E37_79B9_7F4A_7C15))
    x = np.uint64(np.uint64(x ^ np.uint64(x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9))
    x = np.uint64(np.uint64(x ^ np.uint64(x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB))
    return np.uint64(x ^ np.uint64(x >> np.uint64(31)))


@kernel
def keys(seed, purpose, step):
    """`tms._random.keys`, as two uint32."""
    state = _splitmix64(np.uint64(seed))
    state = _splitmix64(np.uint64(state ^ np.uint64(purpose)))
    state = _splitmix64(np.uint64(state ^ np.uint64(step)))
    return np.uint32(state & np.uint64(0xFFFF_FFFF)), np.uint32(state >> np.uint64(32))


@kernel
def uniform(c, w, first, count, key0, key1, last, scale):
    """Samples first … first + count − 1 of sparse uniform inputs, one random number for each feature.

    A feature is active where its bits are at most `last` (uint32 [feature]); its value is bits · `scale`.
    """
    for i in range(c.features):
        begin, step = np.uint32(first * c.features + i), np.uint32(c.features)
        _uniform_row(w.x, i * w.x.shape[1], begin, step, key0, key1, last[i], scale[i], count)
        fill(w.x[i, count:], 0.0)


@kernel
def grouped(c, w, first, count, keys0, keys1, last, scale, limits, start):
    """Samples first … first + count − 1 of features in sets of c.k: a number for each feature and each set.

    `last`, `scale`: as for `uniform`, where the set is not bound; `limits`, `start`: see
    `_random.set_limits`.
    """
    sets = c.features // c.k
    for i in range(c.features):
        counters = (
            np.uint32(first * c.features + i),
            np.uint32(first * sets + i // c.k),
            np.uint32(c.features),
            np.uint32(sets),
        )
        keys = (keys0[0], keys0[1], keys1[0], keys1[1])
        both = (limits[0], limits[1])
        _grouped_row(w.x, i * w.x.shape[1], counters, keys, last[i], scale[i], both, start[i], count)
        fill(w.x[i, count:], 0.0)


@kernel
def begin_gaps(w):
    """Start a batch that is sampled by gaps."""
    w.cursor[0] = GAPS  # next entry of those drawn ahead: none are left
    w.cursor[1] = -1  # last position drawn
    w.cursor[2] = 0  # entries drawn
    w.cursor[3] = 0  # samples with an active feature so far


@kernel
def _draw_gaps(c, w, factor, keys0, keys1):
    """Draw the next active features: sample, feature and value of each.

    The gap to the next one is geometric: ⌊log u / log(1 − p)⌋ inactive ones lie between.
    """
    drawn, position = w.cursor[2], w.cursor[1]
    a0, a1 = keys0
    b0, b1 = keys1
    gap, places, values, samples, features = w.gap, w.position, w.gap_value, w.gap_sample, w.gap_feature
    for q in range(GAPS):
        u = (float(bits(np.uint32(np.uint32(drawn) + np.uint32(q)), a0, a1)) + 0.5) * 2.0**-32
        # Beyond any batch all gaps are alike, and stay whole numbers of 64 bits.
        gap[q] = min(np.floor(log(u) * factor), 2.0**33)
    for q in range(GAPS):
        draw = bits(np.uint32(np.uint32(drawn) + np.uint32(q)), b0, b1)
        values[q] = like(draw, values) * like(2.0**-32, values)
    for q in range(GAPS):
        position += 1 + np.int64(gap[q])
        places[q] = position
    n, inverse, end = c.features, 1.0 / c.features, c.batch * c.features
    for q in range(GAPS):
        place = min(places[q], end)
        sample = np.int64((float(place) + 0.5) * inverse)
        samples[q] = sample
        features[q] = place - sample * n
    w.cursor[1], w.cursor[2] = position, drawn + GAPS


@kernel
def gaps(c, w, factor, keys0, keys1):
    """Fill the tile with the next samples of the batch that have an active feature.

    The samples without any have all the same output and gradient: the last column stands for them all.
    `factor` is 1 / log(1 − p). Returns the number of columns and whether the batch is complete.
    """
    x, start, feature, value, place = w.x, w.start, w.feature, w.value, w.column
    samples, features, values = w.gap_sample, w.gap_feature, w.gap_value
    width, q = x.shape[1], w.cursor[0]
    column, entry, current, complete = -1, 0, -1, False
    while True:
        if q == GAPS:
            _draw_gaps(c, w, factor, keys0, keys1)
            q = 0
        sample = np.int64(samples[q])
        if sample == c.batch:
            complete = True
            break
        # No branch for what the processor could only guess: whether this is the sample of the last entry.
        column += np.int64(sample != current)
        if column == width:
            column -= 1
            break
        current = sample
        i = np.int64(features[q])
        feature[entry] = i
        value[entry] = values[q]
        place[entry] = column
        x[i, column] = values[q]
        entry += 1
        start[column + 1] = entry
        q += 1
    w.cursor[0] = q
    columns = column + 1
    fill(w.weight[:columns], 1.0)
    fill(w.weight[columns:], 0.0)
    w.cursor[3] += columns
    if complete and w.cursor[3] < c.batch:
        if columns == width:
            complete = False
        else:
            w.weight[columns] = like(c.batch - w.cursor[3], w.weight)
            columns += 1
            start[columns] = entry
            w.cursor[3] = c.batch
    return columns, complete


@kernel
def k_sparse(c, w, first, count, keys0, keys1):
    """Samples first … first + count − 1 of k-sparse inputs.

    The j-th draw picks one of the n − j features not chosen yet: its rank among them is raised by one for
    every chosen feature that does not lie above it, going through these in rising order. Entries are kept in
    that order.
    """
    a0, a1 = keys0
    b0, b1 = keys1
    for t in range(count):
        begin = t * c.k
        w.start[t] = begin
        for j in range(c.k):
            counter = np.uint32((first + t) * c.k + j)
            pick = np.int64((np.uint64(bits(counter, a0, a1)) * np.uint64(c.features - j)) >> np.uint64(32))
            place = begin
            while place < begin + j and w.feature[place] <= pick:
                pick += 1
                place += 1
            for e in range(begin + j, place, -1):
                w.feature[e] = w.feature[e - 1]
                w.value[e] = w.value[e - 1]
            w.feature[place] = pick
            if c.ones:
                w.value[place] = like(1.0, w.value)
            else:
                w.value[place] = like(bits(counter, b0, b1), w.value) * like(2.0**-32, w.value)
        for e in range(begin, begin + c.k):
            w.column[e] = t
            w.x[w.feature[e], t] = w.value[e]
    w.start[count] = count * c.k


@kernel
def one_hot(c, w, first, count):
    """Unit vectors of the features from the first one on."""
    clear_rows(w.x, c.features)
    for t in range(count):
        w.x[first + t, t] = like(1.0, w.x)


@kernel
def clear(w, columns):
    """Undo what the entries of the first columns wrote into the tile."""
    x, feature, column, zero = w.x, w.feature, w.column, like(0.0, w.x)
    for e in range(w.start[columns]):
        x[feature[e], column[e]] = zero


@kernel
def order(c, w, seed, epoch):
    """The order of an epoch, as `tms._random.order`: a stable sort by random bits, 11 bits at a time.

    A negative epoch stands for the data's own order.
    """
    if epoch < 0:
        for i in range(c.samples):
            w.order[i] = i
        return
    key0, key1 = keys(seed, ORDER, epoch)
    for i in range(c.samples):
        w.sort[0, i] = np.uint64(np.uint64(bits(np.uint32(i), key0, key1)) << np.uint64(32)) | np.uint64(i)
    source, goal = 0, 1
    for shift in (32, 43, 54):
        fill(w.digits, 0.0)
        for i in range(c.samples):
            w.digits[1 + np.int64((w.sort[source, i] >> np.uint64(shift)) & np.uint64(2047))] += 1
        for d in range(2048):
            w.digits[d + 1] += w.digits[d]
        for i in range(c.samples):
            digit = np.int64((w.sort[source, i] >> np.uint64(shift)) & np.uint64(2047))
            w.sort[goal, w.digits[digit]] = w.sort[source, i]
            w.digits[digit] += 1
        source, goal = goal, source
    for i in range(c.samples):
        w.order[i] = np.int64(w.sort[source, i] & np.uint64(0xFFFF_FFFF))


@kernel
def data(tile, given, order, first, count):
    """Samples order[first] … of given data [feature, sample]."""
    for i in range(len(tile)):
        row, values = tile[i], given[i]
        for t in range(count):
            row[t] = values[order[first + t]]
        fill(row[count:], 0.0)
