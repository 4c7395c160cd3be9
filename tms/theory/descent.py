"""Minima of the exact expected loss, and where a feature that has been left out begins to be written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms._fused_engine import thread_count

# 3^n corners of cubes: 10 features take about ten milliseconds for each evaluation.
_MOST_FEATURES = 10

# Descents that a thread does in one go.
_TOGETHER = 16


def exact_descent(
    W: Any, b: Any = 0.0, *, feature_probability: Any, importance: Any = 1.0, steps: int = 500
) -> xr.Dataset:
    """Follow the exact expected loss of tied ReLU models downhill, each from its own weights to a minimum.

    The model is x̂ = ReLU(WᵀW x + b), the inputs are sparse uniform, and the loss is Σ_i I_i E (x_i − x̂_i)².
    Loss and gradient are sums over the sets of active features and the corners of their cubes, as in
    `expected_loss`, but in floating point: right to about 10⁻¹², but with many features whose cosines are
    all small, where corners cancel, only to 10⁻⁸ of the loss. The descent is BFGS with short steps, so
    that a model stays in the valley it starts in. A minimum found is a local one: take the best of several
    starts. Many descents share out this process's threads (``TMS_THREADS``).

    Parameters
    ----------
    W
        Directions to start from: a DataArray with the dimensions "feature" and "hidden" and any others, or an
        array [feature, hidden].
    b
        End bias, with the dimension "feature"; or an array [feature], or one number for all.
    feature_probability, importance
        A number, an array [feature], or a DataArray along any dimensions, "feature" among them or not.
    steps
        The most updates; 0 leaves the weights as they are, and only gives their loss.

    Returns
    -------
    xarray.Dataset
        ``W`` and ``b`` at the end, their ``loss``, and ``slope``, the largest entry of its gradient in units
        of Σ_i I_i p_i / 3, the loss of a silent model. The arguments are broadcast against each other by
        name. A descent ends where the slope is below 10⁻⁷, or where rounding lets it get no further.

    Raises
    ------
    ValueError
        If a probability is outside 0 … 1, an importance negative, something no finite number, dimensions do
        not fit, or there are more than 10 features.

    Examples
    --------
    >>> import tms
    >>> pair = tms.exact_descent([[1.0], [-1.0]], feature_probability=0.05)
    >>> one = tms.exact_descent([[1.0], [0.0]], [0.0, 0.025], feature_probability=0.05)
    >>> bool(pair.loss < one.loss)
    True
    """
    from tms.theory import _exact

    arrays = {
        "W": _labelled("W", W, ("feature", "hidden")),
        "b": _labelled("b", b, ("feature",)),
        "feature_probability": _labelled("feature_probability", feature_probability, ("feature",)),
        "importance": _labelled("importance", importance, ("feature",)),
    }
    for name in ("feature", "hidden"):
        if name not in arrays["W"].dims:
            raise fail("W", f"dimensions {arrays['W'].dims}", 'an array with "feature" and "hidden"')
    n, m = arrays["W"].sizes["feature"], arrays["W"].sizes["hidden"]
    if n > _MOST_FEATURES:
        raise fail("W", f"{n} features", f"at most {_MOST_FEATURES}, since 3^n terms are summed")
    most = _check.integer(0)("steps", steps)
    p, weight = arrays["feature_probability"], arrays["importance"]
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise fail("feature_probability", feature_probability, "numbers with 0 <= value <= 1")
    if not bool((weight >= 0).all()):
        raise fail("importance", importance, "finite numbers with 0 <= value")
    for name, array in arrays.items():
        if "feature" not in array.dims:
            arrays[name] = array = array.expand_dims(feature=n)
        if array.sizes["feature"] != n:
            raise fail(name, f"{array.sizes['feature']} features", f"of the {n} features of W")
        if name != "W" and "hidden" in array.dims:
            raise fail(name, f"dimensions {array.dims}", 'an array without "hidden"')

    def run(
        W: np.ndarray, b: np.ndarray, p: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        lead = np.broadcast_shapes(W.shape[:-2], b.shape[:-1], p.shape[:-1], weight.shape[:-1])
        x = np.concatenate(
            [np.broadcast_to(W, (*lead, n, m)).reshape(*lead, n * m), np.broadcast_to(b, (*lead, n))], axis=-1
        ).reshape(-1, n * (m + 1))
        chance, scale = (
            np.ascontiguousarray(np.broadcast_to(a, (*lead, n)), dtype=np.float64).reshape(-1, n)
            for a in (p, weight)
        )
        value, slope, found = np.zeros(len(x)), np.zeros(len(x)), np.zeros(x.shape)

        def descend(start: int) -> None:
            part = slice(start, start + _TOGETHER)
            _exact.descend_all(
                x[part], n, m, chance[part], scale[part], most, 1e-7, value[part], slope[part], found[part]
            )

        starts = range(0, len(x), _TOGETHER)
        if len(starts) <= 1:
            list(map(descend, starts))
        else:
            with ThreadPoolExecutor(thread_count()) as threads:
                list(threads.map(descend, starts))
        return (
            found[:, : n * m].reshape(*lead, n, m),
            found[:, n * m :].reshape(*lead, n),
            value.reshape(lead),
            slope.reshape(lead),
        )

    core = [["feature", "hidden"], ["feature"], ["feature"], ["feature"]]
    W_end, b_end, loss, slope = xr.apply_ufunc(
        run, *arrays.values(), input_core_dims=core, output_core_dims=[*core[:2], [], []]
    )
    return xr.Dataset({"W": W_end, "b": b_end, "loss": loss, "slope": slope})


def _labelled(name: str, value: Any, core: tuple[str, ...]) -> xr.DataArray:
    """The value as a DataArray of finite numbers; a plain array has the core dimensions or none."""
    allowed = f"a number, an array {list(core)} or a DataArray, of finite numbers"
    array = value if isinstance(value, xr.DataArray) else None
    numbers = _check.floats(name, value if array is None else array.values, allowed)
    if not np.isfinite(numbers).all():
        raise fail(name, "NaN or infinity in it", allowed)
    if array is not None:
        return array.astype(np.float64)
    if numbers.ndim not in (0, len(core)):
        raise fail(name, f"shape {numbers.shape}", allowed)
    return xr.DataArray(numbers, dims=core if numbers.ndim else ())


def onset_importance(feature_probability: Any) -> Any:
    """The relative importance above which a left-out feature joins one that has a dimension to itself.

    Feature 1 has importance 1 and is reproduced exactly; feature 2 has importance r and its mean p/2 for an
    output. Let W_1 = 1 + tε, W_2 = −ε, b_1 = sε with small ε > 0. To second order the loss changes by
    (q(s) − r v) ε², with v = p/3 − p²/4, t = −¾ (s − p/2), and

        q(s) = (1 − p)² s² + p (1 − p) s³/3 + p (v + (s − p/2)²/4),

    least where p (1 − p) s² + (2 (1 − p)² + p/2) s = p²/4. The onset is r = min q / v. Below it the solution
    without feature 2 is a local minimum, above it it is none. (Derived in the book's chapter on phase
    changes; there is no clear earlier source.)

    Parameters
    ----------
    feature_probability
        p of both features, 0 < p ≤ 1; any array or DataArray.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        As what was given.

    Raises
    ------
    ValueError
        If a probability is not above 0 and at most 1.

    Examples
    --------
    >>> import tms
    >>> tms.onset_importance([0.01, 0.5, 1.0]).round(4).tolist()
    [0.01, 0.5504, 1.0]
    """
    allowed = "numbers with 0 < value <= 1"
    array = feature_probability if isinstance(feature_probability, xr.DataArray) else None
    p = _check.floats("feature_probability", feature_probability if array is None else array.values, allowed)
    if not ((p > 0) & (p <= 1)).all():
        raise fail("feature_probability", feature_probability, allowed)
    half = (1 - p) ** 2 + p / 4
    s = p**2 / 4 / (half + np.sqrt(half**2 + p**3 * (1 - p) / 4))
    variance = p / 3 - p**2 / 4
    q = (1 - p) ** 2 * s**2 + p * (1 - p) * s**3 / 3 + p * (variance + (s - p / 2) ** 2 / 4)
    onset = q / variance
    return onset if array is None else array.copy(data=onset).rename("onset_importance")
