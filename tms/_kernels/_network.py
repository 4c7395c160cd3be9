"""Forward, loss, and gradient of one tile."""

# mypy: ignore-errors
# Types are numba's business here.

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import njit

from tms._kernels._special import exp, fill, like, log, normal
from tms._kernels._types import CROSS_ENTROPY, LINEAR, RELU
from tms._kernels._vector import COLUMN_BYTES, inner, product

# Sums may be taken in any order and products fused, but NaN and infinity count: they say that a model
# diverged.
ELEMENTWISE: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy"}


# An activation: its value and its derivative.


@njit(forceinline=True, **ELEMENTWISE)
def linear(z):
    return z, like(1.0, z)


@njit(forceinline=True, **ELEMENTWISE)
def relu(z):
    zero = like(0.0, z)
    off = z <= zero  # not for NaN, which has to go through
    return zero if off else z, zero if off else like(1.0, z)


@njit(forceinline=True, **ELEMENTWISE)
def gelu(z):
    below, density = normal(z)
    return z * below, below + z * density


def _activate_row(activation: Callable[..., Any]) -> Callable[..., Any]:
    @njit(**ELEMENTWISE)
    def activate(row, slope, bias):
        for t in range(len(row)):
            row[t], slope[t] = activation(row[t] + bias)

    return activate


_linear_row, _relu_row, _gelu_row = map(_activate_row, (linear, relu, gelu))


@njit
def activate_rows(kind, tile, slope, parameters, bias, columns):
    """Add biases and apply an activation, in place; keep its derivative in `slope`."""
    for i in range(len(tile)):
        offset = parameters[bias + i] if bias >= 0 else like(0.0, parameters)
        row, derivative = tile[i, :columns], slope[i, :columns]
        if kind == LINEAR:
            _linear_row(row, derivative, offset)
        elif kind == RELU:
            _relu_row(row, derivative, offset)
        else:
            _gelu_row(row, derivative, offset)


def _squared_error_row(activation: Callable[..., Any]) -> Callable[..., Any]:
    @njit(**ELEMENTWISE)
    def squared_error(row, target, weight, bias, scale):
        """One feature: row becomes the gradient with respect to the activation's argument.

        Returns the sum of squared errors and that of the gradient.
        """
        zero = like(0.0, row)
        loss, total = zero, zero
        for t in range(len(row)):
            out, derivative = activation(row[t] + bias)
            error = out - target[t]
            weighted = error * weight[t]
            loss += error * weighted
            gradient = weighted * scale * derivative
            total += gradient
            row[t] = gradient
        return loss, total

    return squared_error


_linear_error, _relu_error, _gelu_error = map(_squared_error_row, (linear, relu, gelu))


@njit(inline="always")
def squared_error(c, w, target, parameters, importance, scale, columns):
    """Weighted squared error of the tile; y becomes the gradient, and bias gradients are added up."""
    total = 0.0
    weight = w.weight[:columns]
    for i in range(c.features):
        bias = parameters[c.end_bias + i] if c.end_bias >= 0 else like(0.0, parameters)
        row, goal = w.y[i, :columns], target[i, :columns]
        factor = like(2.0, row) * importance[i] * scale
        if c.activation == LINEAR:
            loss, gradient = _linear_error(row, goal, weight, bias, factor)
        elif c.activation == RELU:
            loss, gradient = _relu_error(row, goal, weight, bias, factor)
        else:
            loss, gradient = _gelu_error(row, goal, weight, bias, factor)
        total += float(loss) * float(importance[i])
        if c.end_bias >= 0:
            w.gradient[c.end_bias + i] += gradient
    return total * float(scale)


@njit(**ELEMENTWISE)
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
        total += float(w.weight[t] * mass[t]) * (log(float(normaliser[t])) + float(largest[t]))
    for i in range(c.features):
        row, goal, slope = w.y[i, :columns], target[i, :columns], w.slope[i, :columns]
        loss, gradient = zero, zero
        for t in range(columns):
            loss += w.weight[t] * goal[t] * row[t]
            share = exp(row[t] - largest[t]) / normaliser[t]
            row[t] = scale * w.weight[t] * slope[t] * (mass[t] * share - goal[t])
            gradient += row[t]
        total -= float(loss)
        if c.end_bias >= 0:
            w.gradient[c.end_bias + i] += gradient
    return total * float(scale)


@njit(**ELEMENTWISE)
def _encode_entries(c, w, parameters, columns):
    """h of the tile from the lists of active features."""
    n, m = c.features, c.hidden
    for i in range(n):
        row = w.weight_rows[i]
        for j in range(m):
            row[j] = parameters[i * m + j]
    for t in range(columns):
        h = w.h_rows[t]
        fill(h, 0.0)
        for e in range(w.start[t], w.start[t + 1]):
            weights, value = w.weight_rows[w.feature[e]], w.value[e]
            for j in range(len(h)):
                h[j] += value * weights[j]
    for j in range(m):
        row = w.h[j]
        for t in range(columns):
            row[t] = w.h_rows[t, j]


@njit(**ELEMENTWISE)
def _encoder_gradient_entries(c, w, columns):
    """Gradient of the encoder from the lists of active features."""
    n, m = c.features, c.hidden
    for j in range(m):
        row = w.dh[j]
        for t in range(columns):
            w.h_rows[t, j] = row[t]
    fill(w.gradient_rows.ravel(), 0.0)
    for t in range(columns):
        dh = w.h_rows[t]
        for e in range(w.start[t], w.start[t + 1]):
            gradient, value = w.gradient_rows[w.feature[e]], w.value[e]
            for j in range(len(dh)):
                gradient[j] += value * dh[j]
    for i in range(n):
        row = w.gradient_rows[i]
        for j in range(m):
            w.gradient[i * m + j] += row[j]


@njit(**ELEMENTWISE)
def _multiply_rows(tile, factor, columns):
    for j in range(len(tile)):
        row, other = tile[j, :columns], factor[j, :columns]
        for t in range(columns):
            row[t] *= other[t]


@njit(**ELEMENTWISE)
def _add(row, number):
    for t in range(len(row)):
        row[t] += number


@njit(**ELEMENTWISE)
def _row_total(row):
    total = like(0.0, row)
    for t in range(len(row)):
        total += row[t]
    return total


@njit(inline="always")
def pass_tile(c, w, parameters, importance, scale, used, by_entries, backward):
    """The loss of the tile's first `used` columns; adds their gradient to w.gradient.

    `columns`, a whole number of blocks, may be more: the rest has weight 0. `scale` is what the reduction
    divides by. With `by_entries` the encoder works from the lists of active features.
    """
    block = COLUMN_BYTES // w.x.itemsize
    columns = (used + block - 1) // block * block
    m = c.hidden
    target = w.target if c.own_targets else w.x
    if by_entries:
        _encode_entries(c, w, parameters, used)
        for j in range(m):
            fill(w.h[j, used:columns], 0.0)
    else:
        product(w.h, parameters, 0, 1, m, w.x, columns)
    if c.hidden_activation != LINEAR:
        activate_rows(c.hidden_activation, w.h, w.hidden_slope, parameters, c.hidden_bias, columns)
    elif c.hidden_bias >= 0:
        for j in range(m):
            _add(w.h[j, :columns], parameters[c.hidden_bias + j])
    product(w.y, parameters, c.read, m, 1, w.h, columns)
    if c.loss == CROSS_ENTROPY:
        loss = cross_entropy(c, w, target, parameters, scale, columns)
    else:
        loss = squared_error(c, w, target, parameters, importance, scale, columns)
    if not backward:
        return loss

    inner(w.gradient, c.read, w.y, w.h, columns)
    product(w.dh, parameters, c.read, 1, m, w.y, columns)
    if c.hidden_activation != LINEAR:
        _multiply_rows(w.dh, w.hidden_slope, columns)
    if by_entries:
        _encoder_gradient_entries(c, w, used)
    else:
        inner(w.gradient, 0, w.x, w.dh, columns)
    if c.hidden_bias >= 0:
        for j in range(m):
            w.gradient[c.hidden_bias + j] += _row_total(w.dh[j, :columns])
    return loss
