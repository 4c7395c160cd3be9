"""Fractions and means with their intervals."""

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


class Mean(NamedTuple):
    """The mean of some measurements, with an interval for the expectation behind it.

    Attributes
    ----------
    value
        The mean.
    trials
        How many measurements.
    low, high
        Bounds of the interval; infinite if there is only one measurement.

    Examples
    --------
    >>> import tms
    >>> print(tms.mean([4.1, 4.2, 4.0, 4.1]))
    4.10 ± 0.13
    """

    value: float
    trials: int
    low: float
    high: float

    def __str__(self) -> str:
        return format(self)

    def __format__(self, spec: str) -> str:
        """The mean with the digits that its uncertainty allows, or as the specification says.

        These are two digits of the half width. What is very small or large has a power of ten.
        """
        if spec:
            return format(self.value, spec)
        half = (self.high - self.low) / 2
        if half == 0:
            return plain(self.value)
        if not half < math.inf:
            return f"{self.value:.2g} ± {half}"
        size = max(abs(self.value), half)
        power = 0 if 1e-4 <= size < 1e7 else _exponent(size)
        # In two steps, since 10^-power alone may be too large for a float.
        scale = 10.0 ** (power // 2), 10.0 ** (power - power // 2)
        value, half = self.value / scale[0] / scale[1], half / scale[0] / scale[1]
        digits = 1 - _exponent(half)
        text = " ± ".join(f"{round(number, digits) + 0.0:.{max(0, digits)}f}" for number in (value, half))
        return f"({text})e{power:+03}" if power else text


def mean(values: object, *, level: float = 0.95) -> Mean:
    """The mean of some measurements, with Student's interval.

    The interval is the mean ± t · s / √n, with the sample's standard deviation s and the quantile t of
    Student's distribution with n − 1 degrees of freedom. It is exact for normally distributed measurements.

    Parameters
    ----------
    values
        Numbers, one for each trial; an array or DataArray of any shape.
    level
        Coverage of the interval.

    Returns
    -------
    Mean
        The mean, the number of trials, and the bounds of the interval. Bounds are NaN if a value is NaN or
        infinite.

    Raises
    ------
    ValueError
        If there are no values, they are not numbers, or the level is not strictly between 0 and 1.

    Examples
    --------
    >>> import tms
    >>> round(tms.mean([1.0, 2.0, 3.0]).high, 3)
    4.484
    """
    from scipy.special import stdtrit

    _check.number(0.0, 1.0, open_low=True, open_high=True)("level", level)
    numbers = _check.floats("values", values, "an array of at least one number").ravel()
    n = numbers.size
    if n == 0:
        raise fail("values", values, "an array of at least one number")
    if np.isfinite(numbers).all() and n > 1 and (numbers == numbers[0]).all():
        return Mean(float(numbers[0]), n, float(numbers[0]), float(numbers[0]))  # without rounding
    with np.errstate(over="ignore", invalid="ignore"):
        centre = float(numbers.mean())
        if not math.isfinite(centre):
            half = math.nan
        elif n == 1:
            half = math.inf
        else:
            half = float(-stdtrit(n - 1, (1 - level) / 2) * numbers.std(ddof=1) / math.sqrt(n))
    return Mean(centre, n, centre - half, centre + half)


def plain(value: float) -> str:
    """A number with four digits, without an exponent where that is readable; one digit if it is rounding."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if abs(value) < 1e-9:
        return f"{value:.0e}"
    return f"{value:.4g}"


def _exponent(value: float) -> int:
    """Power of ten of a positive number's first digit, once it is rounded to two digits."""
    return int(f"{value:.1e}".split("e")[1])
