"""Which small solids the directions of a model make, each in dimensions of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tms import _check
from tms._check import fail
from tms.geometry import Weights, _weights

# A dimension counts if unit directions have a singular value above this along it: a digon may be bent by
# about 24 degrees before it is taken for a plane.
_LEAST_EXTENT = 0.3

# Where a family of solids has a parameter, how finely it is searched.
_GRID = 121

# A solid's corners at a polar angle in degrees; at many, along leading axes.
Maker = Callable[[float | np.ndarray], np.ndarray]


class Factor(NamedTuple):
    """Features that are bound together by interference, and orthogonal to all others.

    Attributes
    ----------
    features
        Which features, counted from 0.
    n_dimensions
        How many hidden dimensions they span.
    shape
        Name of the solid that their directions make; empty if it has none that is known here.
    difference
        Greatest difference between an angle of theirs and that of the solid, in degrees; NaN without a name.

    Examples
    --------
    >>> import tms
    >>> tms.factors([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[0].shape
    'digon'
    """

    features: tuple[int, ...]
    n_dimensions: int
    shape: str
    difference: float


def factors(
    W: Weights, *, min_norm: float = 0.5, threshold: float = 0.2, tolerance: float = 10.0
) -> list[Factor]:
    """Split the directions of one model into tegum factors, and name the solid of each.

    Two features belong together if the absolute cosine between their directions is above `threshold`, or if a
    chain of such pairs joins them. So features of different factors are nearly orthogonal, which is what a
    tegum product is (Elhage et al. 2022). Then the angles within a factor are compared with those of known
    solids of as many corners and dimensions, under the best way to pair corners up; a solid that has a
    free height is compared at its best height.

    A shape that is itself such a product comes apart: a square is two digons, an octahedron three, a
    triangular bipyramid a triangle and a digon, a pentagonal bipyramid a pentagon and a digon.

    Known are the feature alone, the digon, and the regular simplex in any dimension; in two dimensions the
    regular polygons of up to ten corners; in three the square pyramid, prisms and antiprisms on three and on
    four corners (the cube is one of them), the pentagonal antiprism, the triaugmented triangular prism, the
    gyroelongated square bipyramid, and the icosahedron.

    Parameters
    ----------
    W
        Directions of one model, as for `gram`.
    min_norm
        Features of a smaller norm are left out.
    threshold
        Absolute cosine from which on two features interfere.
    tolerance
        Degrees, by which each angle may differ from that of the solid.

    Returns
    -------
    list of Factor
        The ones with most features first; among equals, in the order of their first feature.

    Raises
    ------
    ValueError
        If there is more than one model, a number is not finite, or a setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import tms
    >>> turn = 2 * np.pi * np.arange(3) / 3
    >>> triangle = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    >>> bipyramid = np.concatenate([triangle, [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]])
    >>> [(factor.shape, factor.features) for factor in tms.factors(bipyramid)]
    [('triangle', (0, 1, 2)), ('digon', (3, 4))]
    """
    _check.number(0.0, open_low=True)("min_norm", min_norm)
    _check.number(0.0, 1.0, open_high=True)("threshold", threshold)
    _check.number(0.0, 90.0, open_low=True)("tolerance", tolerance)
    weights = _one_model("W", W)
    norms = np.linalg.norm(weights, axis=1)
    present = np.flatnonzero(norms >= min_norm)
    unit = weights[present] / norms[present, None]
    near = abs(unit @ unit.T) > threshold
    found = []
    for members in _components(near):
        part = unit[members]
        rank = int((np.linalg.svd(part, compute_uv=False) > _LEAST_EXTENT).sum())
        name, difference = _name(part, rank, tolerance)
        found.append(Factor(tuple(present[members].tolist()), rank, name, difference))
    return sorted(found, key=lambda factor: (-len(factor.features), factor.features))


def shape_difference(W: Weights, other: Weights, *, limit: float = 30.0) -> float:
    """The greatest difference between the angles of two sets of directions, paired up in the best way.

    It is 0 if one set is the other one turned, mirrored and renumbered, whatever the norms are: the angles
    between directions determine them up to rotations and reflections.

    Parameters
    ----------
    W, other
        Directions, as many in one as in the other, [feature, hidden]; the dimensions may differ.
    limit
        Degrees. The search gives up beyond this.

    Returns
    -------
    float
        Degrees; infinite if it is more than `limit`, or the numbers of directions differ.

    Raises
    ------
    ValueError
        If there is more than one model, a number is not finite, a direction is zero, or there are more than
        24 directions.

    Examples
    --------
    >>> import tms
    >>> round(tms.shape_difference([[1.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [1.0, 1.0]], limit=60), 6)
    45.0
    >>> round(tms.shape_difference([[1.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, -1.0]]), 6)
    0.0
    """
    _check.number(0.0, 180.0)("limit", limit)
    sets = []
    for name, value in (("W", W), ("other", other)):
        weights = _one_model(name, value)
        norms = np.linalg.norm(weights, axis=1, keepdims=True)
        if len(weights) > 24:
            raise fail(name, f"{len(weights)} directions", "at most 24 directions")
        if not norms.all():
            raise fail(name, "a direction of length 0", "directions of positive length")
        sets.append(_angles(weights / norms))
    return _difference(sets[0], sets[1], limit)


def _one_model(name: str, W: Weights) -> np.ndarray:
    weights = _weights(name, W, finite=True)
    if weights.ndim != 2:
        raise fail(name, f"dimensions {weights.dims}", "one model: [feature, hidden]")
    return np.asarray(weights.values)


def _components(near: np.ndarray) -> Iterator[np.ndarray]:
    """Index arrays of the connected parts of a graph."""
    left = np.ones(len(near), dtype=bool)
    while left.any():
        inside = np.zeros(len(near), dtype=bool)
        inside[left.argmax()] = True
        while True:
            grown = inside | near[inside].any(0)
            if (grown == inside).all():
                break
            inside = grown
        left &= ~inside
        yield np.flatnonzero(inside)


def _angles(unit: np.ndarray) -> np.ndarray:
    """Angles between unit vectors in degrees; exact near 0 and 180, where an arc cosine is not."""
    apart = np.linalg.norm(unit[..., :, None, :] - unit[..., None, :, :], axis=-1)
    together = np.linalg.norm(unit[..., :, None, :] + unit[..., None, :, :], axis=-1)
    result: np.ndarray = np.degrees(2 * np.arctan2(apart, together))
    return result


def _difference(angles: np.ndarray, others: np.ndarray, limit: float) -> float:
    """Least over all permutations of the greatest difference of two angles; infinite beyond the limit.

    Corners are paired up one after another, and a beginning is given up once it is no better than the best
    found.
    """
    n = len(angles)
    if n != len(others):
        return np.inf
    # However they are paired up, two rows differ by this at least.
    rows, other_rows = np.sort(angles, 1), np.sort(others, 1)
    least = abs(rows[:, None] - other_rows[None]).max(-1)
    best = np.inf
    chosen: list[int] = []

    def extend(so_far: float) -> None:
        nonlocal best
        i = len(chosen)
        if i == n:
            best = so_far
            return
        free = np.setdiff1d(np.arange(n), chosen)
        cost = np.maximum(least[i, free], so_far)
        if chosen:
            cost = np.maximum(cost, abs(angles[i, :i] - others[free][:, chosen]).max(-1))
        for k in np.argsort(cost, kind="stable"):
            if cost[k] > limit or cost[k] >= best - 1e-9:
                break
            chosen.append(int(free[k]))
            extend(float(cost[k]))
            chosen.pop()

    extend(0.0)
    return best


def _name(unit: np.ndarray, rank: int, tolerance: float) -> tuple[str, float]:
    """The known solid that comes nearest, if it is near enough."""
    n = len(unit)
    if n > 24:
        return "", np.nan
    angles = _angles(unit)
    best = ("", np.inf)
    for name, made in _solids(n, rank, angles):
        difference = _difference(angles, _angles(made), tolerance)
        if difference < best[1]:
            best = (name, difference)
    return best if best[0] else ("", np.nan)


def _solids(n: int, rank: int, angles: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Known solids of n corners in so many dimensions, at the height that fits the angles best."""
    simplices = {1: "digon", 2: "triangle", 3: "tetrahedron"}
    if n == 1:
        yield "single", np.ones((1, 1))
    elif n == rank + 1:
        corners = np.eye(n) - 1 / n
        yield (
            simplices.get(rank, f"{rank}-simplex"),
            corners / np.linalg.norm(corners, axis=1, keepdims=True),
        )
    elif rank == 2 and n <= 10:
        # Four would be a square, which comes apart, and is no factor.
        words = ["pentagon", "hexagon", "heptagon", "octagon", "nonagon", "decagon"]
        yield (["square", *words][n - 4], _ring(n, 90.0))
    elif rank == 3:
        for name, make in _FAMILIES.get(n, {}).items():
            yield name, make(_best_height(make, angles))
        if n == 12:
            yield (
                "icosahedron",
                np.concatenate([_POLES, _ring(5, _ICOSAHEDRON), _ring(5, 180 - _ICOSAHEDRON, 0.5)]),
            )


def _best_height(make: Maker, angles: np.ndarray) -> float:
    """The polar angle at which the sorted angles of a solid come nearest to the given ones."""
    sorted_angles = np.sort(angles, None)
    low, high = 5.0, 175.0
    best = low
    for _ in range(3):
        grid = np.linspace(low, high, _GRID)
        made = np.sort(_angles(make(grid)).reshape(_GRID, -1), -1)
        best = float(grid[abs(made - sorted_angles).max(-1).argmin()])
        step = grid[1] - grid[0]
        low, high = best - step, best + step
    return best


def _ring(n: int, polar: float | np.ndarray, turn: float = 0.0) -> np.ndarray:
    """n unit vectors [..., n, 3] in a ring around the axis, turned by a part of their distance."""
    along = 2 * np.pi * (np.arange(n) + turn) / n
    angle = np.radians(polar)[..., None]
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.stack([sine * np.cos(along), sine * np.sin(along), cosine + 0 * along], axis=-1)


def _joined(*parts: np.ndarray) -> np.ndarray:
    """Corners [..., n, 3] of all the parts."""
    lead = np.broadcast_shapes(*(part.shape[:-2] for part in parts))
    return np.concatenate([np.broadcast_to(part, lead + part.shape[-2:]) for part in parts], axis=-2)


_POLES = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
_ICOSAHEDRON = np.degrees(np.arctan(2.0))


def _pyramid(n: int) -> Maker:
    return lambda polar: _joined(_POLES[:1], _ring(n, polar))


def _prism(n: int, turn: float) -> Maker:
    return lambda polar: _joined(_ring(n, polar), _ring(n, 180 - polar, turn))


def _with_poles(n: int) -> Maker:
    return lambda polar: _joined(_POLES, _prism(n, 0.5)(polar))


def _triaugmented(polar: float | np.ndarray) -> np.ndarray:
    return _joined(_prism(3, 0.0)(polar), _ring(3, 90.0, 0.5))


# Solids in three dimensions that have a height: by the number of corners, a maker for each.
_FAMILIES: dict[int, dict[str, Maker]] = {
    5: {"square pyramid": _pyramid(4)},
    6: {"triangular prism": _prism(3, 0.0), "triangular antiprism": _prism(3, 0.5)},
    8: {"square antiprism": _prism(4, 0.5), "square prism": _prism(4, 0.0)},
    9: {"triaugmented triangular prism": _triaugmented},
    10: {"gyroelongated square bipyramid": _with_poles(4), "pentagonal antiprism": _prism(5, 0.5)},
}
