"""Fractions and means: against scipy, published numbers and the distributions behind them."""

from __future__ import annotations

import itertools
import re
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


# ------------------------------------------------------------------ means


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40),
    st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]),
    st.sampled_from([1e-30, 1.0, 1e30]),
)
def test_mean_against_scipy(values: list[float], level: float, unit: float) -> None:
    """scipy's interval of Student's distribution, for all levels and units."""
    array = np.array(values) * unit
    found = tms.mean(array, level=level)
    assert found.trials == len(values)
    size = float(np.abs(array).max())
    assert found.value == pytest.approx(array.mean(), rel=1e-12, abs=1e-14 * size)
    if np.ptp(array) > 1e-3 * size:
        low, high = stats.t.interval(level, len(values) - 1, array.mean(), stats.sem(array))
        assert found.low == pytest.approx(low, rel=1e-9, abs=1e-12 * size)
        assert found.high == pytest.approx(high, rel=1e-9, abs=1e-12 * size)


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("n", [2, 5, 30])
def test_coverage_of_means(n: int, level: float) -> None:
    """Of normally distributed measurements: exactly the level, up to the error of 4000 samples."""
    samples = np.random.default_rng(n).normal(3.0, 2.0, (4000, n))
    intervals = np.array([tms.mean(sample, level=level)[2:] for sample in samples])
    covered = int(((intervals[:, 0] <= 3.0) & (intervals[:, 1] >= 3.0)).sum())
    assert stats.binomtest(covered, 4000, level).pvalue > 1e-3


def test_mean_of_any_shape() -> None:
    """Lists, arrays, labelled arrays and tensors count alike, whole numbers too."""
    import torch

    values = np.random.default_rng(0).integers(0, 9, (4, 5, 3))
    expected = tms.mean(values.ravel().tolist())
    assert expected.value == pytest.approx(values.mean())
    assert expected.trials == 60
    given = [values, xr.DataArray(values, dims=("a", "b", "c")), torch.tensor(values), values.astype("f4")]
    for value in given:
        assert tms.mean(value) == expected
    assert all(type(number) is float for number in (expected.value, expected.low, expected.high))


def test_one_measurement_tells_nothing_about_its_uncertainty() -> None:
    assert tms.mean([4.25]) == (4.25, 1, -np.inf, np.inf)
    assert str(tms.mean([4.25])) == "4.2 ± inf"


@pytest.mark.parametrize("values", [[0.1] * 3, [1 / 3] * 7, [1e300] * 10, [0.0, 0.0], [-5, -5]])
def test_equal_measurements_leave_a_point(values: list[float]) -> None:
    """Exactly, without what a sum of them is rounded by."""
    assert tms.mean(values) == (values[0], len(values), values[0], values[0])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_measurements_that_are_no_numbers_leave_no_interval(wrong: float, n: int) -> None:
    """Also where all of them are so; and nothing is said to stderr."""
    for values in ([wrong] + [1.0] * (n - 1), [wrong] * n):
        found = tms.mean(values)
        assert np.array_equal(found.value, wrong, equal_nan=True)
        assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (4.1, 0.1299, "4.10 ± 0.13"),
        (4.1, 0.0996, "4.10 ± 0.10"),
        (12.34, 9.96, "12 ± 10"),
        (12.34, 9.94, "12.3 ± 9.9"),
        (123.4, 12.6, "123 ± 13"),
        (123456, 2893, "123500 ± 2900"),
        (-0.04, 5.71, "0.0 ± 5.7"),
        (-0.06, 5.71, "-0.1 ± 5.7"),
        (1e-3, 2.5e-4, "0.00100 ± 0.00025"),
        (1.05e-8, 6.4e-9, "(1.05 ± 0.64)e-08"),
        (0.0, 6.4e-9, "(0.0 ± 6.4)e-09"),
        (1.05e20, 6.4e18, "(1.050 ± 0.064)e+20"),
        (12345, 0.0, "12345"),
        (1 / 3, 0.0, "0.3333"),
    ],
)
def test_text_of_a_mean(value: float, half: float, text: str) -> None:
    """Two digits of the half width, and the mean as far as that."""
    found = tms.Mean(value, 9, value - half, value + half)
    assert str(found) == f"{found}" == text


@given(st.floats(-1e9, 1e9), st.floats(-30, 30))
def test_text_of_a_mean_can_be_read_back(value: float, power: float) -> None:
    """It is rounded by at most a twentieth of the half width, which has two digits."""
    half = 10**power
    found = tms.Mean(value, 9, value - half, value + half)
    half = (found.high - found.low) / 2  # as far as a float can tell
    if half < 1e-12 * abs(value):
        return
    numbers, _, exponent = str(found).partition(")e")
    shown, width = numbers.strip("()").split(" ± ")
    unit = 10.0 ** int(exponent or 0)
    assert float(width) * unit == pytest.approx(half, rel=0.051)
    assert abs(float(shown) * unit - value) <= 0.0501 * half
    assert len(re.sub(r"^[0.]*|\.|0+$", "", width)) <= 2


def test_a_mean_can_be_formatted_as_a_number() -> None:
    assert f"{tms.mean([1.0, 2.0, 3.0]):.3f}" == "2.000"


@pytest.mark.parametrize(
    "values", [[], ["1"], [1j], [None], None, [True], [[1.0], [1.0, 2.0]], np.empty((0, 3)), {}]
)
def test_wrong_measurements(values: Any) -> None:
    """At least one, each a number."""
    rejects(lambda: tms.mean(values), "values", values)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 95, np.nan, "0.95", None, True])
def test_wrong_level_of_a_mean(level: Any) -> None:
    """Strictly between 0 and 1."""
    rejects(lambda: tms.mean([1.0], level=level), "level", level)
