"""The exact expected loss of a small tied ReLU model with its gradient, and a descent on it: compiled.

Imported when first needed, since numba takes a moment to load.

For each set of active features the inputs are uniform on a cube. Along the features with large weights the
moments of the ReLU are differences at the cube's corners,

    E Φ_q(c + a·u) = Σ_v (−1)^{k−Σv} Φ_{q+k}(c + a·v) / Π a_j,   Φ_q(z) = z₊^q / q!,

and their derivatives follow by differentiating this. Small weights would cancel there; along these the mean
is taken over Gauss nodes, which is exact where no ReLU switches.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

njit: Any = numba.njit(cache=True, error_model="numpy", nogil=True)

_SMALL = 0.01  # in units of the largest weight of an output
_NODES = np.array([0.046910077030668, 0.230765344947158, 0.5, 0.769234655052842, 0.953089922969332])
_SHARES = np.array(
    [0.118463442528095, 0.239314335249683, 0.284444444444444, 0.239314335249683, 0.118463442528095]
)
_SHARE_OF = 1.0 / np.maximum(np.arange(33.0), 1.0)  # 1 / k
_OVER_FACTORIAL = np.cumprod(_SHARE_OF)  # 1 / k!
_TWO_NODES = np.array([0.5 - np.sqrt(3.0) / 6, 0.5 + np.sqrt(3.0) / 6])
_TWO_SHARES = np.array([0.5, 0.5])


@njit
def _set_error(a, over, c, own, large, k, small, s, values, gradient, weight, work):  # type: ignore[no-untyped-def]
    """Weight times E (x_own − f)² where k features are uniform, s others at given values, and the rest zero.

    `over` holds 1 / a, since divisions would take most of the time; `values` the node of each feature in
    `small`. Adds to the gradient [a…, c].
    """
    n = len(a)
    scale = _OVER_FACTORIAL[k]
    state = 0  # own feature: 0 inactive, 1 at a node, 2 uniform
    bit = -1
    for i in range(k):
        scale *= over[large[i]]
        work[0, i] = work[1, i] = work[2, i] = 0.0
        if large[i] == own:
            state, bit = 2, i
    for i in range(s):
        c += a[small[i]] * values[small[i]]
        if small[i] == own:
            state = 1
    # Sums over corners: of three powers, and those with one of the features at 1, or that and the own one.
    d0, d1, d2, own0 = 0.0, 0.0, 0.0, 0.0
    next_share, last_share = _SHARE_OF[k + 1], _SHARE_OF[k + 2]
    for corner in range(1 << k):
        z, low = c, scale
        for i in range(k):
            if corner >> i & 1:
                z += a[large[i]]
            else:
                low = -low
        if z <= 0.0:
            continue
        for _ in range(k):
            low *= z
        middle = low * z * next_share
        d0 += low
        d1 += middle
        d2 += middle * z * last_share
        has_own = bit >= 0 and corner >> bit & 1
        if has_own:
            own0 += low
        for i in range(k):
            if corner >> i & 1:
                work[0, i] += low
                work[1, i] += middle
                if has_own:
                    work[2, i] += low
    error = 2.0 * d2  # E f²
    dc = 2.0 * d1
    drop = 0.0  # E x_own f, by parts
    if state == 1:
        t = values[own]
        error += t * (t - 2.0 * d1)
        dc -= 2.0 * t * d0
    elif state == 2:
        drop = work[1, bit] - d2 * over[own]
        error += 1.0 / 3.0 - 2.0 * drop
        dc -= 2.0 * (own0 - d1 * over[own])
    gradient[n] += weight * dc
    for i in range(s):
        gradient[small[i]] += weight * values[small[i]] * dc
    for i in range(k):
        j = large[i]
        first = work[1, i] - d2 * over[j]
        g = 2.0 * first
        if state == 1:
            g -= 2.0 * values[own] * (work[0, i] - d1 * over[j])
        elif state == 2:
            second = work[2, i] - work[1, bit] * over[j] - first * over[own]
            if j == own:
                second += d2 * over[own] * over[own]
            g -= 2.0 * second
        gradient[j] += weight * g
    return weight * error


@njit
def output_error(a, c, own, chance, gradient, work, chosen):  # type: ignore[no-untyped-def]
    """E (x_own − (c + a·x)₊)² over sparse uniform x, and its gradient [a…, c].

    Room for intermediate results: `work` [5, feature], `chosen` [2, feature] of integers.
    """
    n = len(a)
    gradient[:] = 0.0
    total = 0.0
    values, over = work[3], work[4]
    large, small = chosen[0], chosen[1]
    for j in range(n):
        over[j] = 1.0 / a[j] if a[j] != 0.0 else 0.0
    for mask in range(1 << n):
        weight, low, high, top = 1.0, c, c, 0.0
        for j in range(n):
            if mask >> j & 1:
                weight *= chance[j]
                low += min(a[j], 0.0)
                high += max(a[j], 0.0)
                top = max(top, abs(a[j]))
            else:
                weight *= 1.0 - chance[j]
        if weight == 0.0:
            continue
        if high <= 0.0:
            if mask >> own & 1:
                total += weight / 3.0
            continue
        linear = low >= 0.0
        k, s = 0, 0
        for j in range(n):
            if mask >> j & 1:
                if not linear and abs(a[j]) >= _SMALL * top:
                    large[k] = j
                    k += 1
                else:
                    small[s] = j
                    s += 1
        nodes, shares = (_TWO_NODES, _TWO_SHARES) if linear else (_NODES, _SHARES)
        places = 1
        for _ in range(s):
            places *= len(nodes)
        for place in range(places):
            share, rest = weight, place
            for i in range(s):
                node = rest % len(nodes)
                rest //= len(nodes)
                values[small[i]] = nodes[node]
                share *= shares[node]
            total += _set_error(a, over, c, own, large, k, small, s, values, gradient, share, work)
    return total


@njit
def loss(x, n, m, chance, importance, gradient, room, chosen):  # type: ignore[no-untyped-def]
    """Σ_i I_i E (x_i − x̂_i)² of the parameters x = (W, b), and its gradient.

    Room for intermediate results: `room` [2 feature + 6, feature + 1], `chosen` [2, feature] of integers.
    """
    gram, slopes, work, part = room[:n, :n], room[n : 2 * n, :n], room[2 * n : 2 * n + 5, :n], room[2 * n + 5]
    for i in range(n):
        for j in range(n):
            gram[i, j] = 0.0
            for k in range(m):
                gram[i, j] += x[i * m + k] * x[j * m + k]
    total = 0.0
    gradient[:] = 0.0
    for i in range(n):
        total += importance[i] * output_error(gram[i], x[n * m + i], i, chance, part, work, chosen)
        for j in range(n):
            slopes[i, j] = importance[i] * part[j]
        gradient[n * m + i] = importance[i] * part[n]
    for i in range(n):
        for j in range(n):
            for k in range(m):
                gradient[i * m + k] += (slopes[i, j] + slopes[j, i]) * x[j * m + k]
    return total


@njit
def _largest(vector):  # type: ignore[no-untyped-def]
    largest = 0.0
    for value in vector:
        largest = max(largest, abs(value))
    return largest


@njit
def _scaled_identity(matrix, scale):  # type: ignore[no-untyped-def]
    matrix[:] = 0.0
    for i in range(len(matrix)):
        matrix[i, i] = scale


@njit
def _dot(one, other):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(one)):
        total += one[i] * other[i]
    return total


@njit
def descend(x, n, m, chance, importance, steps, tolerance):  # type: ignore[no-untyped-def]
    """BFGS with backtracking from x, in place. Returns the loss and the largest entry of the gradient.

    Vectors are written out in loops: they are so short that making temporary arrays would take most of the
    time.
    """
    size = len(x)
    gradient, new_gradient = np.empty(size), np.empty(size)
    direction, new, step, change, carried = (
        np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    )  # fmt: skip
    room, chosen = np.empty((2 * n + 6, n + 1)), np.empty((2, n), np.int64)
    value = loss(x, n, m, chance, importance, gradient, room, chosen)
    inverse = np.empty((size, size))
    _scaled_identity(inverse, 1.0)
    fresh = True
    for _ in range(steps):
        if _largest(gradient) <= tolerance:
            break
        for i in range(size):
            direction[i] = -_dot(inverse[i], gradient)
        slope = _dot(direction, gradient)
        if slope >= 0.0:
            _scaled_identity(inverse, 1.0)
            fresh = True
            for i in range(size):
                direction[i] = -gradient[i]
            slope = _dot(direction, gradient)
        rate = 1.0
        longest = _largest(direction)
        if longest > 0.3:  # no leaps into another valley
            rate = 0.3 / longest
        moved = False
        for _ in range(40):
            for i in range(size):
                new[i] = x[i] + rate * direction[i]
            new_value = loss(new, n, m, chance, importance, new_gradient, room, chosen)
            if new_value <= value + 1e-4 * rate * slope:
                moved = True
                break
            rate *= 0.5
        if not moved:
            if fresh:
                break
            _scaled_identity(inverse, 1.0)
            fresh = True
            continue
        for i in range(size):
            step[i] = new[i] - x[i]
            change[i] = new_gradient[i] - gradient[i]
            x[i] = new[i]
            gradient[i] = new_gradient[i]
        value = new_value
        curvature = _dot(step, change)
        if curvature > 1e-14 * np.sqrt(_dot(step, step) * _dot(change, change)):
            if fresh:
                _scaled_identity(inverse, curvature / _dot(change, change))
                fresh = False
            for i in range(size):
                carried[i] = _dot(inverse[i], change)
            scale = (1.0 + _dot(change, carried) / curvature) / curvature
            for i in range(size):
                for j in range(size):
                    inverse[i, j] += (
                        scale * step[i] * step[j] - (step[i] * carried[j] + carried[i] * step[j]) / curvature
                    )
    return value, _largest(gradient)


@njit
def descend_all(x, n, m, chance, importance, steps, tolerance, value, slope, found):  # type: ignore[no-untyped-def]
    """`descend` for each row; the gradient in units of the loss of a silent model."""
    for i in range(len(x)):
        unit = max((chance[i] * importance[i]).sum() / 3.0, 1e-300)
        found[i] = x[i]
        value[i], slope[i] = descend(found[i], n, m, chance[i], importance[i], steps, tolerance * unit)
        slope[i] /= unit
