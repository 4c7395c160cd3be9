"""Fractions: against scipy, published numbers and the binomial distribution."""

from __future__ import annotations

import itertools
from fractions import Fraction as Rational
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import tms
from tests.wrong import rejects


def trials(successes: int, n: int) -> np.ndarray:
    return np.arange(n) < successes


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3."""
    found = tms.fraction(trials(successes, n))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_against_scipy(n: int, share: float, level: float) -> None:
    """scipy's interval, for all levels."""
    k = round(share * n)
    found = tms.fraction(np.random.default_rng(n).permutation(trials(k, n)), level=level)
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert (found.successes, found.trials) == (k, n)
    assert found.value == k / n
    assert found.low == pytest.approx(expected.low, rel=1e-10, abs=1e-14)
    assert found.high == pytest.approx(expected.high, rel=1e-10)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.01, 0.9999))
def test_bounds_solve_the_score_equation(n: int, share: float, level: float) -> None:
    """At each bound inside (0, 1) the estimate, which lies between them, is z standard deviations away."""
    k = round(share * n)
    found = tms.fraction(trials(k, n), level=level)
    z = stats.norm.isf((1 - level) / 2)
    assert 0 <= found.low <= found.value <= found.high <= 1
    for p in {found.low, found.high} - {0.0, 1.0}:
        assert abs(found.value - p) == pytest.approx(z * (p * (1 - p) / n) ** 0.5, rel=1e-6)


def test_bounds_at_the_ends_are_exact() -> None:
    """0 of n starts at 0, n of n ends at 1, and neither is a point."""
    for n, level in itertools.product(range(1, 100), (0.5, 0.9, 0.95, 0.999)):
        none, every = tms.fraction(trials(0, n), level=level), tms.fraction(trials(n, n), level=level)
        assert none.low == 0.0 < none.high
        assert every.low < 1.0 == every.high
        assert none.high == pytest.approx(1 - every.low)


@pytest.mark.parametrize("n", [20, 100, 400])
def test_coverage(n: int) -> None:
    """By exact sums: within 1 % of 95 % on average, and from 4 successes expected on never below 91 %."""
    intervals = [tms.fraction(trials(k, n)) for k in range(n + 1)]
    low, high = (np.array([getattr(one, bound) for one in intervals]) for bound in ("low", "high"))
    p = np.linspace(0, 1, 2001)[1:-1, None]
    chance = stats.binom.pmf(np.arange(n + 1), n, p)
    coverage = (chance * ((low <= p) & (p <= high))).sum(1)
    assert abs(coverage.mean() - 0.95) < 0.01
    middle = (p[:, 0] > 4 / n) & (p[:, 0] < 1 - 4 / n)
    assert coverage[middle].min() > 0.91


def test_outcomes_of_any_shape() -> None:
    """Lists, arrays and labelled arrays are counted alike."""
    values = np.random.default_rng(0).random((4, 5, 3)) < 0.3
    expected = tms.fraction(values.ravel().tolist())
    assert expected.successes == values.sum()
    assert tms.fraction(values) == tms.fraction(xr.DataArray(values, dims=("a", "b", "c"))) == expected
    assert Rational(expected.successes, expected.trials) == Rational(int(values.sum()), 60)


@pytest.mark.parametrize(
    ("successes", "n", "text"),
    [
        (97, 100, "97 of 100 (92–99 %)"),
        (0, 100, "0 of 100 (0–4 %)"),
        (1, 2, "1 of 2 (9–91 %)"),
        (1000, 1000, "1000 of 1000 (99.6–100.0 %)"),
        (500, 10**5, "500 of 100000 (0.46–0.55 %)"),
    ],
)
def test_text(successes: int, n: int, text: str) -> None:
    """In per cent, with enough digits to tell the bounds apart."""
    assert str(tms.fraction(trials(successes, n))) == text


@given(st.integers(1, 20_000), st.floats(0, 1))
def test_text_has_two_bounds(n: int, share: float) -> None:
    """They never look alike."""
    text = str(tms.fraction(trials(round(share * n), n)))
    low, high = text.split("(")[1].removesuffix(" %)").split("–")
    assert float(low) < float(high)


@pytest.mark.parametrize(
    "outcomes", [[], [1, 0], [0.5], ["True"], None, np.array([True, None]), np.empty((0, 3), bool)]
)
def test_wrong_outcomes(outcomes: Any) -> None:
    """At least one, true or false."""
    rejects(lambda: tms.fraction(outcomes), "outcomes", outcomes)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95, np.nan, "0.95", None, True])
def test_wrong_level(level: Any) -> None:
    """Strictly between 0 and 1."""
    rejects(lambda: tms.fraction([True], level=level), "level", level)
