"""Solids to turn by hand: what Python works out, and the turning, run by Node; tests/site has the page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tms
from tests.test_lab_trainer import node
from tms import solid

GOLDEN = (1 + np.sqrt(5)) / 2


def cube() -> np.ndarray:
    return np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)


def antiprism() -> np.ndarray:
    turn, height = np.pi / 2 * np.arange(4), 0.5646
    radius = np.sqrt(1 - height**2)
    squares = [
        np.stack([radius * np.cos(turn + t), radius * np.sin(turn + t), np.full(4, z)], axis=1)
        for t, z in ((0, height), (np.pi / 4, -height))
    ]
    return np.concatenate(squares)


def bipyramid() -> np.ndarray:
    turn = 2 * np.pi / 3 * np.arange(3)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    return np.concatenate([ring, [[0, 0, 1], [0, 0, -1]]])


def rings(a: float, b: float) -> np.ndarray:
    """Corners (0, ±a, ±b) and those with the coordinates moved round."""
    pairs = [(x, y) for x in (-a, a) for y in (-b, b)]
    return np.array([corner for x, y in pairs for corner in ((0, x, y), (x, y, 0), (y, 0, x))], dtype=float)


# Corners, faces and edges.
KNOWN = {
    "tetrahedron": (np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]), 4, 6),
    "cube": (cube(), 6, 12),
    "octahedron": (np.concatenate([np.eye(3), -np.eye(3)]), 8, 12),
    "triangular bipyramid": (bipyramid(), 6, 9),
    "square antiprism": (antiprism(), 10, 16),
    "icosahedron": (rings(1, GOLDEN), 20, 30),
    "dodecahedron": (np.concatenate([cube(), rings(1 / GOLDEN, GOLDEN)]), 12, 30),
}


@pytest.mark.parametrize("noise", [0, 1e-9, 1e-3])
@pytest.mark.parametrize("kind", KNOWN)
def test_edges_and_faces_of_known_solids(kind: str, noise: float) -> None:
    """However they are turned, and also where faces are not quite flat: no square has a diagonal."""
    corners, faces, edges = KNOWN[kind]
    rng = np.random.default_rng(2)
    for _ in range(10):
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        W = 3 * corners @ axes + noise * rng.normal(size=corners.shape)
        (one,) = tms.Solid(W).solids
        assert len(one["faces"]) == faces
        assert len(one["edges"]) == edges
        # The picture is the solid, turned: no mirror image, and the longest direction of length 1.
        points, scaled = np.array(one["points"]), W / np.linalg.norm(W, axis=1).max()
        turn = np.linalg.lstsq(scaled, points, rcond=None)[0]
        np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-4)
        assert np.linalg.det(turn) > 0
        np.testing.assert_allclose(scaled @ turn, points, atol=1e-4)


def test_faces_go_round_against_the_clock() -> None:
    """Seen from outside: each normal points away from the middle."""
    (one,) = tms.Solid(antiprism()).solids
    points = np.array(one["points"])
    for face in one["faces"]:
        ring = points[face]
        assert np.cross(ring, np.roll(ring, -1, axis=0)).sum(0) @ ring.mean(0) > 0


def test_solids_stand_upright() -> None:
    """Squares are level, axes vertical; the octahedron has a corner on top, the cube lies flat."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for W, heights in (
        (antiprism(), [-0.5646] * 4 + [0.5646] * 4),
        (1.0 * bipyramid(), [-1, 0, 0, 0, 1]),
        (np.concatenate([np.eye(3), -np.eye(3)]), [-1, 0, 0, 0, 0, 1]),
        (bipyramid() * [1, 1, np.sqrt(0.75)], [-np.sqrt(0.75), 0, 0, 0, np.sqrt(0.75)]),
        (KNOWN["tetrahedron"][0], [-1 / 3] * 3 + [1]),
        (cube(), [-1 / np.sqrt(3)] * 4 + [1 / np.sqrt(3)] * 4),
    ):
        (one,) = tms.Solid(W @ axes).solids
        np.testing.assert_allclose(np.sort(np.array(one["points"])[:, 1]), heights, atol=1e-4)


@pytest.mark.parametrize(
    "W",
    [
        [[1, 2, 3]],
        np.zeros((5, 3)),
        np.eye(3),
        np.outer([1, 2, -1, 4], [1, 1, 0]),
        np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0.5, 0.5, 0]]),
        np.repeat(np.eye(3), 3, axis=0),
        1e-300 * np.eye(3),
        1e300 * np.eye(3),
    ],
)
def test_directions_that_span_no_space_have_no_hull(W: Any) -> None:
    (one,) = tms.Solid(W).solids
    assert one["edges"] == one["faces"] == []
    assert np.isfinite(one["points"]).all()
    assert "<svg" in solid._picture([one])


def test_any_cloud_has_a_closed_hull() -> None:
    """Each edge in two faces, and Euler's formula; features inside are on no face."""
    rng = np.random.default_rng(5)
    for n in (4, 6, 10, 20, 40, 120):
        points = rng.normal(size=(n, 3))
        for W in (points, points / np.linalg.norm(points, axis=1, keepdims=True)):
            (one,) = tms.Solid(W).solids
            assert solid._closed(one["faces"])
            assert len(one["edges"]) == sum(map(len, one["faces"])) / 2
    (one,) = tms.Solid(np.concatenate([cube(), np.zeros((2, 3)), cube()[:1] * 1.001])).solids
    assert len(one["edges"]) == 12


def test_several_with_names_edges_and_labels() -> None:
    square = np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    made = tms.Solid(
        {"square": square, "cube": cube()},
        edges={"square": [(1, 0), (1, 2), (2, 1)], "cube": None},
        labels={"square": ["a", "b", "c", "d"], "cube": None},
    )
    one, other = made.solids
    assert [one["name"], other["name"]] == ["square", "cube"]
    assert one["edges"] == [[0, 1], [1, 2]]
    assert one["labels"] == ["a", "b", "c", "d"]
    assert len(other["edges"]) == 12
    assert [len(each["points"]) for each in tms.Solid([square, cube()]).solids] == [4, 8]
    assert [len(each["points"]) for each in tms.Solid([square.tolist(), cube().tolist()]).solids] == [4, 8]
    assert tms.Solid(cube(), edges=[]).solids[0]["faces"] == []


def test_what_train_returned() -> None:
    experiment = tms.Experiment(model=tms.Autoencoder(n_features=4, n_hidden=3), inputs=tms.OneHot(), steps=2)
    runs = tms.train(experiment, seeds=2)
    for given in (
        runs.isel(seed=1),
        runs.isel(seed=[1]),
        runs.W[1],
        runs.W[1].transpose("hidden", "feature"),
    ):
        expected = tms.Solid(runs.W.values[1]).solids
        assert tms.Solid(given).solids == expected
    with pytest.raises(ValueError, match="W must be one model"):
        tms.Solid(runs)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"W": np.eye(2)}, "W must be three; got '2 hidden dimensions'"),
        ({"W": [1.0, 2.0, 3.0]}, "W must be a DataArray"),
        ({"W": [[1.0, np.nan, 0]]}, "W must be finite numbers"),
        ({"W": np.zeros((0, 3))}, "W must be 1 to 200; got '0 features'"),
        ({"W": np.zeros((201, 3))}, "W must be 1 to 200; got '201 features'"),
        ({"W": np.zeros((2, 4, 3))}, "W must be one model"),
        ({"W": {}}, "W must be one solid or more"),
        ({"W": "cube"}, "W must be a DataArray"),
        ({"edges": [(0, 3)]}, "edges must be pairs of different features from 0 to 2"),
        ({"edges": [(0, 0)]}, "edges must be pairs of different features"),
        ({"edges": [(0, 1, 2)]}, "edges must be pairs of different features"),
        ({"edges": 7}, "edges must be pairs of different features"),
        ({"labels": ["a", "b"]}, "labels must be 3 texts"),
        ({"labels": "abc"}, "labels must be 3 texts"),
        ({"W": {"a": np.eye(3)}, "edges": {"b": []}}, "edges must be one for each of the solids"),
        ({"W": [np.eye(3)], "labels": []}, "labels must be one for each of the solids"),
        ({"name": "my solid"}, "name must be letters, digits and hyphens; got 'my solid'"),
    ],
)
def test_what_cannot_be_drawn(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tms.Solid(**{"W": np.eye(3), **given})


def test_the_script_is_one_small_module(tmp_path: Path) -> None:
    text = solid.bundle()
    assert len(text.encode()) < 15_000
    assert text.count("export default") == 1
    (tmp_path / "solid.mjs").write_text(text)
    program = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    subprocess.run([program, "--check", str(tmp_path / "solid.mjs")], check=True)


def test_a_turn_stays_a_turn() -> None:
    """After a hundred thousand drags its matrix is orthogonal, and no mirror image, to 1e-14."""
    found = node("""
const { START, turned, matrix } = await import(folder + "/solid.js");
const random = new Random(1);
let turn = START;
for (let k = 0; k < 100000; k++) turn = turned(turn, random.normal(), random.normal() * 0.01);
console.log(JSON.stringify([matrix(turn), turned(START, 0, 0), START]));
""")
    turn = np.array(found[0]).reshape(3, 3)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), rtol=0, atol=1e-14)
    assert np.linalg.det(turn) == pytest.approx(1, abs=1e-14)
    assert found[1] == pytest.approx(found[2], abs=1e-15)


def test_turning_follows_the_hand() -> None:
    """What is in front goes right and down with the pointer; back and forth is nothing."""
    found = node("""
const { turned, matrix, seen } = await import(folder + "/solid.js");
const still = [1, 0, 0, 0];
const at = (turn) => seen(matrix(turn), [0, 0, 1]);
console.log(JSON.stringify([at(still), at(turned(still, 0.1, 0)), at(turned(still, 0, 0.1)),
  turned(turned(still, 0.3, -0.2), -0.3, 0.2), matrix(turned(still, 0.4, 0))]));
""")
    front, right, down, back, by = found
    assert (front["x"], front["y"], front["near"]) == pytest.approx((0, 0, 1))
    assert right["x"] > 5 > abs(right["y"])
    assert down["y"] > 5 > abs(down["x"])
    assert back == pytest.approx([1, 0, 0, 0], abs=1e-15)
    np.testing.assert_allclose(
        np.reshape(by, (3, 3)),
        [[np.cos(0.4), 0, np.sin(0.4)], [0, 1, 0], [-np.sin(0.4), 0, np.cos(0.4)]],
        atol=1e-15,
    )


def test_the_still_is_the_first_view() -> None:
    """Python's picture has the ends of all edges where the page's script has them."""
    made = tms.Solid({"square antiprism": antiprism()})
    (one,) = made.solids
    ends = node(
        """
const { START, matrix, seen } = await import(folder + "/solid.js");
const ends = data.map((point) => seen(matrix(START), point));
console.log(JSON.stringify(ends.map(({ x, y }) => [x, y])));
""",
        one["points"],
    )
    picture = solid._picture(made.solids)
    found = re.findall(r'<line x1="(\S+)" y1="(\S+)" x2="(\S+)" y2="(\S+)" stroke="#6b727a"', picture)
    drawn = sorted(
        sorted([(float(a) - 130, float(b) - 130), (float(c) - 130, float(d) - 130)]) for a, b, c, d in found
    )
    expected = sorted(sorted([tuple(ends[i]), tuple(ends[j])]) for i, j in one["edges"])
    np.testing.assert_allclose(drawn, expected, atol=0.06)
    words = made.still()._repr_html_()
    assert words.startswith('<div class="lab-still"><img alt="')
    assert "square antiprism" in picture
