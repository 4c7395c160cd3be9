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

njit: Any = numba.njit(cache=True, error_model="numpy")

_SMALL = 0.01  # in units of the largest weight of an output
_NODES = np.array([0.046910077030668, 0.230765344947158, 0.5, 0.769234655052842, 0.953089922969332])
_SHARES = np.array(
    [0.118463442528095, 0.239314335249683, 0.284444444444444, 0.239314335249683, 0.118463442528095]
)
_TWO_NODES = np.array([0.5 - np.sqrt(3.0) / 6, 0.5 + np.sqrt(3.0) / 6])
_TWO_SHARES = np.array([0.5, 0.5])


@njit
def _set_error(a, c, own, large, k, small, s, values, gradient, weight, work):  # type: ignore[no-untyped-def]
    """Weight times E (x_own − f)² where k features are uniform, s others at given values, and the rest zero.

    `values` holds the node of each feature in `small`. Adds to the gradient [a…, c].
    """
    n = len(a)
    product = 1.0
    state = 0  # own feature: 0 inactive, 1 at a node, 2 uniform
    bit = -1
    for i in range(k):
        product *= a[large[i]]
        work[0, i] = work[1, i] = work[2, i] = 0.0
        if large[i] == own:
            state, bit = 2, i
    for i in range(s):
        c += a[small[i]] * values[small[i]]
        if small[i] == own:
            state = 1
    # Sums over corners: of three powers, and those with one of the features at 1, or that and the own one.
    d0, d1, d2, own0 = 0.0, 0.0, 0.0, 0.0
    factorial = 1.0
    for i in range(2, k + 1):
        factorial *= i
    scale = 1.0 / (product * factorial)
    for corner in range(1 << k):
        z, low = c, scale
        for i in range(k):
            if corner >> i & 1:
                z += a[large[i]]
            else:
                low = -low
        if z <= 0.0:
            continue
        low *= z**k
        middle = low * z / (k + 1)
        d0 += low
        d1 += middle
        d2 += middle * z / (k + 2)
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
        drop = work[1, bit] - d2 / a[own]
        error += 1.0 / 3.0 - 2.0 * drop
        dc -= 2.0 * (own0 - d1 / a[own])
    gradient[n] += weight * dc
    for i in range(s):
        gradient[small[i]] += weight * values[small[i]] * dc
    for i in range(k):
        j = large[i]
        first = work[1, i] - d2 / a[j]
        g = 2.0 * first
        if state == 1:
            g -= 2.0 * values[own] * (work[0, i] - d1 / a[j])
        elif state == 2:
            second = work[2, i] - work[1, bit] / a[j] - first / a[own]
            if j == own:
                second += d2 / (a[own] * a[own])
            g -= 2.0 * second
        gradient[j] += weight * g
    return weight * error


@njit
def output_error(a, c, own, chance, gradient, work):  # type: ignore[no-untyped-def]
    """E (x_own − (c + a·x)₊)² over sparse uniform x, and its gradient [a…, c]."""
    n = len(a)
    gradient[:] = 0.0
    total = 0.0
    values = work[3]
    large, small = np.empty(n, np.int64), np.empty(n, np.int64)
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
        for place in range(len(nodes) ** s):
            share, rest = weight, place
            for i in range(s):
                node = rest % len(nodes)
                rest //= len(nodes)
                values[small[i]] = nodes[node]
                share *= shares[node]
            total += _set_error(a, c, own, large, k, small, s, values, gradient, share, work)
    return total


@njit
def loss(x, n, m, chance, importance, gradient):  # type: ignore[no-untyped-def]
    """Σ_i I_i E (x_i − x̂_i)² of the parameters x = (W, b), and its gradient."""
    W = x[: n * m].reshape(n, m)
    gram = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            for k in range(m):
                gram[i, j] += W[i, k] * W[j, k]
    slopes = np.zeros((n, n))
    part, work = np.zeros(n + 1), np.zeros((4, n))
    total = 0.0
    gradient[:] = 0.0
    for i in range(n):
        total += importance[i] * output_error(gram[i], x[n * m + i], i, chance, part, work)
        for j in range(n):
            slopes[i, j] = importance[i] * part[j]
        gradient[n * m + i] = importance[i] * part[n]
    for i in range(n):
        for j in range(n):
            for k in range(m):
                gradient[i * m + k] += (slopes[i, j] + slopes[j, i]) * W[j, k]
    return total


@njit
def descend(x, n, m, chance, importance, steps, tolerance):  # type: ignore[no-untyped-def]
    """BFGS with backtracking from x, in place. Returns the loss and the largest entry of the gradient."""
    size = len(x)
    gradient, new_gradient = np.zeros(size), np.zeros(size)
    value = loss(x, n, m, chance, importance, gradient)
    inverse = np.eye(size)
    fresh = True
    for _ in range(steps):
        if np.abs(gradient).max() <= tolerance:
            break
        direction = -inverse @ gradient
        slope = direction @ gradient
        if slope >= 0.0:
            inverse = np.eye(size)
            fresh = True
            direction = -gradient
            slope = direction @ gradient
        rate = 1.0
        longest = np.abs(direction).max()
        if longest > 0.3:  # no leaps into another valley
            rate = 0.3 / longest
        moved = False
        for _ in range(40):
            new = x + rate * direction
            new_value = loss(new, n, m, chance, importance, new_gradient)
            if new_value <= value + 1e-4 * rate * slope:
                moved = True
                break
            rate *= 0.5
        if not moved:
            if fresh:
                break
            inverse = np.eye(size)
            fresh = True
            continue
        step = new - x
        change = new_gradient - gradient
        x[:] = new
        gradient[:] = new_gradient
        value = new_value
        curvature = step @ change
        if curvature > 1e-14 * np.sqrt((step @ step) * (change @ change)):
            if fresh:
                inverse = np.eye(size) * (curvature / (change @ change))
                fresh = False
            carried = inverse @ change
            scale = (1.0 + change @ carried / curvature) / curvature
            inverse += (
                scale * np.outer(step, step) - (np.outer(step, carried) + np.outer(carried, step)) / curvature
            )
    return value, np.abs(gradient).max()


@njit
def descend_all(x, n, m, chance, importance, steps, tolerance, value, slope, found):  # type: ignore[no-untyped-def]
    """`descend` for each row; the gradient in units of the loss of a silent model."""
    for i in range(len(x)):
        unit = max((chance[i] * importance[i]).sum() / 3.0, 1e-300)
        found[i] = x[i]
        value[i], slope[i] = descend(found[i], n, m, chance[i], importance[i], steps, tolerance * unit)
        slope[i] /= unit
