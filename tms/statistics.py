"""Fractions with their intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tms import _check
from tms._check import fail


class Fraction(NamedTuple):
    """A fraction of trials, with an interval for the probability behind it.

    Attributes
    ----------
    successes, trials
        Counts.
    low, high
        Bounds of the interval.

    Examples
    --------
    >>> import tms
    >>> print(tms.fraction([True] * 50 + [False] * 50))
    50 of 100 (40–60 %)
    """

    successes: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """successes / trials."""
        return self.successes / self.trials

    def __str__(self) -> str:
        low, high = 100 * self.low, 100 * self.high
        digits = max(0, math.ceil(-math.log10(max(high - low, 1e-9))))  # enough to tell the bounds apart
        return f"{self.successes} of {self.trials} ({low:.{digits}f}–{high:.{digits}f} %)"


def fraction(outcomes: object, *, level: float = 0.95) -> Fraction:
    """The fraction of outcomes that are true, with Wilson's score interval.

    With the estimate k/n, the interval holds every probability p under which the estimate lies within z
    standard deviations sqrt(p (1 − p) / n) of p, z being the normal quantile of the level. Unlike the naive
    interval it stays inside 0 … 1 and does not shrink to a point at 0 of n.

    Parameters
    ----------
    outcomes
        True or false for each trial; an array or DataArray of any shape.
    level
        Coverage of the interval: on average over p near this, and less for some p close to 0 or 1.

    Returns
    -------
    Fraction
        The counts, and the bounds of the interval.

    Raises
    ------
    ValueError
        If there are no outcomes, they are not true or false, or the level is not strictly between 0 and 1.

    Examples
    --------
    >>> import tms
    >>> print(tms.fraction([True] * 97 + [False] * 3))
    97 of 100 (92–99 %)
    """
    from scipy.special import ndtri  # scipy takes a moment to load, and few need it

    _check.number(0.0, 1.0, open_low=True, open_high=True)("level", level)
    values = np.asarray(outcomes)
    if values.dtype != bool or values.size == 0:
        raise fail("outcomes", outcomes, "an array of at least one True or False")
    n, k = values.size, int(values.sum())
    z = float(ndtri(0.5 + level / 2))
    centre = (k + z**2 / 2) / (n + z**2)
    half = z * (k * (n - k) / n + z**2 / 4) ** 0.5 / (n + z**2)
    # At 0 and n one bound is exact, and would else be so but for rounding.
    low, high = (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)
    return Fraction(k, n, low, high)
