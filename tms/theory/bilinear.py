"""Bilinear models: how many one-hot features can be exact, models that reach it, errors on sparse inputs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms.bilinear import _arrays, _labels
from tms.model import BILINEAR_BIASES


def bilinear_capacity(n_hidden: int, *, bias: str = "both", zero_input: bool = False) -> int:
    """How many one-hot features a bilinear model can reproduce exactly: no more, and so many.

    Every output is a polynomial of degree 2 in the m numbers of the hidden layer, and outputs that equal 1 at
    one input and 0 at all others are linearly independent. So there are at most as many as such polynomials
    have coefficients: m(m+1)/2 without bias (products of linear reads), m(m+3)/2 where the output has to be 0
    at h = 0 (a bias on one side only, or the zero input among the data), and else (m+1)(m+2)/2.
    `bilinear_lattice` reaches each of these numbers.

    Summed over one-hot inputs, the least squared error is max(0, n − capacity), where the zero input is not
    among the data: the outputs form a matrix of no larger rank (Eckart & Young, 1936), and features that
    share a write direction reach it.

    Parameters
    ----------
    n_hidden
        Number of hidden dimensions, m.
    bias
        As in `Bilinear`: "both", "one" or "none".
    zero_input
        Whether the output has to be exactly 0 for the input 0 as well.

    Returns
    -------
    int
        The greatest number of features.

    Raises
    ------
    ValueError
        If a parameter is not of the kind described.

    Examples
    --------
    >>> import tms
    >>> [tms.bilinear_capacity(2, bias=bias) for bias in ("none", "one", "both")]
    [3, 5, 6]
    >>> tms.bilinear_capacity(2, zero_input=True)
    5
    """
    m, bias, zero = _case(n_hidden, bias, zero_input)
    if bias == "none":
        return m * (m + 1) // 2
    return (m + 1) * (m + 2) // 2 - (zero or bias == "one")


def bilinear_lattice(n_hidden: int, *, bias: str = "both", zero_input: bool = False) -> xr.Dataset:
    """A bilinear model that reproduces as many one-hot features exactly as any can.

    Without bias: let v_0, …, v_m be the corners of a regular simplex around the origin. The features are its
    edges. The one between v_a and v_b is written along v_a − v_b, read along v_a and gated along −v_b. Since
    v_c · (v_a − v_b) = 0 for every other corner c, and another edge lacks a or b, its output is 0 for all
    other features.

    With biases the same holds for the simplex in m + 1 dimensions, where the additional one carries the
    constant 1 (see `fold`): a feature's direction is then scaled until its part there is 1. In the m
    dimensions themselves, the m + 2 reads are m + 2 hyperplanes, and the features stand where m of them meet.
    That is the natural lattice of Chung & Yao (1977). For a model with one bias, or with the zero input,
    the origin is put at one of these points, whose feature is left out.

    Parameters
    ----------
    n_hidden, bias, zero_input
        As for `bilinear_capacity`.

    Returns
    -------
    xarray.Dataset
        ``W``, ``W_out``, ``W_gate`` [feature, hidden], and ``b``, ``b_gate`` [feature] where such a model has
        them.

    Raises
    ------
    ValueError
        If a parameter is not of the kind described.

    Examples
    --------
    >>> import numpy as np
    >>> import tms
    >>> six = tms.bilinear_lattice(2)
    >>> x = np.eye(6)
    >>> h = x @ six.W.values
    >>> read, gate = (h @ six[w].values.T + six[b].values for w, b in (("W_out", "b"), ("W_gate", "b_gate")))
    >>> np.allclose(read * gate, x)
    True
    """
    m, bias, zero = _case(n_hidden, bias, zero_input)
    corners = m + 1 if bias == "none" else m + 2
    first, second = np.array(list(itertools.combinations(range(corners), 2))).T
    unit = np.eye(corners)
    edges = unit[first] - unit[second]
    if bias == "none":
        simplex = _across(np.ones((1, corners)))  # a row for each corner
        return _dataset(W=edges @ simplex, W_out=simplex[first], W_gate=-simplex[second])
    # How much of the constant each corner sees: any numbers that all differ.
    constant = np.arange(corners, dtype=np.float64)
    scale = 1 / (edges @ constant)
    points = edges * scale[:, None]
    simplex = _across(np.stack([np.ones(corners), constant]))
    through_origin = bias == "one" or zero
    origin = points[0] if through_origin else points.mean(0)
    gain = 1 / scale
    arrays = {
        "W": (points - origin) @ simplex,
        "W_out": gain[:, None] * simplex[first],
        "W_gate": -gain[:, None] * simplex[second],
        "b": gain * origin[first],
        "b_gate": -gain * origin[second],
    }
    if through_origin:  # There, only the corners 0 and 1 have a bias, and no other edge has both.
        swap = arrays["b"] == 0.0
        for read, gate in (("W_out", "W_gate"), ("b", "b_gate")):
            at = swap.reshape(-1, *[1] * (arrays[read].ndim - 1))
            arrays[read], arrays[gate] = (
                np.where(at, arrays[gate], arrays[read]),
                np.where(at, arrays[read], arrays[gate]),
            )
        arrays = {name: array[1:] for name, array in arrays.items()}
    if bias == "one":
        del arrays["b_gate"]
    return _dataset(**arrays)


def bilinear_sparse_bound(n_features: int, n_hidden: int, *, bias: str = "both") -> float:
    """Below what loss over c(p) no bilinear model gets for sparse-uniform inputs, in the limit p → 0.

    In the limit one feature is active at a time, with a value t between 0 and 1, and nothing may come out for
    the input 0. So the output is B_ij t + A_ij t². With C = B + 3A/4 the loss in units of c(p), reduction
    "feature_sum", is ‖1 − C‖² + ‖C − B‖² / 15. The rank of B is at most m, 0 without bias; that of C at most
    the capacity D (`bilinear_capacity` with the zero input). For given ranks the best singular values are 1
    in B and C, then 15/16 in C alone, then 0, which gives (min(n, D) − rank B) / 16 + max(0, n − D).

    Parameters
    ----------
    n_features, n_hidden, bias
        As in `Bilinear`.

    Returns
    -------
    float
        The bound: so many features' worth of loss remain at least.

    Raises
    ------
    ValueError
        If a parameter is not of the kind described.

    Examples
    --------
    >>> import tms
    >>> tms.bilinear_sparse_bound(2, 1)  # an antipodal pair: a parabola in place of a ReLU
    0.0625
    """
    n: int = _check.integer(1)("n_features", n_features)
    most = bilinear_capacity(n_hidden, bias=bias, zero_input=True)
    linear = 0 if bias == "none" else min(n, n_hidden)
    return (min(n, most) - linear) / 16 + max(0, n - most)


def bilinear_errors(runs: xr.Dataset, feature_probability: float) -> xr.DataArray:
    """The exact expected squared error of every output of bilinear models, for sparse-uniform inputs.

    An output is (u + α)(v + β), with u and v linear in the features less their means. Its square needs the
    first four moments of each feature, and no more: E u²v² = Σ_j r_j² s_j² (μ₄ − 3 μ₂²) + E u² E v² +
    2 (E uv)², if u = Σ_j r_j (x_j − p/2) and v likewise with s.

    Parameters
    ----------
    runs
        As for `fold`: snapshots too.
    feature_probability
        p, of all features.

    Returns
    -------
    xarray.DataArray
        E (x_i − x̂_i)², [..., feature]. Divided by `constant_loss` and taken from 1, the variance explained.

    Raises
    ------
    ValueError
        If these are no bilinear models, or p is not between 0 and 1.

    Examples
    --------
    >>> import tms
    >>> lattice = tms.bilinear_lattice(2, bias="one")  # exact for one-hot inputs; t and t² differ
    >>> float((tms.bilinear_errors(lattice, 1e-9) / 1e-9).sum()) > 0
    True
    """
    p: float = _check.number(0.0, 1.0)("feature_probability", feature_probability)
    outer, arrays = _arrays(runs)
    errors = moments_to_errors(arrays, np.full(arrays["W"].shape[-2], p))
    return xr.DataArray(errors, dims=(*outer, "feature"), coords=_labels(runs, outer), name="error")


def moments_to_errors(arrays: dict[str, Any], probability: np.ndarray) -> np.ndarray:
    """E (x_i − x̂_i)² [..., feature], for one probability a feature."""
    W, W_out, W_gate = (arrays[name].astype(np.float64) for name in ("W", "W_out", "W_gate"))
    mean = probability / 2
    raw = [probability / (k + 1) for k in range(1, 5)]  # E x^k
    variance = raw[1] - mean**2
    third = raw[2] - 3 * mean * raw[1] + 2 * mean**3
    fourth = raw[3] - 4 * mean * raw[2] + 6 * mean**2 * raw[1] - 3 * mean**4
    with np.errstate(invalid="ignore", over="ignore"):  # a model that has diverged
        r, s = (read @ np.swapaxes(W, -1, -2) for read in (W_out, W_gate))
        alpha = r @ mean + arrays.get("b", 0.0)
        beta = s @ mean + arrays.get("b_gate", 0.0)
        uu, vv, uv = r**2 @ variance, s**2 @ variance, (r * s) @ variance
        uuv, uvv = (r**2 * s) @ third, (r * s**2) @ third
        uuvv = (r * s) ** 2 @ (fourth - 3 * variance**2) + uu * vv + 2 * uv**2
        square = uuvv + beta**2 * uu + alpha**2 * vv + (alpha * beta) ** 2
        square += 2 * alpha * uvv + 2 * beta * uuv + 4 * alpha * beta * uv
        own_r, own_s = (np.diagonal(x, axis1=-2, axis2=-1) for x in (r, s))
        product = (
            mean * (uv + alpha * beta) + own_r * own_s * third + (alpha * own_s + beta * own_r) * variance
        )
        errors: np.ndarray = raw[1] - 2 * product + square
    return errors


def _dataset(**arrays: np.ndarray) -> xr.Dataset:
    return xr.Dataset({name: (("feature", "hidden")[: array.ndim], array) for name, array in arrays.items()})


def _across(rows: np.ndarray) -> np.ndarray:
    """An orthonormal basis, in columns, of all that is orthogonal to some independent rows."""
    *_, basis = np.linalg.svd(rows)
    rest: np.ndarray = basis[len(rows) :].T
    return rest


def _case(n_hidden: int, bias: str, zero_input: bool) -> tuple[int, str, bool]:
    m = _check.integer(1)("n_hidden", n_hidden)
    bias = _check.choice(*BILINEAR_BIASES)("bias", bias)
    return m, bias, _check.flag("zero_input", zero_input)
