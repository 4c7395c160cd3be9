"""Tegum factors and their names, on solids that are built here, independently of the library's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.spatial
import scipy.stats

import tms

GOLDEN = (1 + 5**0.5) / 2


def polygon(n: int) -> np.ndarray:
    """Corners as complex roots of unity."""
    roots = np.exp(2j * np.pi * np.arange(n) / n)
    return np.stack([roots.real, roots.imag], 1)


def permutohedral_simplex(d: int) -> np.ndarray:
    """d + 1 corners in d dimensions: e_i and one more on the diagonal, centred."""
    last = (1 - (d + 1) ** 0.5) / d
    corners = np.vstack([np.eye(d), np.full(d, last)])
    return corners - corners.mean(0)


def icosahedron() -> np.ndarray:
    """Cyclic permutations of (0, ±1, ±φ)."""
    base = [np.array([0, a, b * GOLDEN]) for a in (1, -1) for b in (1, -1)]
    return np.array([np.roll(v, k) for v in base for k in range(3)])


def antiprism(n: int, height: float) -> np.ndarray:
    """Two n-gons of unit radius at ± height, one turned."""
    turn = np.exp(1j * np.pi / n)
    roots = np.exp(2j * np.pi * np.arange(n) / n)
    both = [(roots, height), (roots * turn, -height)]
    return np.vstack([np.stack([r.real, r.imag, np.full(n, h)], 1) for r, h in both])


SOLIDS: dict[str, np.ndarray] = {
    "single": np.ones((1, 1)),
    "digon": np.array([[1.0], [-1.0]]),
    "triangle": polygon(3),
    "pentagon": polygon(5),
    "hexagon": polygon(6),
    "octagon": polygon(8),
    "tetrahedron": np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
    "4-simplex": permutohedral_simplex(4),
    "5-simplex": permutohedral_simplex(5),
    "square pyramid": np.array([[1, 0, -0.5], [0, 1, -0.5], [-1, 0, -0.5], [0, -1, -0.5], [0, 0, 1]]),
    "triangular prism": np.vstack([np.c_[polygon(3), h * np.ones(3)] for h in (0.6, -0.6)]),
    "square antiprism": antiprism(4, 0.6),
    "square prism": np.array(list(itertools.product((-1.0, 1.0), repeat=3))),
    "triaugmented triangular prism": np.vstack(
        [
            np.c_[polygon(3), 0.95 * np.ones(3)],
            np.c_[polygon(3), -0.95 * np.ones(3)],
            np.c_[-polygon(3), np.zeros(3)],
        ]
    ),
    "gyroelongated square bipyramid": np.vstack([antiprism(4, 0.45), [[0, 0, 1], [0, 0, -1]]]),
    "icosahedron": icosahedron(),
}  # fmt: skip


def hidden(
    parts: list[np.ndarray], m: int, seed: int, noise: float = 0.0
) -> tuple[np.ndarray, list[set[int]]]:
    """Solids in dimensions of their own, turned, renumbered, with norms near 1; and where each part went."""
    rng = np.random.default_rng(seed)
    n = sum(map(len, parts))
    W = np.zeros((n, m))
    owner, row, column = np.empty(n, int), 0, 0
    for i, part in enumerate(parts):
        unit = part / np.linalg.norm(part, axis=1, keepdims=True)
        W[row : row + len(part), column : column + part.shape[1]] = unit
        owner[row : row + len(part)] = i
        row, column = row + len(part), column + part.shape[1]
    assert column <= m
    W = W @ scipy.stats.ortho_group.rvs(m, random_state=rng) if m > 1 else W
    W = W * rng.uniform(0.8, 1.2, (n, 1)) + noise * rng.normal(size=W.shape)
    order = rng.permutation(n)
    places = [set(np.flatnonzero(owner[order] == i).tolist()) for i in range(len(parts))]
    return W[order], places


@pytest.mark.parametrize("name", SOLIDS)
@pytest.mark.parametrize("seed", range(3))
def test_each_solid_is_recognised(name: str, seed: int) -> None:
    """However it is turned and numbered, with unequal norms and a little noise, in more room than needed."""
    W, _ = hidden([SOLIDS[name]], SOLIDS[name].shape[1] + seed, seed, noise=0.02 * (seed > 0))
    (factor,) = tms.factors(W)
    assert factor.shape == name
    assert factor.n_dimensions == SOLIDS[name].shape[1]
    assert factor.features == tuple(range(len(W)))
    assert factor.difference < (1e-3 if seed == 0 else 10)


@pytest.mark.parametrize("seed", range(5))
def test_products_come_apart(seed: int) -> None:
    """Several factors at once, some of them alike."""
    names = ["digon", "pentagon", "digon", "triangle", "square antiprism", "single", "tetrahedron"]
    parts = [SOLIDS[name] for name in names]
    W, places = hidden(parts, sum(part.shape[1] for part in parts), seed, noise=0.01)
    found = tms.factors(W)
    assert {(frozenset(f.features), f.shape) for f in found} == {
        (frozenset(place), name) for place, name in zip(places, names, strict=True)
    }
    assert sum(f.n_dimensions for f in found) == W.shape[1]
    assert [len(f.features) for f in found] == sorted((len(f.features) for f in found), reverse=True)


def test_composites() -> None:
    """Square, octahedron and the bipyramids are products, and fall into what they are made of."""
    bipyramid = np.vstack([np.c_[polygon(5), np.zeros(5)], [[0, 0, 1], [0, 0, -1]]])
    for W, names in (
        (polygon(4), ["digon"] * 2),
        (np.vstack([np.eye(3), -np.eye(3)]), ["digon"] * 3),
        (bipyramid, ["pentagon", "digon"]),
        (np.eye(4), ["single"] * 4),
    ):
        assert [f.shape for f in tms.factors(W)] == names


def rhombic() -> np.ndarray:
    """Seven corners with a threefold axis: no factor of two, and no name."""
    return np.vstack(
        [[[0, 0, 1.0]], np.c_[polygon(3), 0.3 * np.ones(3)], np.c_[-polygon(3), -0.9 * np.ones(3)]]
    )


DECOYS: dict[str, Callable[[], np.ndarray]] = {
    "a pentagon with one corner 25 degrees off": lambda: np.vstack(
        [polygon(5)[:4], [[np.cos(np.radians(313)), np.sin(np.radians(313))]]]
    ),
    "half an octagon": lambda: polygon(8)[:5],
    "a tetrahedron with a corner pushed": lambda: (
        SOLIDS["tetrahedron"] + np.outer([1, 0, 0, 0], [0.0, 0.0, 1.0])
    ),
    "a cube twisted halfway to the antiprism": lambda: np.vstack(
        [
            np.c_[np.cos(a), np.sin(a), np.full(4, h)]
            for a, h in ((np.pi / 2 * np.arange(4), 0.7), (np.pi / 2 * np.arange(4) + np.pi / 8, -0.7))
        ]
    ),
    "a capped octahedron": rhombic,
    "eleven of the icosahedron": lambda: icosahedron()[:11],
    "nine at random": lambda: np.random.default_rng(3).normal(size=(9, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", DECOYS)
def test_decoys_have_no_name(name: str) -> None:
    """Nearly the solids, or as many corners as one."""
    (factor,) = tms.factors(DECOYS[name]())
    assert factor.shape == ""
    assert np.isnan(factor.difference)


def test_small_features_and_weak_ties_are_left_out() -> None:
    """A feature below min_norm joins nothing, and a cosine below the threshold does not join."""
    W = np.array([[1.0, 0.0], [-1.0, 0.0], [0.1, 1.0], [0.3, 0.3]])
    assert [f.features for f in tms.factors(W)] == [(0, 1), (2,)]
    assert [f.features for f in tms.factors(W, min_norm=0.2)] == [(0, 1, 2, 3)]
    assert [f.features for f in tms.factors(W, threshold=0.05)] == [(0, 1, 2)]
    assert tms.factors(np.zeros((3, 2))) == []


@pytest.mark.parametrize("seed", range(4))
def test_difference_is_the_best_over_all_permutations(seed: int) -> None:
    """Against trying all of them."""
    rng = np.random.default_rng(seed)
    one = rng.normal(size=(6, 3))
    other = one[rng.permutation(6)] @ scipy.stats.ortho_group.rvs(3, random_state=rng)
    other = other + 0.15 * rng.normal(size=other.shape)

    def angles(W: np.ndarray) -> np.ndarray:
        distance = scipy.spatial.distance.pdist(W, "cosine")
        return np.degrees(np.arccos(1 - scipy.spatial.distance.squareform(distance)))

    a, b = angles(one), angles(other)
    least = min(abs(a - b[np.ix_(p, p)]).max() for p in itertools.permutations(range(6)))
    assert tms.shape_difference(one, other, limit=180) == pytest.approx(least, abs=1e-6)
    assert tms.shape_difference(one, other, limit=0.9 * least) == np.inf


def test_difference_sees_no_rotation() -> None:
    """Of a symmetric solid, in another number of dimensions, with other norms."""
    W, _ = hidden([icosahedron()], 5, seed=1)
    assert tms.shape_difference(icosahedron(), W) < 1e-6
    assert tms.shape_difference(icosahedron(), W[:11]) == np.inf


def test_complaints() -> None:
    """Each names the parameter."""
    good = np.eye(3)
    for call, name in (
        (lambda: tms.factors(np.zeros((2, 3, 4))), "W"),
        (lambda: tms.factors([[1.0, np.nan]]), "W"),
        (lambda: tms.factors(good, min_norm=0.0), "min_norm"),
        (lambda: tms.factors(good, threshold=1.0), "threshold"),
        (lambda: tms.factors(good, tolerance=-1.0), "tolerance"),
        (lambda: tms.shape_difference(good, np.zeros((3, 3))), "other"),
        (lambda: tms.shape_difference(np.ones((25, 2)), good), "W"),
        (lambda: tms.shape_difference(good, good, limit=-1.0), "limit"),
    ):
        with pytest.raises(ValueError, match=f"^{name} must be"):
            call()
