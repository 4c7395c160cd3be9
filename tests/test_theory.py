"""Exact losses and closed forms: against sampling, quadrature and formulas found by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

import tms
from tests.made import made, stacked
from tests.wrong import rejects

EXACT = 1e-12  # float64, relative


def relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0.0)


def sample(rng: np.random.Generator, p: Any, shape: tuple[int, int]) -> np.ndarray:
    return np.where(rng.random(shape) < p, rng.random(shape), 0.0)


def squared_errors(
    x: np.ndarray, activation: Any, W: Any, W_out: Any = None, b: Any = 0, b_hidden: Any = 0
) -> Any:
    """(x − x̂)² [sample, feature], in numpy."""
    read = W if W_out is None else W_out
    return (x - activation((x @ W + b_hidden) @ read.T + b)) ** 2


def kinds(n: int, m: int, seed: int, size: float = 0.7) -> list[dict[str, Any]]:
    """Parameters of every kind of model."""
    rng = np.random.default_rng(seed)
    shapes = {"W": (n, m), "W_out": (n, m), "b": (n,), "b_hidden": (m,)}
    return [
        {name: size * rng.normal(size=shapes[name]) for name in ("W", *names)}
        for names in ((), ("b",), ("W_out",), ("b_hidden",), ("b", "b_hidden"), ("W_out", "b", "b_hidden"))
    ]


P = np.array([0.9, 0.2, 0.05, 1.0])
IMPORTANCE = np.array([1.0, 0.3, 2.0, 0.0])


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("kind", range(6))
def test_expected_loss_by_sampling(kind: int, activation: str) -> None:
    """Within five standard errors of the mean over 200,000 samples of our own."""
    parameters = kinds(4, 2, seed=kind)[kind]
    x = sample(np.random.default_rng(kind), P, (200_000, 4))
    each = squared_errors(x, relu if activation == "relu" else np.asarray, **parameters) @ IMPORTANCE
    loss = tms.MSE(importance=IMPORTANCE, reduction="feature_sum")
    exact = tms.expected_loss(made(**parameters, p=P, loss=loss, activation=activation))
    assert abs(float(exact) - each.mean()) < 5 * each.std() / len(each) ** 0.5


def by_quadrature(n: int, p: np.ndarray, importance: np.ndarray, cells: int, **parameters: Any) -> float:
    """The loss of a ReLU model, by Gauss's two-point rule in the cells of a grid over each active set."""
    edges = np.arange(cells) / cells
    nodes = np.concatenate([edges + (0.5 + s / 12**0.5) / cells for s in (-1, 1)])
    total = 0.0
    for active in itertools.product((0, 1), repeat=n):
        chance = np.prod(np.where(active, p, 1 - p))
        axes = [nodes if on else np.zeros(1) for on in active]
        x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, n)
        total += chance * (squared_errors(x, relu, **parameters) @ importance).mean()
    return total


@pytest.mark.parametrize(("n", "cells", "tolerance"), [(2, 200, 1e-5), (3, 30, 3e-4)])
@pytest.mark.parametrize("kind", range(6))
def test_expected_loss_by_quadrature(n: int, cells: int, tolerance: float, kind: int) -> None:
    """Over every set of active features; the error comes from the cells in which ReLU bends."""
    parameters = kinds(n, 2, seed=10 + kind)[kind]
    p, importance = np.array([0.3, 0.8, 0.5])[:n], np.array([1.0, 0.5, 3.0])[:n]
    loss = tms.MSE(importance=importance, reduction="feature_sum")
    exact = float(tms.expected_loss(made(**parameters, p=p, loss=loss)))
    assert exact == pytest.approx(by_quadrature(n, p, importance, cells, **parameters), rel=tolerance)


def linear_loss(
    p: Any, importance: Any, W: Any, W_out: Any = None, b: Any = 0.0, b_hidden: Any = 0.0
) -> float:
    """By hand, from mean and variance of the inputs: they are independent, so E|z|² = |Ez|² + Σ a² Var."""
    read = W if W_out is None else W_out
    n = len(W)
    p = np.broadcast_to(p, n)
    mean, variance = p / 2, p / 3 - p**2 / 4
    remainder = np.eye(n) - read @ W.T
    each = (
        remainder @ mean - read @ np.broadcast_to(b_hidden, W.shape[1]) - b
    ) ** 2 + remainder**2 @ variance
    return float(importance @ each)


@pytest.mark.parametrize("kind", range(6))
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.3, 1.0, "each"])
def test_linear_models_by_hand(kind: int, p: Any) -> None:
    """Exactly the mean and the variance of the error."""
    parameters = kinds(4, 2, seed=20 + kind)[kind]
    p = P if p == "each" else p
    loss = tms.MSE(importance=IMPORTANCE, reduction="feature_sum")
    exact = float(tms.expected_loss(made(**parameters, p=p, loss=loss, activation="linear")))
    assert exact == pytest.approx(linear_loss(p, IMPORTANCE, **parameters), rel=EXACT, abs=1e-15)


@pytest.mark.parametrize("kind", range(6))
@pytest.mark.parametrize("size", [1e-8, 0.3, 3.0])
def test_relu_that_never_bends(kind: int, size: float) -> None:
    """Positive weights and biases: ReLU models are linear ones, exactly, however badly the sums cancel."""
    n = 6
    parameters = {name: abs(value) for name, value in kinds(n, 3, seed=30 + kind, size=size)[kind].items()}
    p, importance = np.linspace(0.1, 1.0, n), np.linspace(1.0, 0.5, n)
    loss = tms.MSE(importance=importance, reduction="feature_sum")
    exact = float(tms.expected_loss(made(**parameters, p=p, loss=loss)))
    assert exact == pytest.approx(linear_loss(p, importance, **parameters), rel=1e-11)


@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("b", [-0.7, 0.0, 0.4])
def test_no_weights(p: float, b: float) -> None:
    """A constant c instead of each feature costs p/3 − pc + c²."""
    c = max(b, 0.0)
    exact = float(tms.expected_loss(made(np.zeros((3, 2)), p=p, b=np.full(3, b))))
    assert exact == pytest.approx(3 * (p / 3 - p * c + c**2), rel=EXACT)


@pytest.mark.parametrize("p", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("gain", [0.25, 1.0, 2.0])
@pytest.mark.parametrize("b", [-3.0, -0.2, 0.0, 0.5])
def test_one_feature_by_hand(p: float, gain: float, b: float) -> None:
    """∫ (x − (g x + b)₊)² from where the output begins; below that the input alone, and b when off."""
    start = min(max(-b / gain, 0.0), 1.0)

    def antiderivative(x: float) -> float:
        return (1 - gain) ** 2 * x**3 / 3 - (1 - gain) * b * x**2 + b**2 * x

    active = start**3 / 3 + antiderivative(1.0) - antiderivative(start)
    exact = float(tms.expected_loss(made([[gain**0.5]], p=p, b=[b])))
    assert exact == pytest.approx(p * active + (1 - p) * max(b, 0.0) ** 2, rel=1e-11, abs=1e-15)


def test_reductions() -> None:
    """The mean over features, and the sum over a batch."""
    W, b = kinds(4, 2, seed=40)[1].values()
    losses = {
        reduction: float(
            tms.expected_loss(made(W, b=b, p=0.3, loss=tms.MSE(reduction=reduction), batch_size=7))
        )
        for reduction in ("mean", "feature_sum", "sum")
    }
    assert losses["mean"] == pytest.approx(losses["feature_sum"] / 4, rel=EXACT)
    assert losses["sum"] == pytest.approx(losses["feature_sum"] * 7, rel=EXACT)
    x = sample(np.random.default_rng(0), 0.3, (200_000, 4))
    each = squared_errors(x, relu, W, b=b).mean(1)
    assert abs(losses["mean"] - each.mean()) < 5 * each.std() / len(each) ** 0.5


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("correlation", [-1.0, -0.3, 0.4, 1.0])
def test_expected_loss_of_sets_of_features(correlation: float, activation: str) -> None:
    """Within five standard errors of the mean over samples of our own."""
    p, k, count, rng = 0.3, 3, 200_000, np.random.default_rng(3)
    W, b = kinds(6, 2, seed=41)[1].values()
    independent = rng.random((count, 2, k)) < p
    place = rng.random((count, 2, 1))
    if correlation > 0:
        bound = np.broadcast_to(place < p, independent.shape)
    else:
        bound = (place >= p * np.arange(k)) & (place < p * (np.arange(k) + 1))
    is_bound = rng.random((count, 2, 1)) < abs(correlation)
    active = np.where(is_bound, bound, independent).reshape(count, 6)
    x = np.where(active, rng.random((count, 6)), 0.0)
    each = squared_errors(x, relu if activation == "relu" else np.asarray, W, b=b).sum(1)
    inputs = tms.GroupedSparse(set_size=k, feature_probability=p, correlation=correlation)
    loss = float(tms.expected_loss(made(W, b=b, inputs=inputs, activation=activation)))
    assert abs(loss - each.mean()) < 5 * each.std() / count**0.5


def test_expected_loss_of_sets_without_correlation() -> None:
    """That of independent features; and with features that no output hears of."""
    W, b = kinds(4, 2, seed=42)[1].values()
    W[1] = 0.0
    inputs = tms.GroupedSparse(set_size=2, feature_probability=0.3, correlation=0.0)
    alone = float(tms.expected_loss(made(W, b=b, p=0.3)))
    assert float(tms.expected_loss(made(W, b=b, inputs=inputs))) == pytest.approx(alone, rel=EXACT)


@pytest.mark.parametrize("order", [("seed", "p", "tied"), ("hidden", "p", "feature", "tied", "seed")])
def test_many_models_in_any_order(order: tuple[str, ...]) -> None:
    """Each model of a grid has the loss that it has alone, under its own labels."""
    rng = np.random.default_rng(50)
    dims = ("tied", "seed", "feature", "hidden")
    coords = {"tied": [True, False], "seed": [3, 5, 8]}
    W = xr.DataArray(rng.normal(size=(2, 3, 3, 2)), dims=dims, coords=coords)
    W_out = xr.DataArray(rng.normal(size=(2, 3, 3, 2)), dims=dims, coords=coords)
    b = rng.normal(size=3)
    p = tms.axis("p", [1.0, 0.5, 0.1])
    loss = tms.MSE(importance=tms.axis("p", [1.0, 2.0, 3.0], labels=[1.0, 0.5, 0.1]), reduction="feature_sum")
    runs = made(W, W_out=W_out, b=b, p=p, loss=loss, tied=tms.axis("tied", [True, False]), seeds=[3, 5, 8])
    losses = tms.expected_loss(runs.transpose(..., *order))
    assert set(losses.dims) == {"p", "seed", "tied"}
    some = runs.isel(seed=[2, 0], p=slice(1, 3)).sel(tied=False)
    xr.testing.assert_allclose(
        tms.expected_loss(some), losses.sel(tied=False).isel(seed=[2, 0], p=[1, 2]).transpose("p", "seed")
    )
    for tied, seed, (value, weight) in itertools.product(
        [True, False], [3, 5, 8], [(1.0, 1.0), (0.5, 2.0), (0.1, 3.0)]
    ):
        start = W.sel(tied=tied, seed=seed).values
        read = None if tied else W_out.sel(tied=tied, seed=seed).values
        alone = float(tms.expected_loss(made(start, W_out=read, b=b, p=value))) * weight
        assert float(losses.sel(tied=tied, seed=seed, p=value)) == pytest.approx(alone, rel=EXACT)


def test_best_seeds_of_a_grid() -> None:
    """A seed chosen for every grid point stays with it."""
    W = stacked(np.random.default_rng(60).normal(size=(4, 3, 1)), "feature", "hidden")
    runs = made(W, p=tms.axis("p", [0.9, 0.1]), seeds=4)
    losses = tms.expected_loss(runs)
    chosen = runs.isel(seed=losses.argmin("seed"))
    np.testing.assert_array_equal(tms.expected_loss(chosen), losses.min("seed"))


def test_inputs_that_are_not_sampled() -> None:
    """One-hot and a data set with targets, any activation: the sum over the samples."""
    rng = np.random.default_rng(70)
    W, b = rng.normal(size=(3, 2)), rng.normal(size=3)
    x, y = rng.normal(size=(2, 5, 3))

    def gelu(z: np.ndarray) -> np.ndarray:
        return z * 0.5 * (1 + np.vectorize(math.erf)(z / 2**0.5))

    options = {"b": b, "batch_size": None, "loss": tms.MSE(reduction="sum"), "activation": "gelu"}
    loss = tms.expected_loss(made(W, inputs=tms.OneHot(), **options))
    assert float(loss) == pytest.approx(squared_errors(np.eye(3), gelu, W, b=b).sum(), rel=EXACT)
    loss = tms.expected_loss(made(W, inputs=tms.Dataset(data=x, targets=y), **options))
    expected = ((y - gelu(x @ W @ W.T + b)) ** 2).sum()
    assert float(loss) == pytest.approx(expected, rel=EXACT)
    data = tms.Dataset(data=x)
    with_batches = made(W, b=b, inputs=data, batch_size=2, loss=tms.MSE(reduction="sum"))
    assert float(tms.expected_loss(with_batches)) == pytest.approx(
        squared_errors(x, relu, W, b=b).sum(), rel=EXACT
    )


def test_an_axis_of_inputs() -> None:
    """Sampled inputs beside others: each grid point by its own means."""
    kind = ["sparse", "one-hot"]
    W = np.random.default_rng(80).normal(size=(3, 2))
    inputs = tms.axis("kind", [tms.SparseUniform(feature_probability=0.4), tms.OneHot()], labels=kind)
    runs = made(W, inputs=inputs, batch_size=tms.axis("kind", [4, None], labels=kind))
    losses = tms.expected_loss(runs)
    assert float(losses.sel(kind="sparse")) == float(tms.expected_loss(made(W, p=0.4)))
    expected = squared_errors(np.eye(3), relu, W).sum(-1).mean()
    assert float(losses.sel(kind="one-hot")) == pytest.approx(expected, rel=EXACT)


def test_an_experiment_that_cannot_be_written_down() -> None:
    """With a callable in it, it is given beside the runs: whole, or at the grid point selected."""
    W = np.random.default_rng(81).normal(size=(3, 2))
    runs = made(
        W,
        inputs=tms.OneHot(),
        batch_size=None,
        activation=torch.abs,
        loss=tms.MSE(importance=tms.axis("i", [1.0, 2.0])),
    )
    model = tms.Autoencoder(n_features=3, n_hidden=2, bias="none", activation=torch.abs)
    experiment = tms.Experiment(
        model=model,
        inputs=tms.OneHot(),
        loss=tms.MSE(importance=tms.axis("i", [1.0, 2.0])),
        steps=1,
    )
    expected = squared_errors(np.eye(3), np.abs, W).mean()
    for given_experiment in (experiment, experiment.sel(i=2.0)):
        loss = tms.expected_loss(runs.sel(i=2.0), experiment=given_experiment)
        assert loss.values == pytest.approx(2 * expected, rel=EXACT)
    np.testing.assert_allclose(
        tms.expected_loss(runs, experiment=experiment), [expected, 2 * expected], rtol=EXACT
    )
    rejects(lambda: tms.expected_loss(runs), "runs")


@pytest.mark.parametrize("name", ["W", "b"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_diverged_models_have_no_loss(name: str, wrong: float) -> None:
    """NaN for them, and the others as they are."""
    W = stacked(np.random.default_rng(90).normal(size=(3, 2, 1)), "feature", "hidden")
    runs = made(W, b=stacked(np.zeros((3, 2)), "feature"), seeds=3)
    before = tms.expected_loss(runs)
    runs[name][1, 1] = wrong
    after = tms.expected_loss(runs)
    assert np.isnan(after[1])
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("model", {"activation": "gelu"}),
        ("model", {"activation": torch.tanh}),
        ("model", {"hidden_activation": "relu"}),
        ("model", {"activation": tms.axis("f", ["relu", "gelu"])}),
        ("inputs", {"inputs": tms.KSparse(k=1)}),
        ("loss", {"loss": tms.CrossEntropy()}),
        ("loss", {"loss": lambda output, target: (output - target).abs().sum((-2, -1))}),
        ("n_features", {"W": np.zeros((13, 1))}),
    ],
)
def test_where_there_is_no_exact_loss(name: str, changes: dict[str, Any]) -> None:
    """A message says which part is in the way."""
    runs = made(**{"W": np.ones((2, 1)), **changes})
    W = changes.get("W", np.ones((2, 1)))
    experiment = tms.Experiment(
        model=tms.Autoencoder(
            n_features=len(W),
            n_hidden=1,
            bias="none",
            **{key: value for key, value in changes.items() if "activation" in key},
        ),
        inputs=changes.get("inputs", tms.SparseUniform(feature_probability=0.5)),
        loss=changes.get("loss", tms.MSE()),
        steps=1,
        batch_size=4,
    )
    rejects(lambda: tms.expected_loss(runs, experiment=experiment), f"{name} must be")


def test_expected_loss_of_a_trained_model() -> None:
    """Training reports the same loss, up to the error of its samples."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=4, n_hidden=2),
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.8, 0.1])),
        loss=tms.MSE(importance=0.8 ** np.arange(4)),
        optimizer=tms.Adam(lr=0.02),
        steps=150,
        batch_size=512,
    )
    runs = tms.train(experiment, engine="torch", seeds=2, evaluation_samples=2**17)
    rng = np.random.default_rng(0)
    exact = tms.expected_loss(runs)
    for p, seed in itertools.product((0.8, 0.1), range(2)):
        one = runs.sel(p=p, seed=seed)
        x = sample(rng, p, (2**14, 4))
        each = squared_errors(x, relu, one.W.values, b=one.b.values) @ (0.8 ** np.arange(4)) / 4
        assert abs(float(exact.sel(p=p, seed=seed) - one.loss)) < 5 * each.std() / 2 ** (17 / 2)


# Closed forms


@given(
    st.floats(0, 1),
    st.floats(0.05, 3),
    st.sampled_from([-1.0, 0.0, 1.0, -0.5, 1e-9, -1e-9]) | st.floats(-1, 1),
)
def test_antipodal_pair(p: float, gain: float, share: float) -> None:
    """The enumerated loss of the same two features, for biases of both signs up to the gain."""
    norm = gain**0.5
    gain = norm * norm
    bias = share * gain
    exact = float(tms.expected_loss(made([[norm], [-norm]], p=p, b=[bias, bias])))
    assert float(tms.antipodal_pair_loss(p, gain, bias)) == pytest.approx(exact, rel=1e-10, abs=1e-14)


def test_antipodal_pair_over_a_grid() -> None:
    """Arrays broadcast; every entry is its own pair, and the sampled loss agrees."""
    p, gain, bias = (
        np.array([0.05, 0.5, 1.0])[:, None, None],
        np.array([0.6, 1.0, 1.5])[:, None],
        np.array([-0.5, 0.0, 0.3]),
    )
    losses = tms.antipodal_pair_loss(p, gain, bias)
    assert losses.shape == (3, 3, 3)
    rng = np.random.default_rng(0)
    for i, j, k in itertools.product(range(3), repeat=3):
        x = sample(rng, p[i, 0, 0], (50_000, 2))
        difference = gain[j, 0] * (x[:, 0] - x[:, 1])
        each = (x[:, 0] - relu(difference + bias[k])) ** 2 + (x[:, 1] - relu(bias[k] - difference)) ** 2
        assert abs(losses[i, j, k] - each.mean()) < 5 * each.std() / len(each) ** 0.5


def test_antipodal_pair_out_of_range() -> None:
    """Named: the probability, a gain that is not positive, a bias beyond the gain."""
    for p in (-0.1, 1.1, np.nan, "a", None, 1j):
        rejects(lambda p=p: tms.antipodal_pair_loss(p, 1.0), "feature_probability", p)
    for gain in (0.0, -1.0, np.nan, np.inf, "a"):
        rejects(lambda gain=gain: tms.antipodal_pair_loss(0.5, gain), "gain", gain)
    for bias in (1.1, -1.1, np.nan, np.inf, None):
        rejects(lambda bias=bias: tms.antipodal_pair_loss(0.5, 1.0, bias), "bias", bias)


def one_active_by_quadrature(W: np.ndarray, b: np.ndarray, W_out: np.ndarray | None = None) -> float:
    """Adaptive quadrature of every integral, told where its integrand bends."""
    read = W if W_out is None else W_out
    total = 0.0
    for i, j in itertools.product(range(len(W)), repeat=2):
        slope = float(read[i] @ W[j])
        bend = -b[i] / slope if slope else -1.0

        def error(x: float, i: int = i, j: int = j, slope: float = slope) -> float:
            return ((i == j) * x - max(slope * x + b[i], 0.0)) ** 2

        total += integrate.quad(error, 0, 1, points=[bend] if 0 < bend < 1 else None)[0]
    return total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("untied", [False, True])
def test_one_active_by_quadrature(seed: int, untied: bool) -> None:
    """Biases of both signs, slopes of 0 among them."""
    rng = np.random.default_rng(seed)
    W, read = rng.normal(size=(2, 5, 2))
    W[1] = 0
    b = rng.normal(size=5) * 0.5
    b[0], b[1:3] = 0, [0.3, -0.3]
    W_out = read if untied else None
    expected = one_active_by_quadrature(W, b, W_out)
    assert float(tms.one_active_loss(W, b, W_out=W_out)) == pytest.approx(expected, rel=1e-10)
    assert float(tms.one_active_loss(W, 0.2, W_out=W_out)) == pytest.approx(
        one_active_by_quadrature(W, np.full(5, 0.2), W_out), rel=1e-10
    )


@pytest.mark.parametrize("seed", range(4))
def test_one_active_is_the_sparse_limit(seed: int) -> None:
    """loss / p at p = 10⁻⁶, which is off by the order of p."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(4, 2)), -abs(rng.normal(size=4)) * 0.3
    loss = float(tms.expected_loss(made(W, b=b, p=1e-6)))
    assert float(tms.one_active_loss(W, b)) == pytest.approx(loss / 1e-6, rel=1e-4)


def test_one_active_and_one_sparse_training() -> None:
    """The loss at the end of training on one active feature, up to the error of its samples."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=4, n_hidden=2, tied=tms.axis("tied", [True, False])),
        inputs=tms.KSparse(k=1),
        loss=tms.MSE(reduction="feature_sum"),
        init=tms.Normal(scale=0.6, bias_scale=0.2),
        optimizer=tms.Adam(lr=0.01),
        steps=30,
        batch_size=256,
    )
    runs = tms.train(experiment, engine="torch", seeds=3, evaluation_samples=2**17)
    closed = tms.one_active_loss(runs.W, runs.b, W_out=runs.W_out) / 4
    assert (runs.b > 0).any()
    assert (runs.b < 0).any()
    assert closed.dims == ("tied", "seed")
    rng = np.random.default_rng(0)
    x = np.zeros((2**14, 4))
    x[np.arange(2**14), rng.integers(4, size=2**14)] = rng.random(2**14)
    for tied, seed in itertools.product([True, False], range(3)):
        one = runs.sel(tied=tied, seed=seed)
        each = squared_errors(x, relu, one.W.values, one.W_out.values, one.b.values).sum(1)
        assert abs(float(closed.sel(tied=tied, seed=seed) - one.loss)) < 5 * each.std() / 2 ** (17 / 2)


def test_one_active_by_hand() -> None:
    """Nothing learned; dimensions of their own; an antipodal pair; an exact digon with a bias."""
    assert float(tms.one_active_loss(np.zeros((3, 2)))) == pytest.approx(1.0)
    assert float(tms.one_active_loss(np.eye(3))) == 0.0
    assert float(tms.one_active_loss([[1.0], [-1.0]])) == 0.0
    # Own: ∫₀^β x² + β² (1 − β); other: nothing.
    beta = 0.2
    expected = 2 * (beta**3 / 3 + beta**2 * (1 - beta))
    assert float(tms.one_active_loss([[1.0], [-1.0]], -beta)) == pytest.approx(expected, rel=EXACT)


def test_one_active_of_diverged_models() -> None:
    """NaN, and not what is left of the sum."""
    W = np.random.default_rng(0).normal(size=(3, 4, 2))
    W[1, 0, 0] = np.nan
    losses = tms.one_active_loss(W)
    assert np.isnan(losses).values.tolist() == [False, True, False]
    b = xr.DataArray([[0.0, np.nan, 0.0, 0.0]], dims=("dim_0", "feature"))
    assert np.isnan(tms.one_active_loss(W[:1], b)).all()


@pytest.mark.parametrize(
    "b",
    [
        [0.1, 0.2],
        [[0.1, 0.2, 0.3]],
        "bias",
        None,
        xr.DataArray([0.1, 0.2], dims="feature"),
        xr.DataArray([0.1, 0.2, 0.3], dims="hidden"),
        xr.DataArray([[0.1, 0.2, 0.3]], dims=("seed", "feature")),
    ],
    ids=repr,
)
def test_one_active_with_a_wrong_bias(b: Any) -> None:
    """One number, or one for each feature."""
    rejects(lambda: tms.one_active_loss(np.ones((3, 2)), b), "b must be")


@pytest.mark.parametrize("p", [0.0, 0.01, 0.4, 1.0])
def test_constant_loss(p: float) -> None:
    """The least over all constants, and the variance of samples."""
    constants = np.linspace(0, 1, 2001)
    assert float(tms.constant_loss(p)) == pytest.approx(
        (p / 3 - p * constants + constants**2).min(), abs=1e-7
    )
    x = sample(np.random.default_rng(0), p, (100_000, 1))
    squares = (x - p / 2) ** 2
    assert abs(float(tms.constant_loss(p)) - squares.mean()) <= 5 * squares.std() / len(x) ** 0.5


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 1), (4, 2), (3, 5)])
@pytest.mark.parametrize("each", [False, True])
def test_dedicated_loss(n: int, m: int, each: bool) -> None:
    """The enumerated loss of that very model, which no other choice of m features beats."""
    rng = np.random.default_rng(n)
    p = rng.uniform(0.1, 1, size=n) if each else 0.3
    importance = rng.uniform(0.1, 2, size=n) if each else 0.5
    loss = tms.MSE(importance=importance, reduction="feature_sum")
    losses = []
    for kept in itertools.combinations(range(n), min(n, m)):
        W = np.zeros((n, m))
        W[list(kept), range(len(kept))] = 1.0
        b = np.where(W.any(1), 0.0, np.broadcast_to(p, n) / 2)
        losses.append(float(tms.expected_loss(made(W, b=b, p=p, loss=loss))))
    closed = tms.dedicated_loss(p, n_features=n, n_hidden=m, importance=importance)
    assert float(closed) == pytest.approx(min(losses), rel=EXACT, abs=1e-15)


def test_dedicated_loss_broadcasts() -> None:
    """Features are the last dimension; others are kept."""
    p = np.array([0.1, 0.5, 1.0])[:, None]
    closed = tms.dedicated_loss(p, n_features=4, n_hidden=2, importance=[4.0, 3.0, 2.0, 1.0])
    np.testing.assert_allclose(closed, 3 * (p / 3 - p**2 / 4)[:, 0], rtol=EXACT)
    np.testing.assert_allclose(
        tms.dedicated_loss(p, n_features=4, n_hidden=1), 3 * (p / 3 - p**2 / 4)[:, 0], rtol=EXACT
    )


def test_dedicated_loss_out_of_range() -> None:
    """Each parameter by its name."""
    for p in (-0.1, 1.5, np.nan, [0.5, 0.5, 0.5], "a"):
        rejects(lambda p=p: tms.dedicated_loss(p, n_features=2, n_hidden=1), "feature_probability")
    for importance in (-1.0, np.nan, np.inf, [1.0, 1.0, 1.0], "a", None):
        rejects(
            lambda i=importance: tms.dedicated_loss(0.5, n_features=2, n_hidden=1, importance=i), "importance"
        )
    rejects(lambda: tms.dedicated_loss(0.5, n_features=0, n_hidden=1), "n_features", 0)
    rejects(lambda: tms.dedicated_loss(0.5, n_features=2, n_hidden=1.5), "n_hidden", 1.5)
    for p in (-0.1, 1.1, np.nan, None):
        rejects(lambda p=p: tms.constant_loss(p), "feature_probability", p)


def test_labelled_probabilities_keep_their_labels() -> None:
    """One number a model along any dimension but "feature", even if there are as many as features."""
    values = np.array([1.0, 0.5, 0.1])
    p = xr.DataArray(values, dims="p", coords={"p": values})
    unit = tms.constant_loss(p)
    np.testing.assert_array_equal(unit.p, values)
    np.testing.assert_array_equal(unit, tms.constant_loss(values))
    dedicated = tms.dedicated_loss(p, n_features=3, n_hidden=1)
    assert dedicated.dims == ("p",)
    np.testing.assert_array_equal(dedicated, tms.dedicated_loss(values[:, None], n_features=3, n_hidden=1))
    weighted = tms.dedicated_loss(p, n_features=3, n_hidden=1, importance=[1.0, 2.0, 0.5])
    expected = tms.dedicated_loss(values[:, None], n_features=3, n_hidden=1, importance=[1.0, 2.0, 0.5])
    np.testing.assert_array_equal(weighted, expected)
    along = tms.dedicated_loss(p.rename(p="feature"), n_features=3, n_hidden=1)
    assert along.dims == ()
    assert float(along) == float(tms.dedicated_loss(values, n_features=3, n_hidden=1))
    gain = xr.DataArray([1.0, 1.2], dims="gain")
    pair = tms.antipodal_pair_loss(p, gain)
    assert set(pair.dims) == {"p", "gain"}
    np.testing.assert_array_equal(
        pair.transpose("p", "gain"), tms.antipodal_pair_loss(values[:, None], gain.values)
    )
    wrong = p.rename(p="feature")
    rejects(lambda: tms.dedicated_loss(wrong, n_features=4, n_hidden=1), "feature_probability")
    rejects(lambda: tms.dedicated_loss(p, n_features=3, n_hidden=1, importance=[1.0, 2.0]), "importance")
