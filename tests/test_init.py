"""Initialisation: the distributions, and given starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import tms
from tests.wrong import NOT_A_NUMBER, NOT_FINITE, rejects
from tms._engine import Job

NONE = np.empty(0, np.int64)


def start(
    init: Any, name: str = "W", n: int = 40, m: int = 10, seeds: Any = range(50), **changes: Any
) -> np.ndarray:
    """[model, ...] as the engines get it."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=n, n_hidden=m, tied=False, bias="both"),
        inputs=tms.OneHot(),
        steps=1,
        init=init,
        **changes,
    )
    return Job(experiment, np.array(seeds), NONE, NONE, 1, "cpu", lambda _: None).start(name)


@pytest.mark.parametrize("name", ["W", "W_out"])
@pytest.mark.parametrize(("init", "scale"), [(tms.XavierNormal(gain=1.5), 0.3), (tms.Normal(scale=0.7), 0.7)])
def test_weights_are_normal(name: str, init: Any, scale: float) -> None:
    """Of the stated scale: for Xavier gain · √(2 / (n + m)) = 1.5 · √(2 / 50) = 0.3."""
    values = start(init, name).ravel()
    assert stats.kstest(values / scale, "norm").pvalue > 1e-4


@pytest.mark.parametrize("name", ["b", "b_hidden"])
@pytest.mark.parametrize("kind", [tms.XavierNormal, lambda **k: tms.Normal(scale=1.0, **k)])
def test_biases(name: str, kind: Any) -> None:
    """Zero by default, otherwise normal of the stated scale."""
    assert (start(kind(), name) == 0).all()
    assert stats.kstest(start(kind(bias_scale=0.4), name).ravel() / 0.4, "norm").pvalue > 1e-4


def test_arrays_are_drawn_independently() -> None:
    """W, W_out and other seeds share no numbers."""
    init = tms.XavierNormal(bias_scale=1.0)
    W, out = start(init, "W").ravel(), start(init, "W_out").ravel()
    assert abs(np.corrcoef(W, out)[0, 1]) < 4.5 / np.sqrt(W.size)
    assert len(np.unique(np.r_[W, out])) == 2 * W.size


def test_the_seed_alone_decides() -> None:
    """Not the other seeds, nor the grid: a scale on an axis multiplies the same draws."""
    init = tms.XavierNormal()
    np.testing.assert_array_equal(start(init, seeds=[7, 3])[1], start(init, seeds=[3])[0])
    grid = start(tms.Normal(scale=tms.axis("scale", [0.0, 1.0, 2.0])), seeds=[3, 4]).reshape(3, 2, 40, 10)
    alone = start(tms.Normal(scale=1.0), seeds=[3, 4])
    assert (grid[0] == 0).all()
    np.testing.assert_array_equal(grid[1], alone)
    np.testing.assert_array_equal(grid[2], 2 * alone)


@given(NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12))
def test_wrong_scales(value: Any) -> None:
    """Negative, not finite, no number."""
    rejects(lambda: tms.XavierNormal(gain=value), "XavierNormal.gain", value, "0 <= value")
    rejects(lambda: tms.XavierNormal(bias_scale=value), "XavierNormal.bias_scale", value, "0 <= value")
    rejects(lambda: tms.Normal(scale=value), "Normal.scale", value, "0 <= value")
    rejects(lambda: tms.Normal(scale=1.0, bias_scale=value), "Normal.bias_scale", value, "0 <= value")


@pytest.mark.parametrize("name", ["W", "b", "W_out", "b_hidden"])
def test_nan_in_a_start(name: str) -> None:
    """NaN in any of the four."""
    arrays = {"W": np.ones((3, 2)), "b": np.ones(3), "W_out": np.ones((3, 2)), "b_hidden": np.ones(2)}
    arrays[name].ravel()[-1] = np.nan
    rejects(lambda: tms.Given(**arrays), f"Given.{name}", allowed="finite numbers")


@pytest.mark.parametrize("value", [np.ones(3), np.ones((1, 3, 2)), 1.0, "W", [["1"]], [[1j]], [[1], [2, 3]]])
def test_a_start_of_another_kind(value: Any) -> None:
    """Wrong dimensions, no numbers."""
    rejects(lambda: tms.Given(W=value), "Given.W", allowed="['feature', 'hidden']")


def test_labels_of_a_start() -> None:
    """A labelled start needs its inner dimensions, labels on the others, and no label twice."""
    inner = ("feature", "hidden")
    rejects(lambda: tms.Given(W=xr.DataArray(np.ones((3, 2)))), "Given.W", allowed="with these dimensions")
    stack = np.ones((2, 3, 2))
    rejects(
        lambda: tms.Given(W=xr.DataArray(stack, dims=("seed", *inner))),
        "Given.W",
        "dimension 'seed' without labels",
    )
    twice = xr.DataArray(stack, dims=("seed", *inner), coords={"seed": [1, 1]})
    rejects(lambda: tms.Given(W=twice), "Given.W", "dimension 'seed' with repeated labels")


def experiment(**changes: Any) -> tms.Experiment:
    """A small grid: p and the activation, which splits it."""
    model = tms.Autoencoder(n_features=3, n_hidden=2, activation=tms.axis("act", ["relu", "linear"]))
    return tms.Experiment(
        **{
            "model": model,
            "inputs": tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.5, 0.1])),
            "steps": 3,
            "batch_size": 4,
            "dtype": "float64",
        }
        | changes
    )


def train(made: tms.Experiment, **settings: Any) -> xr.Dataset:
    return tms.train(made, engine="torch", evaluation_samples=4, **settings)


def initial(runs: xr.Dataset, name: str = "W") -> xr.DataArray:
    return runs[f"{name}_snapshot"].sel(snapshot_step=0, drop=True).rename(name)


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_one_start_for_all(make: Any) -> None:
    """A plain array starts every model alike."""
    W = make([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    runs = train(experiment(init=tms.Given(W=W)), seeds=2)
    assert (initial(runs) == np.asarray(W)).all()
    assert (initial(runs, "b") == 0).all()


def test_continuing_goes_by_labels() -> None:
    """Each model starts where the run with its labels ended, whatever the order of labels and dimensions."""
    first = train(experiment(), seeds=[4, 5, 6])
    shuffled = first.isel(p=[2, 0, 1], seed=[2, 1, 0], act=[1, 0]).transpose(
        "hidden", "p", ..., "seed", "act"
    )
    again = train(experiment(init=tms.Given.from_runs(shuffled)), seeds=[6, 4])
    for name in ("W", "b"):
        xr.testing.assert_identical(initial(again, name), first[name].sel(seed=[6, 4]))


def test_continuing_from_one_selected_run() -> None:
    """Dimensions that were selected away start all models alike."""
    first = train(experiment(), seeds=2)
    again = train(experiment(init=tms.Given.from_runs(first.sel(p=0.5, act="relu", seed=1))), seeds=[7])
    xr.testing.assert_equal(
        initial(again),
        first.W.sel(p=0.5, act="relu", seed=1, drop=True)
        .broadcast_like(initial(again))
        .transpose(*initial(again).dims),
    )


def test_continuing_a_grid_of_unlike_models() -> None:
    """Where only some models are untied or have a bias, each takes the starts that it needs."""
    model = tms.Autoencoder(
        n_features=3,
        n_hidden=2,
        tied=tms.axis("tied", [True, False]),
        bias=tms.axis("bias", ["none", "both"]),
    )
    first = train(experiment(model=model))
    again = train(experiment(model=model, init=tms.Given.from_runs(first)))
    for name in ("W", "W_out", "b", "b_hidden"):
        xr.testing.assert_identical(initial(again, name), first[name])


def test_starts_on_an_axis() -> None:
    """Two starts of which one has an entry for each activation; selecting commutes with training."""
    first = train(experiment())
    init = tms.axis("init", [tms.Given.from_runs(first), tms.XavierNormal()], labels=["on", "new"])
    whole = experiment(init=init)
    runs = train(whole)
    xr.testing.assert_identical(initial(runs).sel(init="on", drop=True).transpose(*first.W.dims), first.W)
    for chosen in ({"act": "linear"}, {"act": "linear", "init": "on"}, {"p": 0.5}, {"p": 0.1, "init": "on"}):
        part = train(whole.sel(**chosen))
        expected = runs.W.sel(**chosen, drop=True).transpose(*part.W.dims)
        np.testing.assert_allclose(part.W.values, expected.values, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "changes", "name"),
    [
        ({"W": np.ones((2, 3))}, {}, "Given.W"),
        ({"W": np.ones((3, 2)), "b": np.ones(2)}, {}, "Given.b"),
        ({"W": np.ones((3, 2)), "W_out": np.ones((3, 2))}, {}, "Given.W_out"),
        ({"W": np.ones((3, 2)), "b_hidden": np.ones(2)}, {}, "Given.b_hidden"),
        (
            {"W": np.ones((3, 2))},
            {"model": tms.Autoencoder(n_features=3, n_hidden=2, tied=False)},
            "Given.W_out",
        ),
        (
            {"W": np.ones((3, 2)), "b": np.ones(3)},
            {"model": tms.Autoencoder(n_features=3, n_hidden=2, bias="none", tied=tms.axis("t", [True]))},
            "Given.b",
        ),
    ],
)
def test_starts_that_do_not_fit(given: Any, changes: Any, name: str) -> None:
    """Wrong sizes, parameters that no model of the grid has, and one that is missing."""
    rejects(lambda: experiment(init=tms.Given(**given), **changes), name)


def test_starts_that_are_missing() -> None:
    """A grid point without a start, an unknown dimension: when made. A seed: before anything is trained."""
    first = train(experiment(), seeds=2)
    some = tms.Given.from_runs(first.sel(act=["relu"]))
    rejects(lambda: experiment(init=some), "Given", "no start for act = 'linear'")
    some = tms.Given.from_runs(first.isel(p=[0, 1]))
    rejects(lambda: experiment(init=some), "Given.W", "no start for p = 0.1")
    one = tms.Autoencoder(n_features=3, n_hidden=2)
    rejects(
        lambda: experiment(model=one, init=tms.Given.from_runs(first)),
        "Given.W",
        "dimension 'act'",
        "an axis of the grid",
    )
    rejects(lambda: train(experiment(init=tms.Given.from_runs(first)), seeds=[1, 2]), "seeds", [2], "Given.W")
