"""Bilinear models on one-hot inputs: how many features can be exact, and explicit models that reach it."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr

from tms import _check
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
