"""Random numbers from a counter.

A random number here is a hash of where it is used: seed, purpose, step, and place in the batch. So a model's
numbers do not depend on which other models are trained beside it, on the number of threads, or on the order
in which anything is computed; and every engine, in any language, gets the same ones.

Seed, purpose and step are mixed by splitmix64 (Steele, Lea & Flood, 2014) into two 32-bit keys. The place in
the batch, a 32-bit counter, goes through two multiply-xorshift rounds; the multipliers are those that
C. Wellons found by search to have the least bias (hash-prospector, 2018). The first key enters before the
first round, the second between the rounds.

The functions use only operators, masked to their width, so that they serve Python's integers, numpy's and
torch's int64 arrays alike. A compiled engine has its own copy of `bits` in 32-bit arithmetic, and a test that
the two agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MASK32 = 0xFFFF_FFFF
MASK64 = 0xFFFF_FFFF_FFFF_FFFF

# What a stream of numbers is for. (2 is free; a number that changed would change every run.)
SAMPLES, VALUES, ORDER, INIT_W, INIT_W_OUT, INIT_B, INIT_B_HIDDEN, EVALUATION = 1, *range(3, 10)
# Sampling by the gaps between active features draws other numbers than one for each feature.
GAP, GAP_VALUE = 101, 102
INIT_W_GATE, INIT_B_GATE = 10, 11


def keys(seed: int, purpose: int, step: int = 0) -> tuple[int, int]:
    """The two 32-bit keys of a stream."""
    state = _splitmix64(seed)
    state = _splitmix64(state ^ purpose)
    state = _splitmix64(state ^ step)
    return state & MASK32, state >> 32


def bits(counter: Any, key0: Any, key1: Any) -> Any:
    """32 random bits for each counter, as non-negative integers.

    `counter`, `key0`, `key1`: integers below 2**32, or int64 arrays of them that broadcast.
    """
    x = counter ^ key0
    x = x ^ (x >> 16)
    x = (x * 0x21F0_AAAD) & MASK32
    x = x ^ (x >> 15)
    x = x ^ key1
    x = (x * 0x735A_2D97) & MASK32
    return x ^ (x >> 15)


def below(random_bits: Any, n: Any) -> Any:
    """A whole number 0 … n − 1 from 32 random bits (n at most 2**31)."""
    return (random_bits * n) >> 32


def normals(count: int, seed: int, purpose: int) -> np.ndarray:
    """`count` standard normal numbers, float64, by the method of Box and Muller."""
    key0, key1 = keys(seed, purpose)
    half = (count + 1) // 2
    first = bits(np.arange(half, dtype=np.int64), key0, key1)
    second = bits(np.arange(half, 2 * half, dtype=np.int64), key0, key1)
    radius = np.sqrt(-2.0 * np.log((first + 0.5) / 2**32))
    angle = 2.0 * np.pi * (second + 0.5) / 2**32
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """A random order of 0 … n − 1."""
    key0, key1 = keys(seed, ORDER, epoch)
    return np.argsort(bits(np.arange(n, dtype=np.int64), key0, key1), kind="stable")


def threshold(probability: Any) -> np.ndarray:
    """A feature is active where its bits are below this whole number, 0 … 2**32."""
    return np.rint(np.asarray(probability, dtype=np.float64) * 2.0**32).astype(np.int64)


def set_limits(probability: Any, correlation: Any, size: int, n_features: int) -> tuple[np.ndarray, ...]:
    """How a number for each set decides, for `GroupedSparse`; whole numbers below 2**32.

    A set is bound where its number is below the first limit, [model, 1]. A feature of a bound set is active
    where the number is at or above the third, [model, feature], and by less than the second, [model, 1].
    """
    p, c = (np.asarray(values, dtype=np.float64).reshape(-1, 1) for values in (probability, correlation))
    # 2**32 itself would not fit 32 bits. The one number too few goes to sets that are not bound, where p is
    # the same.
    bound, together = (np.minimum(threshold(x), MASK32) for x in (np.abs(c), np.abs(c) * p))
    place = np.arange(n_features) % size
    return bound, together, np.where(c < 0, place * together, 0) & MASK32


def _splitmix64(x: int) -> int:
    x = (x + 0x9E37_79B9_7F4A_7C15) & MASK64
    x = ((x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D0_49BB_1331_11EB) & MASK64
    return x ^ (x >> 31)
