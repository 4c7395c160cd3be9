"""The counter-based generator: the same numbers for ever, and random ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tms import _random

COUNT = 2**18


def stream(seed: int = 1, purpose: int = _random.SAMPLES, step: int = 0, count: int = COUNT) -> np.ndarray:
    return _random.bits(np.arange(count, dtype=np.int64), *_random.keys(seed, purpose, step))


def z_of_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two uniform streams, in standard deviations of what chance gives: 1/√count."""
    return float(np.corrcoef(a, b)[0, 1] * np.sqrt(len(a)))


def assert_uniform(values: np.ndarray, cells: int) -> None:
    """Chi-squared over equal cells stays within its central 1 − 2·10⁻⁴."""
    counts = np.bincount((values * cells) >> 32, minlength=cells)
    expected = len(values) / cells
    statistic = ((counts - expected) ** 2).sum() / expected
    assert stats.chi2.ppf(1e-4, cells - 1) < statistic < stats.chi2.isf(1e-4, cells - 1)


def test_reference_numbers() -> None:
    """Published results stay what they are: these numbers were written down once and never change."""
    assert _random.keys(0, 1, 0) == (0x00C67FB0, 0x44E5B981)
    assert _random.keys(7, 5, 123_456) == (0xD069D3F5, 0x14717C9C)
    assert _random.keys(3, 2, 0xFFFF) == (0x9FB70028, 0xE1A2DAA8)
    key = _random.keys(7, 5, 123_456)
    assert [_random.bits(i, *key) for i in (0, 1, 2, 2**32 - 1)] == [
        0xA4DB0392,
        0x4137B95C,
        0xC61200CD,
        0xFE304EC7,
    ]


def test_splitmix64_is_the_published_one() -> None:
    """The first outputs for state 0 and 1234567, as given with the reference implementation."""
    assert _random._splitmix64(0) == 0xE220A8397B1DCDAF
    assert _random._splitmix64(1_234_567) == 6_457_827_717_110_365_317


def test_python_numpy_and_torch_agree() -> None:
    """The same source gives the same bits for integers and for both kinds of array."""
    counters = np.r_[np.arange(50), 2**31 + np.arange(-3, 3), 2**32 - 1 - np.arange(5)].astype(np.int64)
    key = _random.keys(2**31 - 1, _random.VALUES, 99)
    by_numpy = _random.bits(counters, *key)
    by_torch = _random.bits(torch.from_numpy(counters), *key)
    assert by_numpy.tolist() == by_torch.tolist() == [_random.bits(int(c), *key) for c in counters]
    assert ((by_numpy >= 0) & (by_numpy < 2**32)).all()


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize("step", [0, 1, 99_999])
def test_uniform(seed: int, step: int) -> None:
    """Over 1024 cells and over the low bits."""
    values = stream(seed, step=step)
    assert_uniform(values, 1024)
    assert_uniform((values & 0xFFFF) << 16, 1024)


def test_every_bit_is_balanced() -> None:
    """Each bit is a fair coin, and each pair of bits is independent (5 standard deviations)."""
    values = stream(3)
    ones = (values[:, None] >> np.arange(32)) & 1
    assert np.abs(ones.mean(0) - 0.5).max() < 5 * 0.5 / np.sqrt(COUNT)
    correlation = np.corrcoef(ones.T)
    assert np.abs(correlation - np.eye(32)).max() < 5 / np.sqrt(COUNT)


@pytest.mark.parametrize("lag", [1, 2, 3, 5, 8, 20, 64, 80, 100, 1024])
def test_neighbouring_counters(lag: int) -> None:
    """No correlation between places in a batch, lags of the usual numbers of features among them."""
    values = stream(4, count=COUNT + lag)
    assert abs(z_of_correlation(values[lag:], values[:-lag])) < 4.5


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 5},
        {"seed": 2**31 - 1},
        {"step": 1},
        {"step": 2},
        {"step": 2**20},
        {"purpose": _random.VALUES},
        {"purpose": _random.EVALUATION},
    ],
)
def test_streams_are_unrelated(other: dict[str, int]) -> None:
    """Neither equal nor correlated: another seed, step or purpose; nor in the xor of the two."""
    here, there = stream(4), stream(**({"seed": 4} | other))
    assert (here == there).sum() <= 3  # 2^18 / 2^32 are expected
    assert abs(z_of_correlation(here, there)) < 4.5
    assert_uniform(here ^ there, 256)


def test_keys_do_not_collide() -> None:
    """Seeds, purposes and steps that a sweep uses have keys of their own (64 bits: no collision expected)."""
    seen = {
        _random.keys(seed, purpose, step)
        for seed in range(60)
        for purpose in range(1, 10)
        for step in range(60)
    }
    assert len(seen) == 60 * 9 * 60


def test_steps_of_one_place() -> None:
    """The numbers of one feature over the steps are uniform and not correlated from step to step."""
    values = np.array([_random.bits(17, *_random.keys(0, _random.SAMPLES, step)) for step in range(20_000)])
    assert_uniform(values, 64)
    assert abs(z_of_correlation(values[1:], values[:-1])) < 4.5


def test_avalanche() -> None:
    """A flipped bit of the counter or of the first key flips each output bit about half the time.

    Exact fairness is not claimed of two rounds: within 0.5 ± 0.1 for each pair of bits (by chance ± 0.02).
    """
    generator = np.random.default_rng(0)
    counter, key0, key1 = generator.integers(0, 2**32, (3, 20_000), dtype=np.int64)
    plain = _random.bits(counter, key0, key1)
    for bit in range(32):
        for flipped in (
            _random.bits(counter ^ (1 << bit), key0, key1),
            _random.bits(counter, key0 ^ (1 << bit), key1),
        ):
            rate = (((plain ^ flipped)[:, None] >> np.arange(32)) & 1).mean(0)
            assert np.abs(rate - 0.5).max() < 0.1


def test_normals_are_normal() -> None:
    """Kolmogorov–Smirnov against the standard normal; the two halves of Box and Muller are not correlated."""
    values = _random.normals(100_000, 11, _random.INIT_W)
    assert values.dtype == np.float64
    assert stats.kstest(values, "norm").pvalue > 1e-4
    assert abs(z_of_correlation(values[:50_000], values[50_000:])) < 4.5
    assert abs(z_of_correlation(values[:50_000] ** 2, values[50_000:] ** 2)) < 4.5


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
def test_normals_of_any_count(count: int) -> None:
    """Odd counts too, all finite, and the same each time."""
    values = _random.normals(count, 5, _random.INIT_B)
    assert values.shape == (count,)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, _random.normals(count, 5, _random.INIT_B))


def test_below_covers_exactly_the_range() -> None:
    """0 … n − 1, both ends included, each as often."""
    values = _random.below(stream(6), 7)
    assert set(values.tolist()) == set(range(7))
    assert stats.chisquare(np.bincount(values)).pvalue > 1e-4
    assert _random.below(0, 7) == 0
    assert _random.below(2**32 - 1, 7) == 6


def test_order_is_a_permutation_and_every_one_is_possible() -> None:
    """Each epoch and each seed has its own order; the 24 orders of four things come equally often."""
    orders = [tuple(_random.order(4, seed, epoch).tolist()) for seed in range(60) for epoch in range(40)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


def test_threshold_at_the_ends() -> None:
    """Probability 0 is never and 1 is always below the threshold."""
    assert _random.threshold([0.0, 0.5, 1.0]).tolist() == [0, 2**31, 2**32]
