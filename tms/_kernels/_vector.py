"""Products of small matrices with a tile, blocked in registers.

A tile is an array [row, column] whose columns are samples, so that one vector register holds one row's
entries
for several samples. Almost all arithmetic of a training step is in two kinds of product:

    product   out[r, t] = Σ_k a[k, r] tile[k, t]        encode, decode, and the gradient with respect to h
    inner     out[r, s] += Σ_t left[r, t] right[s, t]   gradients of the weights

Both go block by block. A block's sums stay in registers while the sum runs, so that a number that has been
loaded is used several times. A compiler does not find this by itself in nested loops, which is why the blocks
are written as vector instructions of LLVM (through numba's `intrinsic`); LLVM turns them into what the
processor has. The sums of a block are added up in a fixed order: the bits do not depend on who calls.
"""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tms._kernels._kernel import kernel

_FEATURES = llvmlite.binding.get_host_cpu_features()
# Bytes in a vector register, and whether there are 32 of them or 16.
VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16
_MANY = bool(_FEATURES.get("avx512f") or _FEATURES.get("neon"))
# Columns of a tile come in multiples of this many bytes: the vectors of one block of `product`.
_VECTORS = 4 if _MANY else 2
COLUMN_BYTES = VECTOR_BYTES * _VECTORS

# Let a multiplication and an addition become one instruction.
_FUSED = ("contract",)


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.gep(data, [index])


def _load(builder, pointer, vector):
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = 4
    return loaded


def store(builder, value, pointer):
    """Write a vector to where its first number lies."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = 4


def _splat(builder, pointer, vector):
    return spread(builder, builder.load(pointer), vector)


def spread(builder, number, vector):
    """A vector with this number in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, undefined, _lanes([0] * vector.count))


def _lanes(indices):
    return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), list(indices))


def _multiply_add(builder, a, b, c):
    return builder.fadd(builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)


def _vector_of(context, array_type):
    scalar = context.get_value_type(array_type.dtype)
    width = 4 if array_type.dtype == types.float32 else 8
    return ir.VectorType(scalar, VECTOR_BYTES // width)


def _product_block(rows: int) -> Callable[..., Any]:
    """A block of `product`: `rows` rows, `_VECTORS` vectors of columns."""

    @intrinsic
    def block(typing, out, o, o_row, a, i, a_k, a_row, tile, t, t_row, count):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):
            out, o, o_row, a, i, a_k, a_row, tile, t, t_row, count = arguments
            vector = _vector_of(context, signature.args[0])
            step = o.type
            a_pointer = _pointer(context, builder, signature.args[3], a, i)
            t_pointer = _pointer(context, builder, signature.args[7], tile, t)
            zero = ir.Constant(vector, [0.0] * vector.count)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(_VECTORS)] for _ in range(rows)]
            with cgutils.for_range(builder, count, intp=step) as loop:
                row = builder.gep(t_pointer, [builder.mul(loop.index, t_row)])
                columns = [
                    _load(builder, builder.gep(row, [step(v * vector.count)]), vector)
                    for v in range(_VECTORS)
                ]
                place = builder.gep(a_pointer, [builder.mul(loop.index, a_k)])
                for r in range(rows):
                    weight = _splat(builder, builder.gep(place, [builder.mul(step(r), a_row)]), vector)
                    for v in range(_VECTORS):
                        total = _multiply_add(builder, weight, columns[v], builder.load(sums[r][v]))
                        builder.store(total, sums[r][v])
            o_pointer = _pointer(context, builder, signature.args[0], out, o)
            for r in range(rows):
                row = builder.gep(o_pointer, [builder.mul(step(r), o_row)])
                for v in range(_VECTORS):
                    store(builder, builder.load(sums[r][v]), builder.gep(row, [step(v * vector.count)]))
            return context.get_dummy_value()

        n = types.intp
        return types.void(out, n, n, a, n, n, n, tile, n, n, n), generate

    return block


def _folded(builder, vectors):
    """The sums over the lanes of some vectors (a power of two of them), and in which lanes they are.

    Two vectors are folded into one, whose lower half then belongs to the first and whose upper half to the
    second, and so on: far fewer instructions than to add up one vector after another.
    """
    count = vectors[0].type.count
    width = count  # lanes that still belong to one sum
    while len(vectors) > 1 and width > 1:
        near = [lane for lane in range(2 * count) if lane % width < width // 2]
        far = [lane + width // 2 for lane in near]
        vectors = [
            builder.fadd(
                builder.shuffle_vector(a, b, _lanes(near)), builder.shuffle_vector(a, b, _lanes(far))
            )
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        width //= 2
    places = range(0, count, width)
    while width > 1:
        width //= 2
        shifted = _lanes([(lane + width) % count for lane in range(count)])
        vectors = [builder.fadd(v, builder.shuffle_vector(v, v, shifted)) for v in vectors]
    return vectors, places


def _add_dense(builder, vectors, pointer):
    """Add the sums over the lanes of some vectors to numbers that lie beside each other."""
    folded, places = _folded(builder, vectors)
    for vector in folded:
        sums = builder.shuffle_vector(vector, vector, _lanes(places))
        store(builder, builder.fadd(_load(builder, pointer, sums.type), sums), pointer)
        pointer = builder.gep(pointer, [ir.IntType(64)(len(places))])


def _row_sums(builder, vectors):
    """The sum over the lanes of each of some vectors, as scalars."""
    vectors, places = _folded(builder, vectors)
    return [builder.extract_element(v, ir.IntType(32)(place)) for v in vectors for place in places]


def _inner_block(rows: int, others: int, dense: bool = False) -> Callable[..., Any]:
    """A block of `inner`: `rows` rows of the left tile with `others` of the right.

    `dense`: these are all rows of the right tile, so that the block's results lie beside each other.
    """

    @intrinsic
    def block(typing, out, o, o_row, left, p, p_row, right, q, q_row, count):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):
            out, o, o_row, left, p, p_row, right, q, q_row, count = arguments
            vector = _vector_of(context, signature.args[0])
            step = o.type
            p_pointer = _pointer(context, builder, signature.args[3], left, p)
            q_pointer = _pointer(context, builder, signature.args[6], right, q)
            zero = ir.Constant(vector, [0.0] * vector.count)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(rows * others)]
            with cgutils.for_range_slice(builder, step(0), count, step(vector.count), intp=step) as (t, _):
                rights = [
                    _load(
                        builder, builder.gep(q_pointer, [builder.add(t, builder.mul(step(s), q_row))]), vector
                    )
                    for s in range(others)
                ]
                for r in range(rows):
                    one = _load(
                        builder, builder.gep(p_pointer, [builder.add(t, builder.mul(step(r), p_row))]), vector
                    )
                    for s in range(others):
                        place = sums[r * others + s]
                        builder.store(_multiply_add(builder, one, rights[s], builder.load(place)), place)
            o_pointer = _pointer(context, builder, signature.args[0], out, o)
            if dense:
                _add_dense(builder, [builder.load(place) for place in sums], o_pointer)
                return context.get_dummy_value()
            totals = _row_sums(builder, [builder.load(place) for place in sums])
            for r in range(rows):
                for s in range(others):
                    place = builder.gep(o_pointer, [builder.add(builder.mul(step(r), o_row), step(s))])
                    builder.store(builder.fadd(builder.load(place), totals[r * others + s]), place)
            return context.get_dummy_value()

        n = types.intp
        return types.void(out, n, n, left, n, n, right, n, n, n), generate

    return block


@intrinsic
def add_scaled(typing, out, o, row, r, factor, count):
    """out[o + j] += factor · row[r + j] for j < count, a whole number of vectors."""

    def generate(context, builder, signature, arguments):
        out, o, row, r, factor, count = arguments
        vector = _vector_of(context, signature.args[0])
        o_pointer = _pointer(context, builder, signature.args[0], out, o)
        r_pointer = _pointer(context, builder, signature.args[2], row, r)
        factors = spread(builder, factor, vector)
        step = count.type
        with cgutils.for_range_slice(builder, step(0), count, step(vector.count), intp=step) as (j, _):
            place = builder.gep(o_pointer, [j])
            added = _load(builder, builder.gep(r_pointer, [j]), vector)
            store(builder, _multiply_add(builder, factors, added, _load(builder, place, vector)), place)
        return context.get_dummy_value()

    n = types.intp
    return types.void(out, n, row, n, out.dtype, n), generate


def _error_row(cut_off: bool) -> Callable[..., Any]:
    """Gradient of weighted squared errors with respect to z = row + bias, for a linear output or a ReLU.

    row[t] = (z − target[t]) weight[t] scale, and with `cut_off` 0 where z ≤ 0; for a whole number of vectors.
    """

    @intrinsic
    def error_row(typing, tile, o, target, g, weight, bias, scale, columns):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):
            tile, o, target, g, weight, bias, scale, columns = arguments
            vector = _vector_of(context, signature.args[0])
            step = o.type
            pointer = _pointer(context, builder, signature.args[0], tile, o)
            goals = _pointer(context, builder, signature.args[2], target, g)
            weights = _pointer(context, builder, signature.args[4], weight, step(0))
            biases, scales = spread(builder, bias, vector), spread(builder, scale, vector)
            zero = ir.Constant(vector, [0.0] * vector.count)
            with cgutils.for_range_slice(builder, step(0), columns, step(vector.count), intp=step) as (t, _):
                place = builder.gep(pointer, [t])
                z = builder.fadd(_load(builder, place, vector), biases)
                pull = builder.fsub(z, _load(builder, builder.gep(goals, [t]), vector))
                if cut_off:  # ordered: what is not a number goes through
                    pull = builder.select(builder.fcmp_ordered("<=", z, zero), zero, pull)
                factor = builder.fmul(_load(builder, builder.gep(weights, [t]), vector), scales)
                store(builder, builder.fmul(pull, factor), place)
            return context.get_dummy_value()

        n, number = types.intp, tile.dtype
        return types.void(tile, n, target, n, weight, number, number, n), generate

    return error_row


linear_error_row, relu_error_row = _error_row(cut_off=False), _error_row(cut_off=True)


@intrinsic
def _transpose_block(typing, out, o, o_row, block, b, b_row):
    """out[c, r] = block[r, c] for as many rows and columns as a vector has lanes."""

    def generate(context, builder, signature, arguments):
        out, o, o_row, block, b, b_row = arguments
        vector = _vector_of(context, signature.args[0])
        count, step = vector.count, o.type
        o_pointer = _pointer(context, builder, signature.args[0], out, o)
        b_pointer = _pointer(context, builder, signature.args[3], block, b)
        rows = [
            _load(builder, builder.gep(b_pointer, [builder.mul(step(r), b_row)]), vector)
            for r in range(count)
        ]
        # Exchange the off-diagonal quarters of blocks of 2 × 2 numbers, then of 4 × 4, and so on.
        half = 1
        while half < count:
            near = [i if not i & half else count + i - half for i in range(count)]
            far = [i + half if not i & half else count + i for i in range(count)]
            for r in range(count):
                if not r & half:
                    a, b = rows[r], rows[r + half]
                    rows[r] = builder.shuffle_vector(a, b, _lanes(near))
                    rows[r + half] = builder.shuffle_vector(a, b, _lanes(far))
            half *= 2
        for r in range(count):
            store(builder, rows[r], builder.gep(o_pointer, [builder.mul(step(r), o_row)]))
        return context.get_dummy_value()

    n = types.intp
    return types.void(out, n, n, block, n, n), generate


@kernel
def transpose(out, array, rows, columns):
    """out[c, r] = array[r, c] for r < rows, c < columns, whole numbers of vectors."""
    lanes = VECTOR_BYTES // array.itemsize
    o_row, b_row = out.shape[1], array.shape[1]
    for r in range(0, rows, lanes):
        for c in range(0, columns, lanes):
            _transpose_block(out, c * o_row + r, o_row, array, r * b_row + c, b_row)


_product_4, _product_2, _product_1 = _product_block(4), _product_block(2), _product_block(1)
_inner_44, _inner_42, _inner_41 = _inner_block(4, 4), _inner_block(4, 2), _inner_block(4, 1)
_inner_82, _inner_81 = _inner_block(8, 2, dense=True), _inner_block(8, 1, dense=True)
_inner_24, _inner_22, _inner_21 = _inner_block(2, 4), _inner_block(2, 2), _inner_block(2, 1)
_inner_14, _inner_12, _inner_11 = _inner_block(1, 4), _inner_block(1, 2), _inner_block(1, 1)


@kernel
def product(out, a, start, step_row, step_k, tile, columns):
    """out[r, t] = Σ_k a[start + r step_row + k step_k] tile[k, t] for the first columns of two tiles.

    `out` [rows, T], `a` [any], `tile` [k, T]; `columns` a multiple of a block's columns.
    """
    rows, width = out.shape
    count = len(tile)
    block = COLUMN_BYTES // out.itemsize
    for t in range(0, columns, block):
        r = 0
        while r + 4 <= rows:
            _product_4(
                out, r * width + t, width, a, start + r * step_row, step_k, step_row, tile, t, width, count
            )
            r += 4
        if r + 2 <= rows:
            _product_2(
                out, r * width + t, width, a, start + r * step_row, step_k, step_row, tile, t, width, count
            )
            r += 2
        if r < rows:
            _product_1(
                out, r * width + t, width, a, start + r * step_row, step_k, step_row, tile, t, width, count
            )


@kernel
def inner(out, start, left, right, columns):
    """out[start + r len(right) + s] += Σ_t left[r, t] right[s, t] over the first columns of two tiles."""
    rows, width = left.shape
    others = len(right)
    r = 0
    while r < rows:
        height = 4 if r + 4 <= rows else 2 if r + 2 <= rows else 1
        if others <= 2 and r + 8 <= rows:  # so few columns leave registers for more rows
            height = 8
        s = 0
        while s < others:
            breadth = 4 if s + 4 <= others else 2 if s + 2 <= others else 1
            place = start + r * others + s
            p, q = r * width, s * width
            if height == 8:
                if breadth == 2:
                    _inner_82(out, place, others, left, p, width, right, q, width, columns)
                else:
                    _inner_81(out, place, others, left, p, width, right, q, width, columns)
            elif height == 4:
                if breadth == 4:
                    _inner_44(out, place, others, left, p, width, right, q, width, columns)
                elif breadth == 2:
                    _inner_42(out, place, others, left, p, width, right, q, width, columns)
                else:
                    _inner_41(out, place, others, left, p, width, right, q, width, columns)
            elif height == 2:
                if breadth == 4:
                    _inner_24(out, place, others, left, p, width, right, q, width, columns)
                elif breadth == 2:
                    _inner_22(out, place, others, left, p, width, right, q, width, columns)
                else:
                    _inner_21(out, place, others, left, p, width, right, q, width, columns)
            else:
                if breadth == 4:
                    _inner_14(out, place, others, left, p, width, right, q, width, columns)
                elif breadth == 2:
                    _inner_12(out, place, others, left, p, width, right, q, width, columns)
                else:
                    _inner_11(out, place, others, left, p, width, right, q, width, columns)
            s += breadth
        r += height
