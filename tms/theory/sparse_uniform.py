"""Exact expected losses and closed forms."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import xarray as xr

from tms import _check
from tms._check import fail
from tms.experiment import Experiment
from tms.geometry import gram
from tms.inputs import Dataset, GroupedSparse, OneHot, SparseUniform
from tms.loss import MSE
from tms.model import Autoencoder, Bilinear
from tms.module import mean_loss, over_points
from tms.theory.bilinear import moments_to_errors
from tms.train import at_selection

# 3^n terms for each output: twelve features take some seconds a model.
_MOST_FEATURES = 12

# For features of which some may be active together: how likely each choice of them is.
_Set = dict[tuple[int, ...], Fraction]

# For the features that reach an output: which of them are active, and how likely that is.
_Choices = Callable[[tuple[int, ...]], list[tuple[frozenset[int], float]]]


def expected_loss(runs: xr.Dataset, *, experiment: Experiment | None = None) -> xr.DataArray:
    """The exact expected loss of every model: no sampling, no quadrature.

    For inputs that are sparse and uniform, independent or in sets (`SparseUniform`, `GroupedSparse`), MSE,
    and models that are bilinear, or linear in the hidden layer with an output
    that is linear or ReLU. For a ReLU the active sets are enumerated; on each the output is
    ReLU(c + Σ a_i u_i) with u uniform on the unit cube, whose moments are

        E[(c + a·u)₊^q] = q! / (q + k)! · Σ_{v ∈ {0,1}^k} (−1)^{k−Σv} (c + a·v)₊^{q+k} / Π a_i,

    as integrating once for each variable shows. The sum cancels badly in floating point, so it is done in
    whole numbers; linear outputs need mean and variance only. Where inputs are not sampled, the loss is a
    finite sum anyway. The squared outputs of bilinear models are polynomials of degree four, so that the
    first four moments of each feature are enough.

    Parameters
    ----------
    runs
        What `train` returned, or a selection of it.
    experiment
        As for `to_module`.

    Returns
    -------
    xarray.DataArray
        One number a model, in the loss's own reduction. A sum over samples counts a batch of `batch_size`, or
        the whole data set. NaN for a model that has diverged.

    Raises
    ------
    ValueError
        For models, inputs or losses not named above, or more than 12 features unless the model is bilinear.

    Examples
    --------
    >>> import tms
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=2, n_hidden=1),
    ...     inputs=tms.SparseUniform(feature_probability=0.1),
    ...     init=tms.Given(W=[[1.0], [-1.0]]),
    ...     optimizer=tms.SGD(lr=0.0), steps=1, batch_size=1,
    ... )
    >>> run = tms.train(experiment).isel(seed=0)
    >>> round(float(tms.expected_loss(run)), 9)  # p²/6: only inputs with both active are reproduced badly
    0.001666667
    """
    experiment = at_selection(runs, experiment)
    for _, part in experiment.parts():
        _check_exact(part)

    def exact(point: Experiment, parameters: dict[str, np.ndarray]) -> np.ndarray:
        if not isinstance(point.inputs, (SparseUniform, GroupedSparse)):
            return mean_loss(point, parameters)
        p = np.broadcast_to(np.asarray(point.inputs.feature_probability, np.float64), point.n_features)
        choices = functools.lru_cache(64)(functools.partial(_choices, _sets(point.inputs, p)))
        return np.array(
            [
                _sparse_uniform_loss(
                    point, {name: value[i] for name, value in parameters.items()}, p, choices
                )
                for i in range(len(parameters["W"]))
            ]
        )

    return over_points(runs, experiment, exact, ()).rename("expected_loss")


def _check_exact(part: Experiment) -> None:
    model = part.model
    if isinstance(part.inputs, (OneHot, Dataset)):
        return
    if not isinstance(part.inputs, (SparseUniform, GroupedSparse)):
        raise fail("inputs", part.inputs, "sparse-uniform, one-hot or a data set, for the exact loss")
    if isinstance(model, Bilinear):
        if isinstance(part.inputs, GroupedSparse):
            raise fail("inputs", part.inputs, "sparse-uniform, for the exact loss of a bilinear model")
        if not isinstance(part.loss, MSE):
            raise fail("loss", part.loss, "MSE, for the exact loss")
        return
    assert isinstance(model, Autoencoder)
    if model.activation not in ("linear", "relu") or model.hidden_activation != "linear":
        raise fail(
            "model", model, "linear in the hidden layer and linear or ReLU at the end, for the exact loss"
        )
    if not isinstance(part.loss, MSE):
        raise fail("loss", part.loss, "MSE, for the exact loss")
    if part.n_features > _MOST_FEATURES:
        raise fail("n_features", part.n_features, f"at most {_MOST_FEATURES}, since 3^n terms are summed")


def _sparse_uniform_loss(
    point: Experiment, parameters: dict[str, np.ndarray], probability: np.ndarray, choices: _Choices
) -> float:
    n, loss = point.n_features, point.loss
    assert isinstance(loss, MSE)
    assert point.batch_size is not None
    importance = np.broadcast_to(np.asarray(loss.importance, dtype=np.float64), n)
    model = point.model
    assert isinstance(model, (Autoencoder, Bilinear))
    errors = (
        moments_to_errors(parameters, probability)
        if isinstance(model, Bilinear)
        else _autoencoder_errors(model, parameters, choices)
    )
    if not np.isfinite(errors).all():
        return math.nan
    total = math.fsum(importance * errors)
    match loss.reduction:
        case "mean":
            return total / n
        case "feature_sum":
            return total
        case _:
            return total * point.batch_size


def _autoencoder_errors(
    model: Autoencoder, parameters: dict[str, np.ndarray], choices: _Choices
) -> np.ndarray:
    """E (x_i − x̂_i)² for every output; NaN for weights that are not finite."""
    n = len(parameters["W"])
    read = parameters.get("W_out", parameters["W"])
    response = read @ parameters["W"].T
    constant = np.zeros(n)
    if "b_hidden" in parameters:
        constant = constant + read @ parameters["b_hidden"]
    if "b" in parameters:
        constant = constant + parameters["b"]
    if not (np.isfinite(response).all() and np.isfinite(constant).all()):
        return np.full(n, math.nan)
    rectified = model.activation == "relu"
    return np.array([_squared_error(i, response[i], constant[i], choices, rectified) for i in range(n)])


def _sets(inputs: SparseUniform | GroupedSparse, probability: np.ndarray) -> list[_Set]:
    """How likely it is, for each set of features, that just some of them are active: a feature alone, too."""
    chance = [Fraction(float(p)) for p in probability]
    if isinstance(inputs, SparseUniform):
        return [{(): 1 - p, (i,): p} for i, p in enumerate(chance)]
    assert isinstance(inputs.set_size, int)
    k, p, c = inputs.set_size, chance[0], Fraction(float(np.asarray(inputs.correlation)))
    sets = []
    for first in range(0, len(chance), k):
        members = tuple(range(first, first + k))
        found: dict[tuple[int, ...], Fraction] = {}
        for on in itertools.product((False, True), repeat=k):
            some = tuple(itertools.compress(members, on))
            found[some] = (1 - abs(c)) * p ** len(some) * (1 - p) ** (k - len(some))
        if c > 0:
            found[members] += c * p
            found[()] += c * (1 - p)
        elif c < 0:
            for i in members:
                found[i,] -= c * p
            found[()] -= c * (1 - k * p)
        sets.append(found)
    return sets


def _choices(sets: list[_Set], relevant: tuple[int, ...]) -> list[tuple[frozenset[int], float]]:
    """Which of the relevant features are active, in every way there is, and how likely that is."""
    parts = []
    for chances in sets:
        found: dict[tuple[int, ...], Fraction] = {}
        for members, chance in chances.items():
            some = tuple(j for j in members if j in relevant)
            found[some] = found.get(some, Fraction(0)) + chance
        parts.append([item for item in found.items() if item[1]])
    return [
        (
            frozenset(itertools.chain.from_iterable(members for members, _ in active)),
            float(math.prod((chance for _, chance in active), start=Fraction(1))),
        )
        for active in itertools.product(*parts)
    ]


def _squared_error(i: int, row: np.ndarray, constant: float, choices: _Choices, rectified: bool) -> float:
    """E (x_i − x̂_i)², x̂_i = f(constant + row · x): exact for each choice of active features, then rounded.

    Floating-point numbers are whole numbers over a power of two, so that all sums below are sums of integers.
    What is added in the end is positive, so that nothing cancels there.
    """
    error_of = _rectified_error if rectified else _linear_error
    numbers = [Fraction(float(a)) for a in (*row, constant)]
    unit = max(number.denominator for number in numbers)
    *slopes, c = [int(number * unit) for number in numbers]
    # Features that do not reach this output matter only if they are its own.
    relevant = tuple(j for j in range(len(row)) if slopes[j] or j == i)
    terms = []
    for active, chance in choices(relevant):
        others = [slopes[j] for j in active if j != i]
        terms.append(chance * error_of(c, others, slopes[i] if i in active else None, unit))
    return math.fsum(terms)


def _rectified_error(c: int, others: list[int], own: int | None, unit: int) -> float:
    """E (x − (c + own·x + others·u)₊)² with x and u uniform on the unit cube, numbers in units of 1 / unit.

    Without an own slope the feature is not active, and x is 0; no other slope is zero.
    """
    even, odd = [c], list[int]()  # c + others·v at the corners of the cube, by the sign of their term
    for slope in others:
        even, odd = odd + [v + slope for v in even], even + [v + slope for v in odd]

    def total(shift: int, power: int) -> int:
        high: int = sum((v + shift) ** power for v in even if v + shift > 0)
        low: int = sum((v + shift) ** power for v in odd if v + shift > 0)
        return high - low

    k, volume = len(others), math.prod(others)
    scale = math.factorial(k + 2) * volume
    second = total(0, k + 2)  # E f² = 2 second / (scale unit²)
    if own is None:
        return 2 * second / (scale * unit**2)
    if own == 0:
        first = total(0, k + 1)  # E x f = ½ E f = ½ (k + 2) first / (scale unit)
        return (scale * unit**2 + 6 * second - 3 * (k + 2) * first * unit) / (3 * scale * unit**2)
    # One more uniform feature. By parts: E x f = (E F at x = 1, less E F) / own, with F = f²/2, F' = f.
    at_one, at_zero = total(own, k + 3), total(0, k + 3)
    second_at_one = total(own, k + 2)
    scale *= (k + 3) * own
    second = at_one - at_zero  # E f² = 2 second / (scale unit²)
    drop = (k + 3) * own * second_at_one - second  # E x f = drop / (scale own unit)
    return (own * (scale * unit**2 + 6 * second) - 6 * unit * drop) / (3 * scale * own * unit**2)


def _linear_error(c: int, others: list[int], own: int | None, unit: int) -> float:
    """The same without the ReLU."""
    slopes = others if own is None else [*others, own]
    twice = 2 * c + sum(slopes)  # the mean, doubled
    twelve = 3 * twice**2 + sum(x * x for x in slopes)  # the mean square, times 12
    if own is None:
        return twelve / (12 * unit**2)
    return (twelve + 4 * unit**2 - unit * (6 * twice + 2 * own)) / (12 * unit**2)


def constant_loss(feature_probability: Any) -> Any:
    """Least squared error of an output that ignores its feature: the variance p/3 − p²/4, at the mean p/2.

    Parameters
    ----------
    feature_probability
        p of a sparse-uniform feature; any array or DataArray.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        As what was given: dimensions and coordinates are kept.

    Raises
    ------
    ValueError
        If a probability is outside 0 … 1.

    Examples
    --------
    >>> import tms
    >>> round(float(tms.constant_loss(1.0)), 6)  # the variance of a uniform number
    0.083333
    """
    p = _probability(feature_probability)
    loss = p / 3 - p**2 / 4
    return loss.rename("constant_loss") if isinstance(loss, xr.DataArray) else loss


def dedicated_loss(feature_probability: Any, *, n_features: int, n_hidden: int, importance: Any = 1.0) -> Any:
    """Loss where the m features that matter most have a dimension each, and a constant stands for the others.

    The m features with the largest importance times variance are reproduced exactly; every other output is
    its mean p/2. Reduction "feature_sum": divide by n_features for the mean. This is the two-direction
    solution when n_hidden = 2.

    Parameters
    ----------
    feature_probability, importance
        A number, or an array with one per feature as the last dimension. An array of n_features numbers is
        one per feature; a DataArray has one per feature only along a dimension of that name, "feature".
    n_features, n_hidden
        n and m.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Without the dimension of the features; a DataArray, with the other dimensions, if one was given.

    Raises
    ------
    ValueError
        If a probability is outside 0 … 1, an importance negative or no finite number, or an array's last
        dimension neither 1 nor n_features.

    Examples
    --------
    >>> import tms
    >>> round(float(tms.dedicated_loss(1.0, n_features=5, n_hidden=2)), 6)  # three features at variance 1/12
    0.25
    """
    n, m = _check.integer(1)("n_features", n_features), _check.integer(1)("n_hidden", n_hidden)
    variance = constant_loss(feature_probability)
    allowed = "a finite number with 0 <= value"
    weight = _numbers("importance", importance, allowed)
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise fail("importance", importance, allowed)

    def total(*arrays: np.ndarray) -> np.ndarray:
        each = math.prod(arrays, start=np.ones(n))
        least: np.ndarray = np.sort(each, axis=-1)[..., : max(n - m, 0)].sum(-1)
        return least

    given = {"feature_probability": variance, "importance": weight}
    if not any(isinstance(array, xr.DataArray) for array in given.values()):
        for name, array in given.items():
            if array.ndim and array.shape[-1] not in (1, n):
                raise fail(name, f"shape {array.shape}", f"one number, or {n} as the last dimension")
        return total(*given.values())
    each = []
    for name, array in given.items():
        if not isinstance(array, xr.DataArray):
            if array.shape not in ((), (n,)):
                raise fail(name, f"shape {array.shape}", f"one number, or {n}, beside a DataArray")
            array = xr.DataArray(array, dims=["feature"] if array.ndim else [])
        if array.sizes.get("feature", n) != n:
            raise fail(name, f"sizes {dict(array.sizes)}", f'of {n} along "feature"')
        each.append(array if "feature" in array.dims else array.expand_dims(feature=n))
    result = xr.apply_ufunc(total, *each, input_core_dims=[["feature"]] * 2)
    return result.rename("dedicated_loss")


def antipodal_pair_loss(feature_probability: Any, gain: Any, bias: Any = 0.0) -> Any:
    """Squared error, summed over both, of two features at W_1 = −W_2 in one dimension, with ReLU at the end.

    The outputs are (±gain · (x_1 − x_2) + bias)₊, with gain = ‖W_1‖² and the same bias for both. With
    β = bias/gain and d = x_1 − x_2, whose density is 1 − abs(d), the four cases (none, own, other, both
    active) are polynomials in gain and β for either sign of the bias.

    Parameters
    ----------
    feature_probability
        p of both features.
    gain
        ‖W_1‖² > 0.
    bias
        −gain ≤ bias ≤ gain.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        A DataArray if one was given; the three are broadcast against each other.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> import tms
    >>> round(float(tms.antipodal_pair_loss(0.1, gain=1.0)), 9)  # p²/3
    0.003333333
    """
    p = _probability(feature_probability)
    g, b = (_numbers(name, value, "a number") for name, value in (("gain", gain), ("bias", bias)))
    if not (np.isfinite(g) & (g > 0)).all():
        raise fail("gain", gain, "a finite number with 0 < value")
    if not (np.abs(b) <= g).all():
        raise fail("bias", bias, "a finite number with -gain <= value <= gain")
    loss = xr.apply_ufunc(_antipodal_pair_loss, p, g, b)
    return loss.rename("antipodal_pair_loss") if isinstance(loss, xr.DataArray) else loss


def _antipodal_pair_loss(p: np.ndarray, g: np.ndarray, b: np.ndarray) -> Any:
    beta = b / g
    up, down = np.clip(beta, 0, None), np.clip(-beta, 0, None)
    none = np.clip(b, 0, None) ** 2
    # own: ∫₀¹ (x − g (x + β)₊)² dx, in which nothing comes out below x = −β
    own = down**3 / 3 + (
        (1 - g) ** 2 * (1 - down**3) / 3 - (1 - g) * g * beta * (1 - down**2) + (g * beta) ** 2 * (1 - down)
    )
    other = g**2 * up**3 / 3
    length = 1 - down
    square = np.where(
        beta >= 0,
        (1 - up) * up**3 / 3 + up**4 / 4 + 1 / 12 + up / 3 + up**2 / 2,
        length**4 / 12,
    )
    product = np.where(
        beta >= 0,
        ((1 - up) ** 2 * up**2 / 2 + 2 * (1 - up) * up**3 / 3 + up**4 / 4) / 2 + 1 / 8 + up / 3,
        ((1 + down) * length**3 / 6 + length**4 / 12) / 2,
    )
    both = 1 / 3 - 2 * g * product + g**2 * square
    return 2 * ((1 - p) ** 2 * none + p * (1 - p) * (own + other) + p**2 * both)


def one_active_loss(W: Any, b: Any = 0.0, *, W_out: Any = None) -> xr.DataArray:
    """Squared error, summed over outputs and over which feature it is, when one feature alone is active.

    The active feature is uniform between 0 and 1, the hidden layer linear without a bias, and ReLU stands at
    the end: Σ_j Σ_i ∫₀¹ (δ_ij x − (G_ij x + b_i)₊)² dx. All features count alike. In the reduction
    "feature_sum", this is the limit of loss / p as p → 0 for sparse-uniform inputs and biases that are not
    positive, and n times the expected loss for `KSparse(k=1)`.

    Parameters
    ----------
    W, W_out
        Directions, as for `gram`.
    b
        End bias: a number, an array [feature], or a DataArray with the dimension "feature" among those of W.

    Returns
    -------
    xarray.DataArray
        One number a model.

    Raises
    ------
    ValueError
        If an array is not as described.

    Examples
    --------
    >>> import tms
    >>> float(tms.one_active_loss([[1.0], [-1.0]]))  # an antipodal pair loses nothing
    0.0
    """
    slope = gram(W, W_out)
    n = slope.sizes["feature"]
    if not isinstance(b, xr.DataArray):
        allowed = f"one number, or {n} of them"
        array = _check.floats("b", b, allowed)
        if array.shape not in ((), (n,)):
            raise fail("b", f"shape {array.shape}", allowed)
        b = xr.DataArray(array, dims=["feature"] if array.ndim else [])
    elif b.sizes.get("feature") != n or not set(b.dims) <= set(slope.dims):
        raise fail("b", f"sizes {dict(b.sizes)}", f'of {n} along "feature", and no dimensions that W lacks')
    own = xr.DataArray(np.eye(n), dims=["feature", "other_feature"])
    # The output is positive for low < x < high; there it is slope x + b.
    zero = (-b / slope.where(slope != 0)).clip(0, 1)
    low = zero.where(slope > 0, 0.0)
    high = zero.where(slope < 0, 1.0)
    low = low.where((slope != 0) | (b > 0), high)
    # ∫ (own x)² − 2 own x (slope x + b) + (slope x + b)², term by term in powers of x
    squares = (slope**2 - 2 * own * slope) * (high**3 - low**3) / 3
    products = (slope - own) * b * (high**2 - low**2)
    error: xr.DataArray = own / 3 + squares + products + b**2 * (high - low)
    return error.sum(["feature", "other_feature"], skipna=False).rename("one_active_loss")


def _numbers(name: str, value: Any, allowed: str) -> Any:
    """An array of float64, or a DataArray of them with its dimensions and coordinates."""
    array = _check.floats(name, value.values if isinstance(value, xr.DataArray) else value, allowed)
    return value.copy(data=array) if isinstance(value, xr.DataArray) else array


def _probability(value: Any) -> Any:
    allowed = "a finite number with 0 <= value <= 1"
    p = _numbers("feature_probability", value, allowed)
    if not (np.isfinite(p) & (p >= 0) & (p <= 1)).all():
        raise fail("feature_probability", value, allowed)
    return p
