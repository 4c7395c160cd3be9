"""What models compute: against numpy, torch's own optimiser, and formulas by hand."""

from __future__ import annotations

import copy
import io
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import tms
from tests.made import made, stacked
from tests.wrong import rejects
from tms import _torch_engine
from tms import module as tms_module

EXACT = 1e-12  # float64, relative to the largest entry

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0.0),
    "gelu": lambda z: z / 2 * (1 + np.vectorize(math.erf)(z / math.sqrt(2))),
}


def parameters(n: int, m: int, *, tied: bool, bias: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = {"W": (n, m)}
    if not tied:
        names["W_out"] = (n, m)
    if bias in ("end", "both"):
        names["b"] = (n,)
    if bias in ("hidden", "both"):
        names["b_hidden"] = (m,)
    return {name: rng.normal(size=shape) for name, shape in names.items()}


def by_numpy(x: np.ndarray, given: dict[str, Any], out: str = "relu", hidden: str = "linear") -> np.ndarray:
    """The formula of the model, once for each sample."""
    rows = []
    for one in x:
        h = ACTIVATIONS[hidden](given["W"].T @ one + given.get("b_hidden", 0.0))
        rows.append(ACTIVATIONS[out](given.get("W_out", given["W"]) @ h + given.get("b", 0.0)))
    return np.array(rows)


def one_hot(**changes: Any) -> tms.Experiment:
    description = {
        "model": tms.Autoencoder(n_features=4, n_hidden=2),
        "inputs": tms.OneHot(),
        "steps": 3,
        "dtype": "float64",
    }
    return tms.Experiment(**{**description, **changes})


def train(experiment: tms.Experiment, **options: Any) -> xr.Dataset:
    return tms.train(experiment, **{"engine": "torch", "evaluation_samples": 64, **options})


@pytest.mark.parametrize("bias", ["none", "hidden", "end", "both"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@pytest.mark.parametrize("out", ACTIVATIONS)
def test_module_outputs_and_formula_agree(bias: str, tied: bool, hidden: str, out: str) -> None:
    """Every kind of model, on inputs of both signs."""
    given = parameters(5, 3, tied=tied, bias=bias)
    run = made(**given, bias=bias, activation=out, hidden_activation=hidden)
    x = np.random.default_rng(1).normal(size=(7, 5))
    expected = by_numpy(x, given, out, hidden)
    outputs = tms.outputs(run, x)
    assert outputs.dims == ("sample", "feature")
    np.testing.assert_allclose(outputs, expected, rtol=EXACT, atol=EXACT)
    module = tms.to_module(run)
    assert {name: tuple(value.shape) for name, value in module.named_parameters()} == {
        name: value.shape for name, value in given.items()
    }
    np.testing.assert_allclose(module(torch.tensor(x)).detach(), expected, rtol=EXACT, atol=EXACT)


def test_own_activations() -> None:
    """Callables at the end and in the hidden layer; the experiment is given beside the run."""
    strength = tms.axis("kind", [torch.tanh, torch.abs], labels=["tanh", "abs"])
    model = tms.Autoencoder(
        n_features=4, n_hidden=2, activation=strength, hidden_activation=lambda h: h**3, bias="both"
    )
    experiment = one_hot(model=model, init=tms.Normal(scale=1.0, bias_scale=1.0))
    runs = train(experiment, seeds=2)
    x = np.random.default_rng(2).normal(size=(5, 4))
    for kind, function in (("tanh", np.tanh), ("abs", np.abs)):
        run = runs.sel(kind=kind, seed=1)
        h = (x @ run.W.values + run.b_hidden.values) ** 3
        expected = function(h @ run.W.values.T + run.b.values)
        for described in (experiment, experiment.sel(kind=kind)):
            outputs = tms.outputs(run, x, described)
            np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=EXACT)
            result = tms.to_module(run, described)(torch.tensor(x)).detach()
            np.testing.assert_allclose(result, expected, rtol=1e-9, atol=EXACT)
            for measure in (tms.variance_explained, tms.sampled_loss, tms.expected_loss):
                whole = measure(runs, experiment=experiment).sel(kind=kind, seed=1)
                np.testing.assert_array_equal(measure(run, experiment=described), whole)
    rejects(lambda: tms.outputs(runs, x), "runs", allowed="or pass experiment=, the one that was trained")
    rejects(lambda: tms.to_module(runs.isel(kind=0, seed=0)), "runs")


P_GRID = one_hot(inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.5, 0.1])), batch_size=8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (one_hot(model=tms.Autoencoder(n_features=5, n_hidden=2)), "feature: 5"),
        (one_hot(model=tms.Autoencoder(n_features=4, n_hidden=3)), "hidden: 3"),
        (P_GRID.replace(model=tms.Autoencoder(n_features=4, n_hidden=2, tied=False)), "W_out"),
        (P_GRID.replace(model=tms.Autoencoder(n_features=4, n_hidden=2, bias="both")), "b_hidden"),
        (P_GRID.replace(model=tms.Autoencoder(n_features=4, n_hidden=2, bias="none")), "without b'"),
        (one_hot(), "no axis 'p'"),
        (one_hot(loss=tms.MSE(importance=tms.axis("q", [1.0, 2.0]))), "the axis 'q'"),
        (P_GRID.replace(inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.5, 0.2]))), "0.1"),
        ("one", "'one'"),
        (P_GRID.model, "Autoencoder"),
    ],
)
def test_an_experiment_that_is_not_that_of_the_runs(wrong: Any, said: str) -> None:
    """Named, before a number is computed that would mean nothing."""
    runs = train(P_GRID, seeds=2)
    runs.b[:] = 0.1
    for measure in (tms.variance_explained, tms.sampled_loss, tms.expected_loss):
        with pytest.raises(ValueError, match=r"^experiment must be") as caught:
            measure(runs, experiment=wrong)
        assert said in str(caught.value)
    with pytest.raises(ValueError, match=r"^experiment must be"):
        tms.outputs(runs.isel(p=0), np.eye(4), one_hot(model=tms.Autoencoder(n_features=3, n_hidden=2)))


def test_what_is_no_run() -> None:
    """An array of the runs, a dataset without weights, labels lost."""
    runs = train(P_GRID)
    for wrong in (runs.W, runs.drop_vars("W"), 5, None):
        for function in (tms.variance_explained, tms.experiment_of, tms.to_module, tms.Given.from_runs):
            rejects(lambda f=function, w=wrong: f(w), "runs must be a Dataset with W")
    for wrong in (runs.loss, runs.drop_vars("loss"), 5):
        rejects(lambda w=wrong: tms.best(w), "runs must be a Dataset with loss, diverged")
    rejects(
        lambda: tms.sampled_loss(runs.drop_vars("p")), "experiment must be without axes", allowed="no labels"
    )


def test_models_judged_elsewhere() -> None:
    """On other inputs, stacked along a dimension of one's own, and models of a mixed grid alone."""
    runs = train(P_GRID, seeds=2)
    elsewhere = one_hot(inputs=tms.SparseUniform(feature_probability=0.3), batch_size=8)
    found = tms.sampled_loss(runs.rename(p="trained_at"), samples=64, experiment=elsewhere)
    assert found.dims == ("trained_at", "seed")
    both = xr.concat([runs.isel(p=0), runs.isel(p=1)], "kind")
    np.testing.assert_array_equal(tms.sampled_loss(both, samples=64, experiment=elsewhere), found)
    mixed = one_hot(model=tms.Autoencoder(n_features=4, n_hidden=2, tied=tms.axis("tied", [True, False])))
    grid = train(mixed)
    alone = tms.outputs(grid.sel(tied=True), np.eye(4), mixed.sel(tied=True))
    np.testing.assert_array_equal(alone, tms.outputs(grid, np.eye(4)).sel(tied=True))
    rejects(lambda: tms.outputs(grid.sel(tied=False), np.eye(4), mixed.sel(tied=True)), "without W_out")


def test_a_large_description_is_left_out_of_the_runs() -> None:
    """Its digest tells that there was one; the experiment is passed beside the runs."""
    data = np.random.default_rng(0).random((25_000, 4))
    experiment = one_hot(inputs=tms.Dataset(data=data), batch_size=8)
    runs = train(experiment)
    assert len(runs.attrs["experiment"]) < 100
    rejects(lambda: tms.sampled_loss(runs), "runs", allowed="or pass experiment=, the one that was trained")
    assert tms.sampled_loss(runs, experiment=experiment).shape == (1,)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("bias", ["none", "both"])
def test_module_keeps_the_shape_of_its_input(shape: tuple[int, ...], bias: str) -> None:
    """One vector, none, many, batches of many."""
    given = parameters(4, 2, tied=False, bias=bias)
    module = tms.to_module(made(**given, bias=bias))
    x = np.random.default_rng(3).normal(size=shape)
    output = module(torch.tensor(x)).detach().numpy()
    assert output.shape == shape
    expected = by_numpy(x.reshape(-1, 4), given).reshape(shape)
    np.testing.assert_allclose(output, expected, rtol=EXACT, atol=EXACT)


def test_module_has_the_dtype_of_the_run_and_lives_alone() -> None:
    """Its parameters can be changed, copied and saved, and the run stays what it was."""
    run = train(one_hot(dtype="float32")).isel(seed=0)
    before = run.W.values.copy()
    module = tms.to_module(run)
    assert all(value.dtype == torch.float32 for value in module.parameters())
    assert "n_features=4" in repr(module)
    twin = copy.deepcopy(module)
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
    np.testing.assert_array_equal(run.W, before)
    np.testing.assert_array_equal(twin.W.detach(), before)
    module.load_state_dict(torch.load(io.BytesIO(saved.getvalue())))
    np.testing.assert_array_equal(module.W.detach(), before)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tms.SGD(lr=0.1), lambda w: torch.optim.SGD(w, lr=0.1)),
        (tms.Adam(lr=0.01), lambda w: torch.optim.Adam(w, lr=0.01)),
    ],
    ids=["SGD", "Adam"],
)
def test_training_on_with_torch(tied: bool, ours: Any, theirs: Any) -> None:
    """torch's optimiser on the module goes where our training goes from the same run."""
    model = tms.Autoencoder(n_features=4, n_hidden=2, tied=tied, bias="both")
    experiment = one_hot(model=model, optimizer=ours, init=tms.Normal(scale=0.6, bias_scale=0.1))
    first = train(experiment).isel(seed=0)
    on = train(experiment.replace(init=tms.Given.from_runs(first), steps=20)).isel(seed=0)
    module = tms.to_module(first)
    optimizer = theirs(module.parameters())
    x = torch.eye(4, dtype=torch.float64)
    for _ in range(20):
        optimizer.zero_grad()
        ((module(x) - x) ** 2).mean().backward()
        optimizer.step()
    assert abs(on.W - first.W).max() > 0.01
    for name, value in module.named_parameters():
        np.testing.assert_allclose(value.detach(), on[name], atol=1e-10)


def test_one_model_only() -> None:
    """Several are refused by name; a grid of one is one."""
    runs = train(one_hot(loss=tms.MSE(importance=tms.axis("i", [1.0, 2.0]))), seeds=2)
    rejects(lambda: tms.to_module(runs), "run must be one model")
    rejects(lambda: tms.to_module(runs.isel(seed=0)), "'i'", allowed="select a grid point")
    rejects(lambda: tms.to_module(runs.isel(i=0)), "'seed'", allowed="select a grid point")
    alone = runs.isel(i=[1], seed=[0])
    x = torch.ones(2, 4, dtype=torch.float64)
    assert tms.to_module(alone)(x).equal(tms.to_module(runs.isel(i=1, seed=0))(x))


def test_outputs_of_a_grid_in_any_order() -> None:
    """Activation, tied and bias axes, seeds and selections of them; each model under its own labels."""
    model = tms.Autoencoder(
        n_features=4,
        n_hidden=2,
        tied=tms.axis("tied", [True, False]),
        activation=tms.axis("f", ["linear", "relu", "gelu"]),
        bias=tms.axis("bias", ["none", "both"]),
    )
    runs = train(one_hot(model=model, init=tms.Normal(scale=1.0, bias_scale=1.0)), seeds=[2, 9])
    x = np.random.default_rng(4).normal(size=(3, 4))
    whole = tms.outputs(runs, x)
    assert whole.dims == (*runs.loss.dims, "sample", "feature")
    for coord in runs.loss.dims:
        np.testing.assert_array_equal(whole[coord], runs[coord])
    shuffled = runs.transpose("hidden", "seed", "f", ..., "tied", "feature").isel(seed=[1, 0], f=[2, 0, 1])
    found = tms.outputs(shuffled, x)
    assert found.dims == ("seed", "f", "bias", "tied", "sample", "feature")  # the order of the runs
    xr.testing.assert_equal(found.transpose(*whole.dims).sel(seed=[2, 9], f=runs.f), whole)
    part = runs.sel(f="gelu").isel(seed=slice(1, 2), tied=[1])
    xr.testing.assert_equal(tms.outputs(part, x), whole.sel(f="gelu").isel(seed=slice(1, 2), tied=[1]))
    for tied, f, bias, seed in itertools.product([True, False], ACTIVATIONS, ["none", "both"], [2, 9]):
        one = runs.sel(tied=tied, f=f, bias=bias, seed=seed)
        given = {"W": one.W.values}
        if not tied:
            given["W_out"] = one.W_out.values
        if bias == "both":
            given |= {"b": one.b.values, "b_hidden": one.b_hidden.values}
        chosen = whole.sel(tied=tied, f=f, bias=bias, seed=seed)
        np.testing.assert_allclose(chosen, by_numpy(x, given, f), rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(
    "x", [[1.0, 0.0], [[1.0, 0.0]], [[1.0, 0.0, 0.0, np.nan]], [["a"]], None, np.empty((0, 4)), 1.0], ids=repr
)
def test_wrong_inputs(x: Any) -> None:
    """[sample, n_features] finite numbers."""
    runs = train(one_hot())
    rejects(lambda: tms.outputs(runs, x), "x")


# Variance explained


def uniform(rng: np.random.Generator, p: Any, shape: tuple[int, int]) -> np.ndarray:
    return np.where(rng.random(shape) < p, rng.random(shape), 0.0)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_variance_explained_of_a_data_set(tied: bool, activation: str) -> None:
    """The formula, sample by sample, with targets that are not the inputs."""
    given = parameters(5, 3, tied=tied, bias="both")
    x = np.random.default_rng(5).normal(size=(40, 5))
    given["W"] *= 0.4
    target = by_numpy(x, given, activation) + np.linspace(0.01, 1.5, 5) * np.random.default_rng(6).normal(
        size=x.shape
    )
    run = made(**given, inputs=tms.Dataset(data=x, targets=target), batch_size=None, activation=activation)
    expected = []
    for i in range(5):
        error = sum((target[s, i] - by_numpy(x[[s]], given, activation)[0, i]) ** 2 for s in range(40))
        total = sum((target[s, i] - target[:, i].mean()) ** 2 for s in range(40))
        expected.append(max(0.0, 1 - error / total))
    assert len({round(r, 3) for r in expected}) > 2
    np.testing.assert_allclose(tms.variance_explained(run), expected, rtol=1e-10, atol=1e-10)


def test_a_model_that_gives_everything_back() -> None:
    """1 for each feature that varies, NaN for one that is never active."""
    run = made(np.eye(4), p=np.array([1.0, 0.5, 0.01, 0.0]), batch_size=512)
    assert tms.variance_explained(run).values.tolist()[:3] == [1.0, 1.0, 1.0]
    assert np.isnan(tms.variance_explained(run)[3])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3])
def test_features_that_never_vary(value: float) -> None:
    """NaN, and no rounding error divided by another."""
    data = np.random.default_rng(7).random((37, 3))
    data[:, 1] = value
    run = made(np.eye(3), inputs=tms.Dataset(data=data), batch_size=None)
    explained = tms.variance_explained(run)
    assert np.isnan(explained).values.tolist() == [False, True, False]
    np.testing.assert_allclose(explained[[0, 2]], 1.0, rtol=EXACT)


def test_constant_outputs_explain_nothing() -> None:
    """0 for the best constant up to its sampling error, and 0, not less, for a bad one."""
    p = 0.3
    best = made(np.zeros((3, 2)), p=p, b=np.full(3, p / 2), batch_size=1024)
    assert (tms.variance_explained(best, samples=2**15) < 1e-3).all()
    bad = made(np.zeros((3, 2)), p=p, b=np.full(3, 5.0), batch_size=1024)
    assert (tms.variance_explained(bad) == 0).all()


def test_a_linear_optimum_explains_its_gram_diagonal() -> None:
    """For a projection G and the mean put back, R²_i = G_ii: row i of I − G has length² 1 − G_ii."""
    n, m, p = 6, 2, 0.4
    W = np.linalg.qr(np.random.default_rng(8).normal(size=(n, m)))[0]
    gram = W @ W.T
    run = made(W, b=(np.eye(n) - gram) @ np.full(n, p / 2), p=p, activation="linear", batch_size=2048)
    explained = tms.variance_explained(run, samples=2**18)
    np.testing.assert_allclose(explained, np.diag(gram), atol=0.01)
    assert float(explained.sum()) == pytest.approx(m, abs=0.01)
    # Norms see nothing special in this model: they are those of all n directions.
    assert (tms.feature_norms(run.W) > 0.1).sum() > m


@pytest.mark.parametrize("hidden", [1, 2, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_linear_models_never_explain_more_than_their_dimensions(hidden: int, tied: bool) -> None:
    """Random weights of many sizes, optima among them, features of unlike probability; samples' tolerance."""
    rng = np.random.default_rng(9)
    n, count = 5, 60
    W = rng.normal(size=(count, n, hidden)) * rng.uniform(0.2, 1.2, size=(count, 1, 1))
    W[:20] = np.linalg.qr(W[:20])[0]
    p = np.array([0.9, 0.5, 0.5, 0.2, 0.1])
    read = W if tied else np.linalg.pinv(W).swapaxes(1, 2)
    b = np.einsum("sij,j->si", np.eye(n) - read @ W.swapaxes(1, 2), p / 2)
    runs = made(
        stacked(W, "feature", "hidden"),
        W_out=None if tied else stacked(read, "feature", "hidden"),
        b=stacked(b, "feature"),
        p=p,
        activation="linear",
        batch_size=2048,
        seeds=count,
    )
    total = tms.variance_explained(runs, samples=2**16).sum("feature")
    assert (total <= hidden + 0.03).all()
    assert (total > hidden - 0.3).any()


def test_superposition_explains_more_than_its_dimensions() -> None:
    """An antipodal pair in one dimension, sparse: nearly two features."""
    run = made([[1.0], [-1.0]], p=0.02, batch_size=2048)
    explained = tms.variance_explained(run, samples=2**18)
    assert float(explained.sum()) > 1.9
    # By hand: the error is ∫∫ over both active of (x − (x − y)₊)², that is p² · 1/6 for each feature.
    assert float(explained.mean()) == pytest.approx(1 - 0.02**2 / 6 / (0.02 / 3 - 0.02**2 / 4), abs=0.003)


# The loss


@pytest.mark.parametrize("reduction", ["mean", "feature_sum", "sum"])
@pytest.mark.parametrize("inputs", [tms.SparseUniform(feature_probability=0.3), tms.KSparse(k=2)], ids=repr)
def test_sampled_loss_is_the_loss_of_training(inputs: Any, reduction: str) -> None:
    """On as many samples it is the same number; importance is an axis."""
    importance = tms.axis("i", [np.ones(4), np.array([1.0, 0.5, 0.0, 2.0])], labels=["equal", "unequal"])
    experiment = one_hot(
        inputs=inputs, batch_size=32, loss=tms.MSE(importance=importance, reduction=reduction)
    )
    runs = train(experiment, seeds=3, evaluation_samples=96)
    xr.testing.assert_allclose(tms.sampled_loss(runs, samples=96), runs.loss, rtol=EXACT)
    xr.testing.assert_allclose(tms.sampled_loss(runs, samples=65), runs.loss, rtol=EXACT)  # whole batches
    assert (abs(tms.sampled_loss(runs, samples=32) / runs.loss - 1) > 1e-6).all()


@pytest.mark.parametrize(
    "loss",
    [
        tms.CrossEntropy(),
        tms.CrossEntropy(reduction="sum"),
        tms.MSE(reduction="sum"),
        lambda output, target: (output - target).abs().amax((-2, -1)),
    ],
    ids=["cross-entropy", "its sum", "squared error", "own"],
)
@pytest.mark.parametrize("batch_size", [None, 3])
def test_sampled_loss_of_a_data_set(loss: Any, batch_size: int | None) -> None:
    """Over the whole of it, whatever the batches of training were; losses of other kinds, and one's own."""
    data = np.random.default_rng(10).random((7, 4))
    experiment = one_hot(inputs=tms.Dataset(data=data), batch_size=batch_size, loss=loss)
    runs = train(experiment, seeds=2)
    xr.testing.assert_allclose(tms.sampled_loss(runs, experiment=experiment), runs.loss, rtol=EXACT)
    W, b = runs.W.values[1], runs.b.values[1]
    output = np.maximum(data @ W @ W.T + b, 0)
    if isinstance(loss, tms.CrossEntropy):
        each = -(data * (output - np.log(np.exp(output).sum(1, keepdims=True)))).sum(1)
        expected = each.mean() if loss.reduction == "mean" else each.sum()
    elif isinstance(loss, tms.MSE):
        expected = ((output - data) ** 2).sum()
    else:
        expected = abs(output - data).max()
    assert float(tms.sampled_loss(runs, experiment=experiment)[1]) == pytest.approx(expected, rel=1e-10)


def test_sampled_loss_estimates_the_expected_loss() -> None:
    """Within five standard errors, from the spread of our own samples."""
    given = parameters(4, 2, tied=False, bias="end", seed=11)
    given["W"] *= 0.6
    run = made(**given, p=0.4, batch_size=4096)
    x = uniform(np.random.default_rng(12), 0.4, (2**14, 4))
    each = ((x - by_numpy(x, given)) ** 2).sum(1)
    difference = float(tms.sampled_loss(run, samples=2**18) - tms.expected_loss(run))
    assert abs(difference) < 5 * each.std() / 2**9


def test_measures_of_a_grid_in_any_order() -> None:
    """Sampled measures along tied and activation axes: shuffled, selected and alone, the same numbers."""
    model = tms.Autoencoder(
        n_features=4,
        n_hidden=2,
        tied=tms.axis("tied", [True, False]),
        activation=tms.axis("f", ["linear", "relu"]),
    )
    p = tms.axis("p", [0.5, 0.1])
    runs = train(
        one_hot(model=model, inputs=tms.SparseUniform(feature_probability=p), batch_size=64, steps=20),
        seeds=2,
    )
    for measure in (tms.variance_explained, tms.sampled_loss):
        whole = measure(runs, samples=256)
        order = ("feature", "seed", "p", "hidden", "f", "tied")
        shuffled = runs.isel(p=[1, 0], seed=[1, 0]).transpose(*order, ...)
        found = measure(shuffled, samples=256).isel(p=[1, 0], seed=[1, 0])
        np.testing.assert_allclose(found.transpose(*whole.dims), whole, rtol=EXACT, atol=EXACT)
        for tied, f, p_, seed in itertools.product([True, False], ["linear", "relu"], [0.5, 0.1], [0, 1]):
            labels = {"tied": tied, "f": f, "p": p_, "seed": seed}
            alone = measure(runs.sel(labels), samples=256)
            np.testing.assert_allclose(alone, whole.sel(labels), rtol=EXACT, atol=EXACT)
        best = tms.best(runs)
        found = measure(runs.isel(best), samples=256)
        np.testing.assert_allclose(found, whole.isel(best), rtol=EXACT, atol=EXACT)


def test_many_models_are_evaluated_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many fit at once, the numbers are the same."""
    runs = train(one_hot(inputs=tms.SparseUniform(feature_probability=0.3), batch_size=16), seeds=7)
    x = np.eye(4)
    measures = (
        lambda r: tms.sampled_loss(r, samples=64),
        lambda r: tms.variance_explained(r, samples=64),
        lambda r: tms.outputs(r, x),
        tms.expected_loss,
    )
    at_once = [measure(runs) for measure in measures]
    for models in (1, 3):
        monkeypatch.setattr(tms_module, "_CHUNK", models * 16 * 4)
        for measure, expected in zip(measures, at_once, strict=True):
            xr.testing.assert_allclose(measure(runs), expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(
    "inputs",
    [
        tms.SparseUniform(feature_probability=tms.axis("p", [0.5, 0.1, 0.3])),
        tms.KSparse(k=tms.axis("p", [1, 3, 2])),
    ],
    ids=["uniform", "k-sparse"],
)
def test_draws_are_made_once(inputs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grid points of sparse-uniform inputs share them, and the samples are those of the final loss."""
    loss = tms.axis("l", [tms.MSE(), lambda out, y: abs(out - y).amax((-2, -1))], labels=["mse", "own"])
    experiment = one_hot(inputs=inputs, batch_size=16, loss=loss)
    runs = train(experiment, seeds=2, evaluation_samples=80)
    drawn = []
    inner = _torch_engine.Batches._bits
    monkeypatch.setattr(
        _torch_engine.Batches, "_bits", lambda self, keys, n: drawn.append(len(keys)) or inner(self, keys, n)
    )
    found = tms.sampled_loss(runs, samples=80, experiment=experiment)
    xr.testing.assert_allclose(found, runs.loss, rtol=EXACT)
    assert max(drawn) == 5
    if isinstance(inputs, tms.SparseUniform):
        assert drawn == [5]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e200])
def test_diverged_models(wrong: float) -> None:
    """No warning, nothing explained that is a number, and their neighbours as they were."""
    runs = train(one_hot(inputs=tms.SparseUniform(feature_probability=0.5), batch_size=16), seeds=3)
    before = tms.variance_explained(runs, samples=64)
    runs.W[1] = wrong
    after = tms.variance_explained(runs, samples=64)
    assert np.isnan(after[1]).all()
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    loss = tms.sampled_loss(runs, samples=64)
    assert np.isfinite(loss).values.tolist() == [True, False, True]


@pytest.mark.parametrize("samples", [0, -1, 1.5, "10", None, True])
def test_wrong_number_of_samples(samples: Any) -> None:
    """A whole number, at least one; two for a variance."""
    runs = train(one_hot())
    rejects(lambda: tms.sampled_loss(runs, samples=samples), "samples", samples)
    rejects(lambda: tms.variance_explained(runs, samples=samples), "samples", samples)
    rejects(lambda: tms.variance_explained(runs, samples=1), "samples", 1)
