"""Pairs of correlated features: merged into their mean, or held apart in superposition."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tms._check import fail
from tms.theory.sparse_uniform import _numbers, _probability


def merged_pair_loss(feature_probability: Any, correlation: Any = 0.0) -> Any:
    """Squared error, summed over both, of a pair of features that shares one direction: p/3 − P/4.

    P = c p + (1 − c) p² is how often both are active, for `GroupedSparse` inputs with set_size 2 and c ≥ 0.
    With W_1 = W_2 = u / √2, u a unit vector of the pair's own, and no bias, both outputs are (x_1 + x_2)/2,
    which is never negative; what is lost is the difference, E (x_1 − x_2)²/2. That is the smaller eigenvalue
    of the pair's covariance matrix, so no linear model with one dimension for the pair loses less (Eckart and
    Young, 1936): this is what principal component analysis does.

    Parameters
    ----------
    feature_probability
        p of both features.
    correlation
        c, from 0 to 1.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        A DataArray if one was given; the two are broadcast against each other.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> import tms
    >>> round(float(tms.merged_pair_loss(0.3, correlation=1.0)), 12)  # p / 12
    0.025
    """
    p, c = _probability(feature_probability), _correlation(correlation)
    loss = p / 3 - (c * p + (1 - c) * p**2) / 4
    return loss.rename("merged_pair_loss") if isinstance(loss, xr.DataArray) else np.asarray(loss)


def merging_probability(correlation: Any) -> Any:
    """The feature probability above which merging pairs loses less than superposition: (4 − 3c) / (7 − 3c).

    Two pairs in two dimensions, `GroupedSparse` inputs with set_size 2. Superposition sets every feature
    opposite one of the other pair, with unit vectors and no bias; it loses p²/3 for every two features.
    Merging loses `merged_pair_loss`. The two are equal at this p.

    Parameters
    ----------
    correlation
        c, from 0 to 1; any array or DataArray.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        As what was given.

    Raises
    ------
    ValueError
        If a correlation is outside 0 … 1.

    Examples
    --------
    >>> import tms
    >>> float(tms.merging_probability(1.0))
    0.25
    """
    c = _correlation(correlation)
    p = (4 - 3 * c) / (7 - 3 * c)
    return p.rename("merging_probability") if isinstance(p, xr.DataArray) else np.asarray(p)


def _correlation(value: Any) -> Any:
    allowed = "a finite number with 0 <= value <= 1"
    c = _numbers("correlation", value, allowed)
    if not (np.isfinite(c) & (c >= 0) & (c <= 1)).all():
        raise fail("correlation", value, allowed)
    return c
