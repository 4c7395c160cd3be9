"""Geometry of the feature directions: Gram matrix, norms, interference, dimensionality, directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail

Weights = (
    Any  # an xarray.DataArray with the dimensions "feature" and "hidden", or an array [..., feature, hidden]
)


def gram(W: Weights, W_out: Weights | None = None) -> xr.DataArray:
    """How strongly output i responds to feature j: R_i · W_j, where R = W unless `W_out` is given.

    In the notation of Elhage et al. (2022) this is WᵀW (tied), the matrix that the model multiplies its input
    with.

    Parameters
    ----------
    W, W_out
        Write and read directions: DataArrays with dimensions "feature" and "hidden", or arrays
        [..., feature, hidden].

    Returns
    -------
    xarray.DataArray
        [..., feature, other_feature]: row i is the output, column j the feature that is written.

    Raises
    ------
    ValueError
        If an array has no such dimensions, or the two have different sizes.

    Examples
    --------
    >>> import tms
    >>> tms.gram([[1.0, 0.0], [-0.5, 0.0]]).values
    array([[ 1.  , -0.5 ],
           [-0.5 ,  0.25]])
    """
    write = _weights("W", W)
    read = write if W_out is None else _weights("W_out", W_out)
    for dim in ("feature", "hidden"):
        if read.sizes[dim] != write.sizes[dim]:
            raise fail("W_out", f"{dim}: {read.sizes[dim]}", f"of the sizes of W, {dim}: {write.sizes[dim]}")
    with _quiet():
        result: xr.DataArray = xr.dot(read, write.rename(feature="other_feature"), dim="hidden")
    result = result.transpose(..., "feature", "other_feature")
    return result.rename("gram")


def feature_norms(W: Weights) -> xr.DataArray:
    """Length ‖W_i‖ of every feature's direction, [..., feature].

    Parameters
    ----------
    W
        Directions, as for `gram`.

    Returns
    -------
    xarray.DataArray
        [..., feature]

    Raises
    ------
    ValueError
        If the array has no such dimensions.

    Examples
    --------
    >>> import tms
    >>> tms.feature_norms([[3.0, 4.0]]).values
    array([5.])
    """
    directions = _weights("W", W)
    return ((directions**2).sum("hidden", skipna=False) ** 0.5).rename("norm")


def interference(W: Weights) -> xr.DataArray:
    """How much the other features lie along a feature's direction: Σ_{j≠i} (Ŵ_i · W_j)², [..., feature].

    Ŵ_i is the unit vector along W_i. Elhage et al. (2022) colour norms by
    this number and call it superposition.
    It is 0 for a feature at zero, which has no direction.

    Parameters
    ----------
    W
        Directions, as for `gram`.

    Returns
    -------
    xarray.DataArray
        [..., feature]

    Raises
    ------
    ValueError
        If the array has no such dimensions.

    Examples
    --------
    >>> import tms
    >>> tms.interference([[1.0, 0.0], [-0.5, 0.0], [0.0, 2.0]]).values
    array([0.25, 1.  , 0.  ])
    """
    directions, scale = _scaled(_weights("W", W))
    others = xr.DataArray(1.0 - np.eye(directions.sizes["feature"]), dims=["feature", "other_feature"])
    along = gram(directions, _unit(directions)) * others
    return ((along**2).sum("other_feature", skipna=False) * scale**2).rename("interference")


def feature_dimensionality(W: Weights) -> xr.DataArray:
    """The share of a dimension that a feature has for itself, [..., feature].

    D_i = ‖W_i‖² / Σ_j (Ŵ_i · W_j)², with Ŵ_i the unit vector along W_i, and j = i in the sum. D_i is 1 for a
    feature orthogonal to all others, ½ in an antipodal pair, ⅖ in a pentagon, and 0 for a feature at
    zero.

    The dimensionalities of a model sum to at most its n_hidden: with S = Σ_j W_j W_jᵀ, the inequality of
    Cauchy and Schwarz gives ‖W_i‖⁴ ≤ (W_iᵀ S W_i)(W_iᵀ S⁺ W_i), so D_i ≤ W_iᵀ S⁺ W_i, and these sum to the
    rank of S. The measure is that of Elhage et al. (2022), the bound is proved here.

    Parameters
    ----------
    W
        Directions, as for `gram`.

    Returns
    -------
    xarray.DataArray
        [..., feature]

    Raises
    ------
    ValueError
        If the array has no such dimensions.

    Examples
    --------
    >>> import tms
    >>> tms.feature_dimensionality([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]).values
    array([0.5, 0.5, 1. ])
    """
    directions, _ = _scaled(_weights("W", W))
    squared = (directions**2).sum("hidden", skipna=False)
    total = (gram(directions, _unit(directions)) ** 2).sum("other_feature", skipna=False)
    return (squared / total.where(total != 0, 1.0)).rename("dimensionality")


def dimensions_per_feature(W: Weights) -> xr.DataArray:
    """Hidden dimensions for each feature represented, m / ‖W‖²_F (Elhage et al. 2022); one number a model.

    Near its optimum a represented feature has a norm near 1, so that ‖W‖²_F counts features. Infinite
    where all weights are zero.

    Parameters
    ----------
    W
        Directions, as for `gram`.

    Returns
    -------
    xarray.DataArray
        One number a model.

    Raises
    ------
    ValueError
        If the array has no such dimensions.

    Examples
    --------
    >>> import tms
    >>> float(tms.dimensions_per_feature([[1.0], [-1.0]]))
    0.5
    """
    directions = _weights("W", W)
    total = (directions**2).sum(["feature", "hidden"], skipna=False)
    with np.errstate(divide="ignore"):
        return (directions.sizes["hidden"] / total).rename("dimensions_per_feature")


def directions(W: Weights, *, min_norm: float = 0.1, tolerance: float = 10.0) -> xr.Dataset:
    """Which features share a direction.

    Features whose norm is below `min_norm`, or no finite number, have none. Two others share one if the angle
    between them is below `tolerance`, or if a chain of such pairs joins them.

    Parameters
    ----------
    W
        Directions, as for `gram`.
    min_norm
        Norm from which on a feature has a direction.
    tolerance
        Degrees, more than 0.

    Returns
    -------
    xarray.Dataset
        ``direction`` [..., feature]: the number of each feature's direction, counted from 0 in the order
        of the features; −1 where there is none. ``n_directions`` [...].

    Raises
    ------
    ValueError
        If `min_norm` is negative, or `tolerance` is not between 0 (excluded) and 180.

    Examples
    --------
    >>> import tms
    >>> tms.directions([[1.0, 0.0], [0.0, 1.0], [0.7, 0.01], [0.0, 0.0]]).direction.values
    array([ 0,  1,  0, -1])
    """
    _check.number(0.0)("min_norm", min_norm)
    _check.number(0.0, 180.0, open_low=True)("tolerance", tolerance)
    cosine_limit = np.cos(np.deg2rad(tolerance))

    def label(weights: np.ndarray) -> np.ndarray:
        flat = weights.reshape(-1, *weights.shape[-2:])
        norms = np.linalg.norm(flat, axis=-1)
        present = (norms >= max(min_norm, np.finfo(float).tiny)) & np.isfinite(norms)
        unit = np.where(present[..., None], flat, 0.0) / np.where(present, norms, 1.0)[..., None]
        near = (unit @ unit.swapaxes(-1, -2) > cosine_limit) & present[:, :, None] & present[:, None, :]
        near |= np.eye(flat.shape[1], dtype=bool)
        # Each feature takes the least number among those it is joined to, until nothing changes.
        n = flat.shape[1]
        lowest = np.broadcast_to(np.arange(n), norms.shape)
        while True:
            smaller = np.where(near, lowest[:, None, :], n).min(-1)
            if (smaller == lowest).all():
                break
            lowest = smaller
        first = (lowest == np.arange(n)) & present
        numbers = np.take_along_axis(first.cumsum(-1) - 1, lowest, -1)
        return np.where(present, numbers, -1).reshape(weights.shape[:-1])

    labels = xr.apply_ufunc(
        label, _weights("W", W), input_core_dims=[["feature", "hidden"]], output_core_dims=[["feature"]]
    )
    return xr.Dataset({"direction": labels, "n_directions": labels.max("feature") + 1})


def gaps(W: Weights, *, min_norm: float = 0.1) -> xr.DataArray:
    """Angles between neighbouring directions in the plane, in rising order.

    They tell the shape, whatever way it is turned: a regular k-gon has k gaps of 360°/k. Features that share
    a direction have a gap of 0 between them, or nearly 0 if they share it roughly.

    Parameters
    ----------
    W
        Directions in two dimensions, as for `gram`.
    min_norm
        Norm from which on a feature has a direction.

    Returns
    -------
    xarray.DataArray
        [..., gap] in degrees, as many as there are features; NaN at the end for features without a
        direction. A single direction has one gap, of 360°.

    Raises
    ------
    ValueError
        If there are not two hidden dimensions, or `min_norm` is negative.

    Examples
    --------
    >>> import tms
    >>> tms.gaps([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]).values
    array([ 90.,  90., 180.])
    """
    _check.number(0.0)("min_norm", min_norm)
    weights = _weights("W", W)
    if weights.sizes["hidden"] != 2:
        raise fail("W", f"{weights.sizes['hidden']} hidden dimensions", "of 2 hidden dimensions")

    def between(w: np.ndarray) -> Any:
        norms = np.hypot(w[..., 0], w[..., 1])
        present = (norms >= max(min_norm, np.finfo(float).tiny)) & np.isfinite(norms)
        angle = np.where(present, np.degrees(np.arctan2(w[..., 1], w[..., 0])) % 360, np.nan)
        angle.sort(-1)  # NaN last
        following = np.roll(angle, -1, -1)
        last = np.arange(angle.shape[-1]) == present.sum(-1, keepdims=True) - 1
        return np.sort(np.where(last, angle[..., :1] + 360, following) - angle, -1)

    core = [["feature", "hidden"]]
    result: xr.DataArray = xr.apply_ufunc(between, weights, input_core_dims=core, output_core_dims=[["gap"]])
    return result.rename("gaps")


def _weights(name: str, W: Weights, *, finite: bool = False) -> xr.DataArray:
    """Directions as a DataArray of float64 with the dimensions "feature" and "hidden" last."""
    directions = _laid_out(name, W)
    if finite and not np.isfinite(directions.values).all():
        raise fail(name, "NaN or infinity in it", "finite numbers")
    return directions


def _laid_out(name: str, W: Weights) -> xr.DataArray:
    allowed = 'a DataArray with dimensions "feature" and "hidden", or an array [..., feature, hidden]'
    if isinstance(W, xr.Dataset):
        raise fail(name, f"a Dataset with {list(W.data_vars)}", allowed + ": runs.W, not runs")
    if not isinstance(W, xr.DataArray):
        array = _check.floats(name, W, allowed)
        if array.ndim < 2:
            raise fail(name, f"shape {array.shape}", allowed)
        return xr.DataArray(array, dims=[*(f"dim_{i}" for i in range(array.ndim - 2)), "feature", "hidden"])
    if not {"feature", "hidden"} <= set(W.dims):
        raise fail(name, f"dimensions {tuple(W.dims)}", allowed)
    ordered: xr.DataArray = W.transpose(..., "feature", "hidden")
    return ordered.copy(data=_check.floats(name, ordered.values, allowed))


def _quiet() -> np.errstate:
    """Models that diverged are told by their results."""
    return np.errstate(invalid="ignore", over="ignore")


def _scaled(W: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Weights with the largest entry of every model made 1, against underflow, and what it was."""
    largest = abs(W).max(["feature", "hidden"], skipna=False)
    scale = largest.where(largest != 0, 1.0)
    with _quiet():
        return W / scale, scale


def _unit(W: xr.DataArray) -> xr.DataArray:
    """Vectors of length 1 along the directions; 0 for a feature at zero."""
    largest = abs(W).max("hidden", skipna=False)
    with _quiet():
        unit = W / largest.where(largest != 0, 1.0)
    norm = (unit**2).sum("hidden", skipna=False) ** 0.5
    return unit / norm.where(norm != 0, 1.0)
