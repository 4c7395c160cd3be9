"""Forward, loss, and gradient of one tile.

Losses are summed in float64. It is written np.float64, because numba's float leaves a float32 as it is.
"""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tms._kernels._kernel import REORDER, kernel
from tms._kernels._special import clear_rows, exp, fill, like, log, normal
from tms._kernels._types import CROSS_ENTROPY, LINEAR, ONE_HOT, RELU
from tms._kernels._vector import (
    COLUMN_BYTES,
    VECTOR_BYTES,
    add_scaled,
    inner,
    linear_error_row,
    product,
    relu_error_row,
    transpose,
)

# An activation: its value and its derivative.


@kernel(fastmath=REORDER)
def linear(z):
    return z, like(1.0, z)


@kernel(fastmath=REORDER)
def relu(z):
    zero = like(0.0, z)
    off = z <= zero  # not for NaN, which has to go through
    return zero if off else z, zero if off else like(1.0, z)


@kernel(fastmath=REORDER)
def gelu(z):
    below, density = normal(z)
    return z * below, below + z * density


def _activate_row(activation: Callable[..., Any]) -> Callable[..., Any]:
    @kernel(fastmath=REORDER)
    def activate(tile, slope, i, bias, columns):
        for t in range(columns):
            tile[i, t], slope[i, t] = activation(tile[i, t] + bias)

    return activate


_linear_row, _relu_row, _gelu_row = map(_activate_row, (linear, relu, gelu))


@kernel
def activate_rows(kind, tile, slope, parameters, bias, columns):
    """Add biases and apply an activation, in place; keep its derivative in `slope`."""
    for i in range(len(tile)):
        offset = parameters[bias + i] if bias >= 0 else like(0.0, parameters)
        if kind == LINEAR:
            _linear_row(tile, slope, i, offset, columns)
        elif kind == RELU:
            _relu_row(tile, slope, i, offset, columns)
        else:
            _gelu_row(tile, slope, i, offset, columns)


@kernel(fastmath=REORDER)
def _gelu_error_row(tile, target, weight, i, bias, scale, columns):
    """As `linear_error_row`, for GELU."""
    for t in range(columns):
        value, slope = gelu(tile[i, t] + bias)
        tile[i, t] = (value - target[i, t]) * slope * (weight[t] * scale)


def _squared_error_row(activation: Callable[..., Any]) -> Callable[..., Any]:
    @kernel(fastmath=REORDER)
    def squared_error(tile, target, weight, i, bias, columns):
        """One feature: the sum of squared errors."""
        loss = like(0.0, tile)
        for t in range(columns):
            out, _ = activation(tile[i, t] + bias)
            error = out - target[i, t]
            loss += error * error * weight[t]
        return loss

    return squared_error


_linear_error, _relu_error, _gelu_error = map(_squared_error_row, (linear, relu, gelu))


@kernel(inline="always")
def squared_error(c, w, target, parameters, importance, scale, columns, judge):
    """Weighted squared error of the tile, if `judge`; y becomes the gradient with respect to it."""
    total, y, weight = 0.0, w.y, w.weight
    for i in range(c.features):
        bias = parameters[c.end_bias + i] if c.end_bias >= 0 else like(0.0, parameters)
        if judge:
            if c.activation == LINEAR:
                loss = _linear_error(y, target, weight, i, bias, columns)
            elif c.activation == RELU:
                loss = _relu_error(y, target, weight, i, bias, columns)
            else:
                loss = _gelu_error(y, target, weight, i, bias, columns)
            total += np.float64(loss) * np.float64(importance[i])
        factor = like(2.0, y) * importance[i] * scale
        row = i * y.shape[1]
        if c.activation == LINEAR:
            linear_error_row(y, row, target, row, weight, bias, factor, columns)
        elif c.activation == RELU:
            relu_error_row(y, row, target, row, weight, bias, factor, columns)
        else:
            _gelu_error_row(y, target, weight, i, bias, factor, columns)
    return total * np.float64(scale)


@kernel(fastmath=REORDER)
def _product_error(tile, target, weight, i, gate, bias, gate_bias, columns):
    """One feature of a bilinear model: the sum of squared errors. Its gates are in row `gate`."""
    loss = like(0.0, tile)
    for t in range(columns):
        error = (tile[i, t] + bias) * (tile[gate, t] + gate_bias) - target[i, t]
        loss += error * error * weight[t]
    return loss


@kernel(fastmath=REORDER)
def _product_error_row(tile, target, weight, i, gate, bias, gate_bias, scale, columns):
    """As `linear_error_row`, for the product of two rows: each becomes the gradient with respect to it."""
    for t in range(columns):
        left, right = tile[i, t] + bias, tile[gate, t] + gate_bias
        pull = (left * right - target[i, t]) * (weight[t] * scale)
        tile[i, t] = pull * right
        tile[gate, t] = pull * left


@kernel(inline="always")
def bilinear_error(c, w, target, parameters, importance, scale, columns, judge):
    """As `squared_error`, for a bilinear model."""
    total = 0.0
    for i in range(c.features):
        gate = c.features + i
        bias = parameters[c.end_bias + i] if c.end_bias >= 0 else like(0.0, parameters)
        gate_bias = parameters[c.gate_bias + i] if c.gate_bias >= 0 else like(0.0, parameters)
        if judge:
            loss = _product_error(w.y, target, w.weight, i, gate, bias, gate_bias, columns)
            total += np.float64(loss) * np.float64(importance[i])
        factor = like(2.0, w.y) * importance[i] * scale
        _product_error_row(w.y, target, w.weight, i, gate, bias, gate_bias, factor, columns)
    return total * np.float64(scale)


@kernel(fastmath=REORDER)
def cross_entropy(c, w, target, parameters, scale, columns):
    """Cross-entropy of the tile after a softmax over the features; otherwise as `squared_error`."""
    activate_rows(c.activation, w.y, w.slope, parameters, c.end_bias, columns)
    largest, normaliser, mass = w.row[0, :columns], w.row[1, :columns], w.row[2, :columns]
    zero = like(0.0, parameters)
    fill(largest, -math.inf)
    fill(normaliser, 0.0)
    fill(mass, 0.0)
    for i in range(c.features):
        row = w.y[i, :columns]
        for t in range(columns):
            largest[t] = row[t] if row[t] > largest[t] else largest[t]
    for i in range(c.features):
        row, goal = w.y[i, :columns], target[i, :columns]
        for t in range(columns):
            normaliser[t] += exp(row[t] - largest[t])
            mass[t] += goal[t]
    total = 0.0
    for t in range(columns):
        share = np.float64(w.weight[t]) * np.float64(mass[t])
        total += share * (log(np.float64(normaliser[t])) + np.float64(largest[t]))
    for i in range(c.features):
        row, goal, slope = w.y[i, :columns], target[i, :columns], w.slope[i, :columns]
        loss = zero
        for t in range(columns):
            loss += w.weight[t] * goal[t] * row[t]
            share = exp(row[t] - largest[t]) / normaliser[t]
            row[t] = scale * w.weight[t] * slope[t] * (mass[t] * share - goal[t])
        total -= np.float64(loss)
    return total * np.float64(scale)


@kernel(fastmath=REORDER)
def _encode_entries(c, w, parameters, used, columns):
    """h of the tile from the lists of active features."""
    n, m, width = c.features, c.hidden, w.h_rows.shape[1]
    for i in range(n):
        row = w.weight_rows[i]
        for j in range(m):
            row[j] = parameters[i * m + j]
    clear_rows(w.h_rows, columns)
    feature, column, value = w.feature, w.column, w.value
    for e in range(w.start[used]):
        add_scaled(w.h_rows, column[e] * width, w.weight_rows, feature[e] * width, value[e], width)
    transpose(w.h, w.h_rows, columns, width)


@kernel(fastmath=REORDER)
def _encoder_gradient_entries(c, w, used, columns):
    """Gradient of the encoder from the lists of active features."""
    n, m, width = c.features, c.hidden, w.h_rows.shape[1]
    transpose(w.h_rows, w.dh, width, columns)
    clear_rows(w.gradient_rows, n)
    feature, column, value = w.feature, w.column, w.value
    for e in range(w.start[used]):
        add_scaled(w.gradient_rows, feature[e] * width, w.h_rows, column[e] * width, value[e], width)
    for i in range(n):
        row = w.gradient_rows[i]
        for j in range(m):
            w.gradient[i * m + j] += row[j]


@kernel(fastmath=REORDER)
def _encode_one_hot(c, w, parameters, first, used, columns):
    """h of the tile whose column t is the unit vector of feature first + t: a column of weights."""
    m = c.hidden
    for j in range(m):
        row = w.h[j]
        for t in range(used):
            row[t] = parameters[(first + t) * m + j]
        fill(row[used:columns], 0.0)


@kernel(fastmath=REORDER)
def _encoder_gradient_one_hot(c, w, first, used):
    """Gradient of the encoder for such a tile."""
    m = c.hidden
    for j in range(m):
        row = w.dh[j]
        for t in range(used):
            w.gradient[(first + t) * m + j] += row[t]


@kernel(fastmath=REORDER)
def _multiply_rows(tile, factor, columns):
    for j in range(len(tile)):
        row, other = tile[j, :columns], factor[j, :columns]
        for t in range(columns):
            row[t] *= other[t]


@kernel(fastmath=REORDER)
def _add(row, number):
    for t in range(len(row)):
        row[t] += number


@kernel(inline="always")
def pass_tile(c, w, parameters, importance, scale, first, used, by_entries, backward, judge):
    """The loss of the tile's first `used` columns, if `judge`; `backward` adds their gradient to w.gradient.

    The tile begins with the batch's sample `first`, which matters for one-hot inputs alone.

    All work is on `columns`, a whole number of vectors; those that are not used have weight 0. Products are
    made in whole blocks, and what they write behind `columns` is not read. `scale` is what the reduction
    divides by. With `by_entries` the encoder works from the lists of active features.
    """
    lanes, block = VECTOR_BYTES // w.x.itemsize, COLUMN_BYTES // w.x.itemsize
    columns, blocks = (used + lanes - 1) // lanes * lanes, (used + block - 1) // block * block
    m = c.hidden
    target = w.target if c.own_targets else w.x
    if by_entries:
        _encode_entries(c, w, parameters, used, columns)
    elif c.source == ONE_HOT:
        _encode_one_hot(c, w, parameters, first, used, blocks)
    else:
        product(w.h, parameters, 0, 1, m, w.x, blocks)
    if c.hidden_activation != LINEAR:
        activate_rows(c.hidden_activation, w.h, w.hidden_slope, parameters, c.hidden_bias, columns)
    elif c.hidden_bias >= 0:
        for j in range(m):
            _add(w.h[j, :columns], parameters[c.hidden_bias + j])
    product(w.y, parameters, c.read, m, 1, w.h, blocks)
    if c.loss == CROSS_ENTROPY:
        loss = cross_entropy(c, w, target, parameters, scale, columns)
    elif c.gate >= 0:
        loss = bilinear_error(c, w, target, parameters, importance, scale, columns, judge)
    else:
        loss = squared_error(c, w, target, parameters, importance, scale, columns, judge)
    if not backward:
        return loss

    if c.end_bias >= 0:
        inner(w.gradient, c.end_bias, w.biased, w.ones, columns)
    inner(w.gradient, c.read, w.y, w.h, columns)
    product(w.dh, parameters, c.read, 1, m, w.y, blocks)
    if c.hidden_activation != LINEAR:
        _multiply_rows(w.dh, w.hidden_slope, columns)
    if by_entries:
        _encoder_gradient_entries(c, w, used, columns)
    elif c.source == ONE_HOT:
        _encoder_gradient_one_hot(c, w, first, used)
    else:
        inner(w.gradient, 0, w.x, w.dh, columns)
    if c.hidden_bias >= 0:
        inner(w.gradient, c.hidden_bias, w.dh, w.ones, columns)
    return loss
