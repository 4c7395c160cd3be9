"""Directions in three dimensions, to be turned by hand in the page."""

# mypy: disable-error-code="misc,no-untyped-call"
# traitlets and anywidget bring no types.

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from tms._check import fail
from tms.geometry import _weights
from tms.lab import Still, _plain, _text

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError("tms.Solid needs anywidget; install tms with its extra 'notebook'") from error

# Points this near to a plane are on it, and this near to each other one point; relative to the longest
# direction. Trained models are never exact.
_NEAR = 0.03
_MOST = 200
# The first view, and how a point is drawn; solid.js does the same.
_YAW, _PITCH = 0.3, 0.3
_CAMERA = 4.5


@cache
def bundle() -> str:
    """The widget's script."""
    return _plain("solid.js") + "export default { render };\n"


class Solid(anywidget.AnyWidget):
    """Feature directions in three dimensions: arrows and the edges of their convex hull, turned by hand.

    By mouse, finger, arrow keys or buttons, in the page itself, with or without Python. Several solids stand
    side by side.

    Parameters
    ----------
    W
        Directions [feature, 3] of one model: an array, a DataArray with the dimensions "feature" and
        "hidden", or what `train` returned for one model. For several solids a dictionary of those by name, or
        a list. Each is drawn in its own size, with the longest direction of length 1, and set upright: on an
        axis that differs from the other two, on a corner that has another one opposite, or on its largest
        face.
    edges
        Pairs of features that are joined, instead of the hull's edges; for several solids a dictionary with
        the same names, or a list. Faces of the hull that are flat to 3 % of the longest direction
        count as flat: the square has no diagonal. Directions that span no space have no hull.
    labels
        A short text for every feature, at its tip; for several solids a dictionary or a list of those.
    name
        The anchor by which a link finds it: letters, digits and hyphens.
    title
        What a screen reader calls it.

    Attributes
    ----------
    solids
        What is drawn, a dictionary for each: name, points as they are first seen, edges, faces, labels,
        colors.

    Notes
    -----
    ``solid.still()`` is a picture that stands in its place where scripts are off; display it just before.

    Raises
    ------
    ValueError
        If there are no three hidden dimensions, more than one model where one is asked for, more than 200
        features, numbers that are not finite, or edges or labels that do not fit.

    Examples
    --------
    >>> import tms
    >>> tetrahedron = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    >>> solid = tms.Solid({"tetrahedron": tetrahedron})
    >>> len(solid.solids[0]["edges"])
    6
    """

    _esm = traitlets.Unicode(default_value="").tag(sync=True)
    _css = traitlets.Unicode(default_value="").tag(sync=True)
    solids: Any = traitlets.List(help="What is drawn.").tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        W: Any,
        *,
        edges: Any = None,
        labels: Any = None,
        name: str = "",
        title: str = "Directions in space, to be turned by hand",
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]*", name):
            raise fail("name", name, "letters, digits and hyphens")
        solids = [_described(key, one, pairs, words) for key, one, pairs, words in _each(W, edges, labels)]
        super().__init__(_esm=bundle(), _css=_text("solid.css"), solids=solids, name=name, title=title)

    def still(self) -> Still:
        """A picture that stands in the widget's place where scripts are off, and on paper.

        Returns
        -------
        Still
            To be displayed just before the widget.
        """
        return Still(_picture(self.solids), self.title)


def _each(W: Any, edges: Any, labels: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, directions, edges and labels of every solid."""
    if isinstance(W, Mapping) and not isinstance(W, xr.Dataset):
        keys: list[Any] = list(W)
        names = [str(key) for key in keys]
    elif isinstance(W, (list, tuple)) and W and all(_is_model(one) for one in W):
        keys = list(range(len(W)))
        names = [""] * len(W)
    else:
        yield "", W, edges, labels
        return
    if not keys:
        raise fail("W", W, "one solid or more")
    for what, given in (("edges", edges), ("labels", labels)):
        fits = set(given) == set(keys) if isinstance(given, Mapping) else _counts(given, len(keys))
        if given is not None and (isinstance(given, Mapping) != isinstance(W, Mapping) or not fits):
            raise fail(what, given, f"one for each of the solids {keys}, in the same way as W")
    for key, label in zip(keys, names, strict=True):
        yield label, W[key], None if edges is None else edges[key], None if labels is None else labels[key]


def _counts(given: Any, count: int) -> bool:
    return isinstance(given, (list, tuple)) and len(given) == count


def _is_model(value: Any) -> bool:
    """Whether this is a model, and not one row of a model."""
    if isinstance(value, (xr.Dataset, xr.DataArray)):
        return True
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) > 0 and np.ndim(value[0]) == 1


def _described(name: str, W: Any, edges: Any, labels: Any) -> dict[str, Any]:
    """What the browser draws."""
    points = _points(W)
    faces = _faces(points) if len(points) else []
    upright = _upright(points, faces)
    if edges is None:
        joined = _edges(faces)
    else:
        joined, faces = _pairs(edges, len(points)), []
    return {
        "name": name,
        "points": [[round(float(x), 5) + 0.0 for x in point] for point in upright],
        "edges": [list(pair) for pair in joined],
        "faces": faces,
        "labels": _words(labels, len(points)),
        "colors": _colors(len(points)),
    }


def _points(W: Any) -> np.ndarray:
    """Directions [feature, 3] of one model, the longest of length 1."""
    if isinstance(W, xr.Dataset) and "W" in W:
        W = W["W"]
    write = _weights("W", W, finite=True)
    shape = dict(write.sizes)
    if math.prod(shape.values()) != shape["feature"] * shape["hidden"]:
        raise fail("W", f"dimensions {shape}", "one model, with the dimensions feature and hidden")
    if shape["hidden"] != 3:
        raise fail("W", f"{shape['hidden']} hidden dimensions", "three")
    if not 1 <= shape["feature"] <= _MOST:
        raise fail("W", f"{shape['feature']} features", f"1 to {_MOST}")
    points = write.values.reshape(shape["feature"], 3)
    points = points / (abs(points).max() or 1.0)
    scaled: np.ndarray = points / (np.linalg.norm(points, axis=1).max() or 1.0)
    return scaled


def _pairs(edges: Any, n: int) -> list[tuple[int, int]]:
    allowed = f"pairs of different features from 0 to {n - 1}"
    try:
        pairs = [(i, j) for i, j in edges]
    except (TypeError, ValueError):
        raise fail("edges", edges, allowed) from None
    for pair in pairs:
        whole = all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in pair)
        if not whole or not all(0 <= i < n for i in pair) or pair[0] == pair[1]:
            raise fail("edges", edges, allowed)
    return sorted({(int(min(pair)), int(max(pair))) for pair in pairs})


def _words(labels: Any, n: int) -> list[str]:
    if labels is None:
        return []
    if isinstance(labels, str) or not isinstance(labels, (Sequence, np.ndarray)) or len(labels) != n:
        raise fail("labels", labels, f"{n} texts, one for every feature")
    return [str(label) for label in labels]


def _colors(n: int) -> list[list[str]]:
    """For a light and for a dark page, as in the lab."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    viridis = colormaps["viridis"]
    at = 0.65 * np.arange(n) / max(n - 1, 1)
    return [[to_hex(viridis(float(t))), to_hex(viridis(float(t + 0.35)))] for t in at]


def _faces(points: np.ndarray) -> list[list[int]]:
    """Faces of the convex hull, each a ring of points; none where the points span no space."""
    from scipy.spatial import ConvexHull, QhullError

    apart: list[int] = []
    for i, point in enumerate(points):
        if all(np.linalg.norm(point - points[j]) > _NEAR for j in apart):
            apart.append(i)
    chosen = points[apart]
    if len(chosen) < 4 or np.linalg.svd(chosen - chosen.mean(0), compute_uv=False)[2] <= _NEAR:
        return []
    try:
        hull = ConvexHull(chosen)
    except QhullError:
        return []
    corners = hull.vertices
    a, b, c = (chosen[hull.simplices[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    found: list[list[int]] = []
    # Large triangles first: the planes of slivers are uncertain.
    for k in np.argsort(-area, kind="stable"):
        if any(set(hull.simplices[k]) <= set(face) for face in found):
            continue
        normal, offset = hull.equations[k, :3], hull.equations[k, 3]
        found.append(_ring(chosen, corners[chosen[corners] @ normal + offset > -_NEAR], normal))
    if not _closed(found):  # a body so round that its faces cannot be told apart
        found = [
            _ring(chosen, ring, normal)
            for ring, normal in zip(hull.simplices, hull.equations[:, :3], strict=True)
        ]
    return [[apart[i] for i in face] for face in found]


def _ring(points: np.ndarray, members: np.ndarray, normal: np.ndarray) -> list[int]:
    """Corners of a face in order, against the clock as seen from outside."""
    centred = points[members] - points[members].mean(0)
    across = centred[np.argmax((centred**2).sum(1))]
    across = across - (across @ normal) * normal
    angle = np.arctan2(centred @ np.cross(normal, across), centred @ across)
    return [int(i) for i in members[np.argsort(angle, kind="stable")]]


def _edges(faces: list[list[int]]) -> list[tuple[int, int]]:
    sides = {(i, j) for face in faces for i, j in zip(face, face[1:] + face[:1], strict=True)}
    return sorted({(min(side), max(side)) for side in sides})


def _closed(faces: list[list[int]]) -> bool:
    """Whether these are the faces of a polyhedron: each edge in two of them, and Euler's formula."""
    sides = [(i, j) for face in faces for i, j in zip(face, face[1:] + face[:1], strict=True)]
    corners = {i for face in faces for i in face}
    matched = len(sides) == len(set(sides)) and {(j, i) for i, j in sides} == set(sides)
    return matched and len(corners) - len(sides) // 2 + len(faces) == 2


def _upright(points: np.ndarray, faces: list[list[int]]) -> np.ndarray:
    """The points turned so that the vertical axis, y, is one that means something."""
    values, axes = np.linalg.eigh(points.T @ points)
    gaps = np.diff(values)
    if gaps.max() > 0.05 * values[2]:
        # The axis that differs: the first one, if the other two are more alike.
        up = axes[:, 0] if gaps[0] > gaps[1] else axes[:, 2]
        heights = points @ up
        up = up * (1.0 if heights[int(np.argmax(abs(heights)))] >= 0 else -1.0)
    elif faces:
        corners = [points[face] for face in faces]
        normals = [np.cross(ring, np.roll(ring, -1, axis=0)).sum(0) for ring in corners]
        sizes = np.array([np.linalg.norm(normal) for normal in normals])
        # The first of those that are equal but for rounding, so that the view does not hang on rounding.
        up = -normals[int(np.argmax(sizes > sizes.max() * 0.99))]
        ends = _opposite(points, faces)
        crowded = [i for i in ends if sum(i in face for face in faces) > 3]
        if crowded or len(ends) == 2:
            up = points[(crowded or ends)[0]]
    else:
        up = np.array([0.0, 1.0, 0.0])
    y = up / np.linalg.norm(up)
    across = points - np.outer(points @ y, y)
    lengths = np.linalg.norm(across, axis=1)
    far = across[int(np.argmax(lengths >= 0.99 * lengths.max()))]
    if not np.linalg.norm(far) > 1e-6:
        far = np.cross(y, np.eye(3)[int(np.argmin(abs(y)))])
    x = far / np.linalg.norm(far)
    turned: np.ndarray = points @ np.stack([x, y, np.cross(x, y)], axis=1)
    return turned


def _opposite(points: np.ndarray, faces: list[list[int]]) -> list[int]:
    """Corners of the hull that have another one just opposite, as the tips of an octahedron."""
    corners = sorted({i for face in faces for i in face})
    away = np.linalg.norm(points[corners, None] + points[None, corners], axis=-1)
    return [i for i, nearest in zip(corners, away.min(1), strict=True) if nearest < _NEAR]


def _picture(solids: list[dict[str, Any]]) -> str:
    """All solids in their first view, as an SVG."""
    columns = math.ceil(len(solids) / math.ceil(len(solids) / 4))
    wide, high = 260, 290 if any(one["name"] for one in solids) else 260
    rows = -(-len(solids) // columns)
    parts = [
        _drawn(one, wide * (k % columns) + 130, high * (k // columns) + 130) for k, one in enumerate(solids)
    ]
    size = f'width="{wide * columns * 0.8:.0f}" viewBox="0 0 {wide * columns} {high * rows}"'
    font = 'font-family="system-ui, sans-serif" text-anchor="middle" fill="#33373d"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{"".join(parts)}</svg>'


def _drawn(solid: dict[str, Any], x0: float, y0: float) -> str:
    cy, sy, cp, sp = math.cos(_YAW), math.sin(_YAW), math.cos(_PITCH), math.sin(_PITCH)
    turn = np.array([[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]])
    points = np.array(solid["points"]) @ turn.T
    near = (points[:, 2] + 1) / 2
    flat = points[:, :2] * (100 * _CAMERA / (_CAMERA - points[:, 2:])) * [1, -1] + [x0, y0]
    drawn: list[tuple[float, str]] = []

    def line(start: Any, end: Any, color: str, width: float, opacity: float) -> str:
        ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        return f'<line {ends} stroke="{color}" stroke-width="{width:.2f}" opacity="{opacity:.2f}"/>'

    for i, j in solid["edges"]:
        t = (near[i] + near[j]) / 2
        drawn.append((t, line(flat[i], flat[j], "#6b727a", 0.8 + 1.2 * t, 0.25 + 0.75 * t)))
    for i, (end, t) in enumerate(zip(flat, near, strict=True)):
        color, opacity, shaft = solid["colors"][i][0], 0.4 + 0.6 * t, end - [x0, y0]
        away = np.hypot(*shaft)
        if away > 1:
            base, side = end - shaft * min(13 / away, 1), np.array([-shaft[1], shaft[0]]) / away * 5
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (end, base + side, base - side))
            head = f'<polygon points="{corners}" fill="{color}" opacity="{opacity:.2f}"/>'
            drawn.append(((0.5 + t) / 2, line((x0, y0), base, color, 1.4 + 1.6 * t, opacity) + head))
    drawn.sort(key=lambda one: one[0])
    texts = [
        f'<text x="{at[0]:.1f}" y="{at[1] + 4:.1f}" font-size="13">{html.escape(word)}</text>'
        for word, at in zip(solid["labels"], flat + 13 * _outward(flat - [x0, y0]), strict=False)
    ]
    if solid["name"]:
        texts.append(f'<text x="{x0}" y="{y0 + 145}" font-size="16">{html.escape(solid["name"])}</text>')
    return "".join([text for _, text in drawn] + texts)


def _outward(flat: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: np.ndarray = flat / np.where(lengths > 0, lengths, 1.0)
    return unit
