"""What the lab compares read directions with: its JavaScript, run by Node, against numpy and the library."""

from __future__ import annotations

import numpy as np
import pytest

import tms
from tests.test_lab_trainer import node

LIMIT = 1e-10  # relative to the largest entry


def near(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=LIMIT * max(np.abs(expected).max(), 1e-300))


@pytest.mark.parametrize("m", [1, 2, 3, 8, 20])
def test_eigenvalues_and_vectors_of_symmetric_matrices(m: int) -> None:
    """Random ones, singular ones, diagonal ones, ones with equal eigenvalues, and none but zeros."""
    rng = np.random.default_rng(m)
    random = rng.normal(size=(m, m))
    axes = np.linalg.qr(random)[0]
    equal = (axes * np.where(np.arange(m) < m / 2, 2.0, -1.0)) @ axes.T
    low = rng.normal(size=(m, max(1, m // 2)))
    cases = [random + random.T, low @ low.T, np.diag(rng.normal(size=m)), (equal + equal.T) / 2]
    cases += [np.zeros((m, m)), np.ones((m, m)), 1e-30 * (random + random.T), 1e30 * (random + random.T)]
    found = node(
        """
const { symmetricEigen } = await import(folder + "/compare.js");
console.log(JSON.stringify(data.cases.map((matrix) => {
  const { values, vectors } = symmetricEigen(matrix, data.m);
  return { values: Array.from(values), vectors: Array.from(vectors) };
})));
""",
        {"m": m, "cases": [case.ravel().tolist() for case in cases]},
    )
    for case, one in zip(cases, found, strict=True):
        values, vectors = np.array(one["values"]), np.array(one["vectors"]).reshape(m, m)
        near(np.sort(values), np.linalg.eigvalsh(case))
        near(vectors.T @ vectors, np.eye(m))
        near((vectors * values) @ vectors.T, case)


def writes() -> list[np.ndarray]:
    """Write vectors of every size that the lab draws, many of them with singular frames."""
    rng = np.random.default_rng(7)
    cases = [rng.normal(size=(n, m)) for n, m in ((1, 1), (5, 2), (3, 2), (8, 3), (2, 3), (40, 20), (7, 20))]
    some_zero = rng.normal(size=(5, 2))
    some_zero[[1, 3]] = 0
    on_a_line = np.outer(rng.normal(size=6), [0.6, -0.8])
    turn = 2 * np.pi * np.arange(5) / 5
    pentagon = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return [*cases, some_zero, on_a_line, pentagon, np.zeros((4, 2)), 1e-20 * cases[1], 1e20 * cases[1]]


def test_proposed_reads_are_the_librarys() -> None:
    found = node(
        """
const { proposedReads } = await import(folder + "/compare.js");
console.log(JSON.stringify(data.map(({ W, m }) => proposedReads(W, m))));
""",
        [{"W": W.ravel().tolist(), "m": W.shape[1]} for W in writes()],
    )
    for W, one in zip(writes(), found, strict=True):
        near(np.array(one["dual"], float).reshape(W.shape), tms.dual_frame(W).values)
        near(np.array(one["pretty_good"], float).reshape(W.shape), tms.pretty_good(W).values)


def test_no_numbers_give_no_reads() -> None:
    """A model that has diverged, one whose squares are too large, and what JSON makes of the former."""
    found = node("""
const { proposedReads } = await import(folder + "/compare.js");
const cases = [[1, NaN, 0, 1], [1, Infinity, 0, 1], [1, null, 0, 1], [1e200, 0, 0, 1]];
console.log(JSON.stringify(cases.map((W) => proposedReads(W, 2))));
""")
    assert found == [None] * 4


def test_mean_angles() -> None:
    """Against numpy, over the features that are read; none, if none is."""
    rng = np.random.default_rng(1)
    W, R, other = rng.normal(size=(3, 6, 3))
    other[2] = 0
    found = node(
        """
const { meanAngle } = await import(folder + "/compare.js");
const { W, R, other } = data;
const minus = R.map((x) => -x);
console.log(JSON.stringify([meanAngle(R, other, W, 3), meanAngle(minus, other, W, 3), meanAngle(W, W, W, 3),
  meanAngle(R, W.map(() => 0), W, 3)]));
""",
        {"W": W.ravel().tolist(), "R": R.ravel().tolist(), "other": other.ravel().tolist()},
    )
    long = np.linalg.norm(other, axis=1) > 0
    for sign, one in zip((1, -1), found[:2], strict=True):
        read = (sign * (R * W).sum(1) > 0.01) & long
        r, o = sign * R[read], other[read]
        cosines = (r * o).sum(1) / np.linalg.norm(r, axis=1) / np.linalg.norm(o, axis=1)
        assert one["count"] == read.sum()
        assert one["degrees"] == pytest.approx(np.degrees(np.arccos(cosines)).mean(), rel=1e-12)
    assert found[2]["count"] == 6
    assert found[2]["degrees"] < 1e-5
    assert found[3] == {"degrees": None, "count": 0}
