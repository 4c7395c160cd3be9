"""Geometry: against exact rational numbers, known shapes and a graph library."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse.csgraph import connected_components

import tms
from tests.wrong import rejects

EXACT = 1e-12  # float64, relative to the largest entry

# Weights with features at zero, repeated entries and denormal numbers among them.
weights = st.tuples(st.integers(1, 7), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(
        np.float64, shape, elements=st.sampled_from([0.0, 1.0, -1.0, 5e-324]) | st.floats(-2, 2)
    )
)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def turned(W: np.ndarray, seed: int) -> np.ndarray:
    """The same directions in a rotated (or reflected) hidden space."""
    rotation, _ = np.linalg.qr(random(W.shape[-1], W.shape[-1], seed=seed))
    return W @ rotation


def polygon(k: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(k) / k
    return np.stack([np.cos(angle), np.sin(angle)], 1)


TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5


def antiprism(height: float) -> np.ndarray:
    """Two squares at ± height, one turned by 45°, their corners on the unit sphere."""
    radius = (1 - height**2) ** 0.5
    angle = np.pi / 2 * np.arange(4)
    rings = [
        np.stack([radius * np.cos(a), radius * np.sin(a), np.full(4, z)], 1)
        for a, z in ((angle, height), (angle + np.pi / 4, -height))
    ]
    return np.concatenate(rings)


def exactly(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interference and dimensionality from the definition, in rational numbers."""
    rows = [[Fraction(float(x)) for x in row] for row in W]
    interference, dimensionality = [], []
    for i, one in enumerate(rows):
        length = sum(x * x for x in one)
        along = [sum(x * y for x, y in zip(one, other, strict=True)) ** 2 for other in rows]
        others = sum(a for j, a in enumerate(along) if j != i)
        interference.append(float(others / length) if length else 0.0)
        dimensionality.append(float(length**2 / sum(along)) if length else 0.0)
    return np.array(interference), np.array(dimensionality)


def test_gram_by_loop_and_its_orientation() -> None:
    """Row i is the feature that is read, column j the one that is written."""
    write, read = random(4, 3, seed=1), random(4, 3, seed=2)
    matrix = tms.gram(write, read)
    assert matrix.dims == ("feature", "other_feature")
    for i in range(4):
        for j in range(4):
            assert matrix[i, j] == pytest.approx(sum(read[i, k] * write[j, k] for k in range(3)), abs=EXACT)
    np.testing.assert_array_equal(tms.gram(write), tms.gram(write, write))


def test_gram_is_what_a_linear_model_does_to_its_input() -> None:
    """Outputs for x = e_j are the j-th column, in an untied model too."""
    model = tms.Autoencoder(n_features=4, n_hidden=2, tied=False, bias="none", activation="linear")
    experiment = tms.Experiment(model=model, inputs=tms.OneHot(), steps=1, dtype="float64")
    run = tms.train(experiment, engine="torch").isel(seed=0)
    for j in range(4):
        response = tms.outputs(run, np.eye(4)[[j]])[0]
        np.testing.assert_allclose(tms.gram(run.W, run.W_out).isel(other_feature=j), response, atol=EXACT)


@given(weights)
def test_interference_and_dimensionality(W: np.ndarray) -> None:
    """From the definition, in rational numbers."""
    interference, dimensionality = exactly(W)
    np.testing.assert_allclose(tms.interference(W), interference, rtol=1e-9, atol=1e-14)
    largest = abs(W).max()
    for computed, exact, row in zip(tms.feature_dimensionality(W).values, dimensionality, W, strict=True):
        # A direction much shorter than the longest gets next to nothing, or nothing if its square underflows.
        assert computed == pytest.approx(exact, rel=1e-9, abs=1e-14 if abs(row).max() < 1e-5 * largest else 0)


@given(weights, st.sampled_from([-1000, -500, -100, 0, 100, 400]))
def test_dimensionality_has_no_scale(W: np.ndarray, power: int) -> None:
    """Not even where squares of the weights are no longer floating-point numbers."""
    W = np.where(abs(W) < 1e-6, 0.0, W)
    scaled = tms.feature_dimensionality(np.ldexp(W, power))
    np.testing.assert_array_equal(scaled, tms.feature_dimensionality(W))


@given(weights)
def test_dimensionalities_share_the_hidden_space(W: np.ndarray) -> None:
    """They sum to the rank at most."""
    W = np.where(abs(W) < 1e-6, 0.0, W)
    total = float(tms.feature_dimensionality(W).sum())
    assert total <= np.linalg.matrix_rank(W, tol=1e-9) * (1 + 1e-9)


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1.0, 1e100])
def test_dimensionalities_of_few_dimensions(rank: int, scale: float) -> None:
    """Weights of a lower rank than n_hidden, or of a tiny scale, use no more than their rank."""
    W = scale * random(200, 12, rank, seed=3) @ random(200, rank, 5, seed=4)
    total = tms.feature_dimensionality(W).sum("feature")
    assert (total <= rank * (1 + 1e-9)).all()
    assert (total >= 1 - 1e-9).all()  # the directions are not all the same, and none is lost


@pytest.mark.parametrize(("n", "frequencies"), [(3, (1,)), (7, (1, 3)), (40, (2, 5, 11))])
def test_dimensionalities_of_tight_frames(n: int, frequencies: tuple[int, ...]) -> None:
    """The bound is reached: n directions of equal length that fill the space evenly have m/n each."""
    angle = 2 * np.pi * np.outer(np.arange(n), frequencies) / n
    W = turned(np.concatenate([np.cos(angle), np.sin(angle)], 1), seed=n)
    np.testing.assert_allclose(tms.feature_dimensionality(W), W.shape[1] / n, rtol=EXACT)


@pytest.mark.parametrize(
    ("shape", "dimensionality", "interference"),
    [
        (np.array([[2.0], [-2.0]]), 1 / 2, 4.0),
        (polygon(3), 2 / 3, 1 / 2),
        (polygon(5), 2 / 5, 3 / 2),
        (TETRAHEDRON, 3 / 4, 1 / 3),
        (antiprism(3**-0.5), 3 / 8, 5 / 3),
        (np.eye(4), 1.0, 0.0),
    ],
    ids=["digon", "triangle", "pentagon", "tetrahedron", "square antiprism", "orthogonal"],
)
def test_known_shapes(shape: np.ndarray, dimensionality: float, interference: float) -> None:
    """Values that follow by hand: in a tight frame of k unit vectors, Σ_j (Ŵ_i · W_j)² = k/m."""
    np.testing.assert_allclose(tms.feature_dimensionality(shape), dimensionality, rtol=EXACT)
    np.testing.assert_allclose(tms.interference(shape), interference, atol=EXACT)
    # In more dimensions, beside features at zero, it stays the same shape.
    padded = np.zeros((len(shape) + 2, shape.shape[1] + 1))
    padded[2:, 1:] = shape
    padded = turned(padded, seed=5)
    np.testing.assert_allclose(tms.feature_dimensionality(padded)[2:], dimensionality, rtol=EXACT)
    assert (tms.feature_dimensionality(padded)[:2] == 0).all()
    assert (tms.interference(padded)[:2] == 0).all()


@pytest.mark.parametrize("height", [0.2, 0.5, 0.56, 0.9])
def test_any_square_antiprism(height: float) -> None:
    """By hand: S = diag(4r², 4r², 8h²), so D = 1 / (4r⁴ + 8h⁴)."""
    expected = 1 / (4 * (1 - height**2) ** 2 + 8 * height**4)
    np.testing.assert_allclose(tms.feature_dimensionality(antiprism(height)), expected, rtol=EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_turning_changes_nothing_and_reordering_reorders(seed: int) -> None:
    """Rotation invariance and permutation equivariance of every measure of single features."""
    W = random(6, 3, seed=seed)
    order = np.random.default_rng(seed).permutation(6)
    for measure in (tms.feature_norms, tms.interference, tms.feature_dimensionality):
        np.testing.assert_allclose(measure(turned(W, seed)), measure(W), rtol=1e-10, atol=EXACT)
        np.testing.assert_allclose(measure(W[order]), measure(W)[order], rtol=1e-10)
    np.testing.assert_allclose(tms.gram(turned(W, seed)), tms.gram(W), atol=EXACT)
    np.testing.assert_allclose(tms.gram(W[order]), tms.gram(W)[order, order], atol=EXACT)
    assert float(tms.dimensions_per_feature(turned(W, seed)[order])) == pytest.approx(
        float(tms.dimensions_per_feature(W))
    )


def test_norms_and_dimensions_per_feature_by_hand() -> None:
    """Pythagorean triples, and m / ‖W‖²."""
    W = [[3.0, 4.0], [0.0, 0.0], [-5.0, 12.0]]
    assert tms.feature_norms(W).values.tolist() == [5.0, 0.0, 13.0]
    assert float(tms.dimensions_per_feature(W)) == pytest.approx(2 / (25 + 169))
    assert float(tms.dimensions_per_feature(np.zeros((2, 2)))) == math.inf


@pytest.mark.parametrize("order", [("hidden", "seed", "feature", "p"), ("feature", "p", "hidden", "seed")])
def test_many_models_in_any_order_of_dimensions(order: tuple[str, ...]) -> None:
    """What is measured of a model does not depend on where it lies; its labels go with it."""
    W = xr.DataArray(
        random(2, 3, 5, 2),
        dims=("p", "seed", "feature", "hidden"),
        coords={"p": [0.1, 1.0], "seed": [4, 7, 9]},
    )
    for measure in (
        tms.gram,
        tms.feature_norms,
        tms.interference,
        tms.feature_dimensionality,
        tms.dimensions_per_feature,
        lambda w: tms.directions(w).direction,
        lambda w: tms.directions(w).n_directions,
        tms.gaps,
    ):
        whole = measure(W.transpose(*order))
        for p in (0.1, 1.0):
            for seed in (4, 7, 9):
                one = measure(W.sel(p=p, seed=seed).values)
                chosen = whole.sel(p=p, seed=seed).transpose(*one.dims)
                np.testing.assert_allclose(chosen, one, rtol=EXACT)


def components(W: np.ndarray, tolerance: float, min_norm: float) -> np.ndarray:
    """Directions by angles from arccos and scipy's connected components, numbered in their order."""
    norms = [math.hypot(*row) for row in W]
    present = [i for i, norm in enumerate(norms) if norm >= min_norm]
    angles = np.array(
        [
            [math.degrees(math.acos(np.clip(W[i] @ W[j] / norms[i] / norms[j], -1, 1))) for j in present]
            for i in present
        ]
    )
    labels = np.full(len(W), -1)
    if present:
        _, found = connected_components(angles < tolerance)
        numbers: dict[int, int] = {}
        for i, label in zip(present, found, strict=True):
            labels[i] = numbers.setdefault(int(label), len(numbers))
    return labels


@pytest.mark.parametrize(("n", "m"), [(1, 1), (6, 1), (12, 2), (20, 2), (12, 3)])
@pytest.mark.parametrize("tolerance", [3.0, 15.0, 80.0, 150.0])
def test_directions_are_connected_components(n: int, m: int, tolerance: float) -> None:
    """Random directions, some too short."""
    W = random(50, n, m, seed=n) * np.random.default_rng(1).choice([0.02, 1.0], size=(50, n, 1), p=[0.2, 0.8])
    found = tms.directions(W, min_norm=0.1, tolerance=tolerance)
    expected = np.array([components(one, tolerance, 0.1) for one in W])
    np.testing.assert_array_equal(found.direction, expected)
    np.testing.assert_array_equal(found.n_directions, expected.max(-1) + 1)


def at_degrees(*angles: float) -> np.ndarray:
    return np.stack([np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))], 1)


@pytest.mark.parametrize(
    ("angles", "tolerance", "expected"),
    [
        ((0, 8, 16, 24), 10, [0, 0, 0, 0]),  # a chain joins the ends
        ((24, 0, 16, 8), 10, [0, 0, 0, 0]),  # in whatever order
        ((0, 8, 16, 24), 7, [0, 1, 2, 3]),
        ((0, 180), 179, [0, 1]),  # an antipodal pair is two directions
        ((355, 3), 10, [0, 0]),  # over 360°
        ((90, 0, 91, 1, 200), 10, [0, 1, 0, 1, 2]),  # numbered as they come
    ],
)
def test_directions_by_hand(angles: tuple[float, ...], tolerance: float, expected: list[int]) -> None:
    """Chains, opposite directions, and the order of the numbers."""
    found = tms.directions(at_degrees(*angles), tolerance=tolerance)
    assert found.direction.values.tolist() == expected
    assert int(found.n_directions) == max(expected) + 1


def test_directions_of_features_at_zero() -> None:
    """They have none, whatever `min_norm`; from `min_norm` on there is one."""
    for min_norm in (0.0, 0.1, 10.0):
        found = tms.directions(np.zeros((3, 2)), min_norm=min_norm)
        assert found.direction.values.tolist() == [-1, -1, -1]
        assert int(found.n_directions) == 0
    assert int(tms.directions([[0.25, 0.0]], min_norm=0.25).n_directions) == 1
    assert int(tms.directions([[0.25, 0.0]], min_norm=0.26).n_directions) == 0


@pytest.mark.parametrize("k", [2, 3, 5, 8, 37])
def test_gaps_of_polygons(k: int) -> None:
    """k equal gaps, however the polygon is turned and its corners ordered and stretched."""
    stretched = (
        np.random.default_rng(k).permutation(turned(polygon(k), seed=k)) * np.linspace(0.5, 2, k)[:, None]
    )
    np.testing.assert_allclose(tms.gaps(stretched), 360 / k, rtol=1e-10)


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ((37,), [360]),
        ((37, 38), [1, 359]),
        ((10, 10), [0, 360]),
        ((0, 0, 180), [0, 180, 180]),
        ((350, 20, 200), [30, 150, 180]),
    ],
)
def test_gaps_by_hand(angles: tuple[float, ...], expected: list[float]) -> None:
    """One and two directions, and shared ones; a feature at zero adds a NaN."""
    np.testing.assert_allclose(tms.gaps(at_degrees(*angles)), expected, atol=1e-10)
    padded = np.concatenate([np.zeros((2, 2)), at_degrees(*angles)])
    np.testing.assert_allclose(tms.gaps(padded), [*expected, np.nan, np.nan], atol=1e-10)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(-2, 2)))
def test_gaps_close_the_circle(W: np.ndarray) -> None:
    """They rise, and sum to 360° if there is any direction; there are as many as directions."""
    gaps = tms.gaps(W).values
    present = sum(math.hypot(x, y) >= 0.1 for x, y in W)
    assert np.isfinite(gaps).sum() == present
    assert (np.diff(gaps[:present]) >= 0).all()
    assert np.nansum(gaps) == pytest.approx(360 if present else 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_models_that_diverged(wrong: float) -> None:
    """They crash nothing, are not taken for models at zero, and leave their neighbours alone."""
    W = random(3, 4, 2)
    W[1, 2, 0] = wrong
    for measure in (
        tms.interference,
        tms.feature_dimensionality,
        tms.dimensions_per_feature,
        tms.feature_norms,
    ):
        measured = measure(W).values.reshape(3, -1)
        assert np.isfinite(measured[[0, 2]]).all()
        np.testing.assert_array_equal(measured[[0, 2]], measure(W[[0, 2]]).values.reshape(2, -1))
        if np.isnan(wrong):
            assert np.isnan(measured[1]).any()
    assert np.isnan(tms.feature_dimensionality(np.where(np.isinf(W), np.nan, W))[1]).all()
    found = tms.directions(W)
    assert found.direction[1, 2] == -1
    np.testing.assert_array_equal(found.direction[[0, 2]], tms.directions(W[[0, 2]]).direction)
    gaps = tms.gaps(W)
    assert np.isfinite(gaps[1]).sum() == 3
    np.testing.assert_array_equal(gaps[[0, 2]], tms.gaps(W[[0, 2]]))


def test_weights_of_many_kinds() -> None:
    """Lists, tensors that carry gradients, float32 and whole numbers; always float64 comes out."""
    for W in (
        [[3, 4]],
        np.array([[3, 4]], np.float32),
        torch.nn.Parameter(torch.tensor([[3.0, 4.0]])),
        torch.tensor([[3, 4]]),
        xr.DataArray([[3], [4]], dims=("hidden", "feature")),
    ):
        norm = tms.feature_norms(W)
        assert norm.dtype == np.float64
        assert norm.values.tolist() == [5.0]


@pytest.mark.parametrize(
    "W",
    [
        1.0,
        [1.0, 2.0],
        [[1.0], [1.0, 2.0]],
        "weights",
        None,
        np.array([[1j]]),
        np.array([["a"]]),
        xr.DataArray([[1.0]], dims=("feature", "other")),
        xr.DataArray([["a"]], dims=("feature", "hidden")),
        xr.Dataset({"W": (("feature", "hidden"), [[1.0]])}),
    ],
    ids=repr,
)
def test_wrong_weights(W: Any) -> None:
    """The message names W, or W_out."""
    for measure in (
        tms.gram,
        tms.feature_norms,
        tms.interference,
        tms.feature_dimensionality,
        tms.dimensions_per_feature,
        tms.directions,
        tms.gaps,
        tms.one_active_loss,
    ):
        rejects(lambda measure=measure: measure(W), "W must be")
    rejects(lambda: tms.gram([[1.0]], W if W is not None else "None"), "W_out must be")


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_read_directions_of_another_size(shape: tuple[int, int]) -> None:
    """As many features and hidden dimensions as write directions."""
    rejects(lambda: tms.gram(np.ones((2, 2)), np.ones(shape)), "W_out")


def test_wrong_settings() -> None:
    """Norms and angles out of range, and gaps outside the plane."""
    W = np.ones((2, 2))
    for value in (-0.1, np.nan, np.inf, "0.1", None):
        rejects(lambda value=value: tms.directions(W, min_norm=value), "min_norm", value)
        rejects(lambda value=value: tms.gaps(W, min_norm=value), "min_norm", value)
    for value in (0.0, -1.0, 180.1, np.nan, "10"):
        rejects(lambda value=value: tms.directions(W, tolerance=value), "tolerance", value)
    rejects(lambda: tms.gaps(np.ones((2, 3))), "W must be of 2 hidden dimensions")
