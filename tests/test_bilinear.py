"""Bilinear models: described, trained, judged, folded, and as matrices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import tms
import tms.plot
from tests import naive
from tests.wrong import NOT_A_WHOLE_NUMBER, rejects
from tms import _torch_engine
from tms.model import BILINEAR_BIASES

EXACT = 1e-12  # float64, relative to the largest entry
N, M, SAMPLES = 4, 2, 3
IMPORTANCE = np.array([1.0, 0.5, 0.25, 2.0])


def experiment(bias: str = "both", n: int = N, m: int = M, **changes: Any) -> tms.Experiment:
    return tms.Experiment(
        **{
            "model": tms.Bilinear(n_features=n, n_hidden=m, bias=bias),
            "inputs": tms.OneHot(),
            "init": tms.Normal(scale=0.8, bias_scale=0.3),
            "optimizer": tms.Adam(lr=0.01),
            "steps": 20,
            "dtype": "float64",
        }
        | changes
    )


def by_numpy(run: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """The formula, one sample and one output at a time."""
    out = np.zeros((len(x), run.sizes["feature"]))
    for s, i in np.ndindex(out.shape):
        h = sum(x[s, j] * run.W.values[j] for j in range(x.shape[1]))
        b = run.b.values[i] if "b" in run else 0.0
        c = run.b_gate.values[i] if "b_gate" in run else 0.0
        out[s, i] = (run.W_out.values[i] @ h + b) * (run.W_gate.values[i] @ h + c)
    return out


# Described.


@pytest.mark.parametrize("size", ["n_features", "n_hidden"])
@given(value=NOT_A_WHOLE_NUMBER | st.integers(max_value=0) | st.integers(min_value=65_537))
def test_wrong_sizes(size: str, value: Any) -> None:
    sizes = {"n_features": 3, "n_hidden": 2, size: value}
    rejects(lambda: tms.Bilinear(**sizes), f"Bilinear.{size}", value, "1 <= number <= 65536")


@given(value=st.text() | st.sampled_from([None, 1, True, "end", "hidden", "Both", b"both", ["both"]]))
def test_wrong_biases(value: Any) -> None:
    if value not in BILINEAR_BIASES:
        rejects(lambda: experiment(value), "Bilinear.bias", value, "one of 'both', 'one', 'none'")


@pytest.mark.parametrize("name", ["n_features", "n_hidden", "bias"])
def test_nothing_is_an_axis(name: str) -> None:
    """Models with other biases share a grid as values of an axis."""
    rejects(
        lambda: tms.Bilinear(**{"n_features": 3, "n_hidden": 2, name: tms.axis("a", [1, 2])}),
        f"Bilinear.{name}",
        allowed="one value",
    )
    with pytest.raises(TypeError, match="activation"):
        tms.Bilinear(n_features=3, n_hidden=2, activation="relu")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("start", "bias", "name", "allowed"),
    [
        ({"W_out": None}, "both", "Given.W_out", "an array, since the model is bilinear"),
        ({"W_gate": None}, "both", "Given.W_gate", "an array, since the model is bilinear"),
        ({"W_gate": np.ones((M, N))}, "both", "Given.W_gate", "of shape"),
        ({"b_gate": np.ones(M)}, "both", "Given.b_gate", "of shape"),
        ({"b_gate": np.ones(N)}, "one", "Given.b_gate", "None, since Bilinear"),
        ({"b": np.ones(N)}, "none", "Given.b", "None, since Bilinear"),
        ({"b_hidden": np.ones(M)}, "both", "Given.b_hidden", "None, since Bilinear"),
    ],
)
def test_starts_that_do_not_fit(start: Any, bias: str, name: str, allowed: str) -> None:
    whole = {name: np.ones((N, M)) for name in ("W", "W_out", "W_gate")}
    rejects(lambda: experiment(bias, init=tms.Given(**whole | start)), name, allowed=allowed)


def test_an_autoencoder_has_no_gate() -> None:
    start = tms.Given(W=np.ones((N, M)), W_gate=np.ones((N, M)))
    model = tms.Autoencoder(n_features=N, n_hidden=M)
    rejects(lambda: experiment(model=model, init=start), "Given.W_gate", allowed="None, since Autoencoder")


# Trained.


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
@pytest.mark.parametrize(
    ("loss", "reduction"),
    [*(("mse", kind) for kind in tms.loss.REDUCTIONS), ("cross-entropy", "mean"), ("cross-entropy", "sum")],
)
def test_gradients(bias: str, loss: str, reduction: str) -> None:
    """Against explicit loops and against central differences; two models at once."""
    made = experiment(bias)
    importance = torch.from_numpy(np.tile(IMPORTANCE, (2, 1))) if loss == "mse" else None
    kind = tms.MSE(reduction=reduction) if loss == "mse" else tms.CrossEntropy(reduction=reduction)
    x, y = np.random.default_rng(1).uniform(size=(2, 2, SAMPLES, N))
    runs = tms.train(made, seeds=2, engine="torch")
    start = {name: runs[name].values for name in made.model.parameter_names}

    def losses(parameters: Any, x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        output = _torch_engine.forward(made, parameters, torch.from_numpy(x))
        return _torch_engine.loss_function(kind, importance)(output, torch.from_numpy(y))

    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    got_loss = losses(parameters, x, y)
    got = dict(zip(parameters, torch.autograd.grad(got_loss.sum(), [*parameters.values()]), strict=True))
    for model in range(2):
        weights = {name: value[model] for name, value in start.items()}
        value, expected = naive.bilinear_loss_and_gradients(
            weights, x[model], y[model], loss=loss, reduction=reduction, importance=IMPORTANCE
        )
        assert float(got_loss[model].detach()) == pytest.approx(value, rel=1e-12)
        assert set(expected) == set(start)
        for name, gradient in expected.items():
            largest = np.abs(gradient).max()
            assert np.abs(got[name][model].numpy() - gradient).max() <= 1e-10 * largest
    h = 1e-5
    for name, value in start.items():
        for place in np.ndindex(value.shape):
            at = []
            for sign in (h, -h):
                moved = {key: torch.from_numpy(v.copy()) for key, v in start.items()}
                moved[name][place] += sign
                at.append(float(losses(moved, x, y).sum()))
            exact = float(got[name][place])
            assert (at[0] - at[1]) / (2 * h) == pytest.approx(exact, rel=1e-6, abs=1e-7)


def test_initial_weights() -> None:
    """Xavier's normal for all weights, each from a stream of its own; biases at zero; W that of any model."""
    n, m = 60, 40
    plain = {"init": tms.XavierNormal(), "steps": 1}
    first = tms.train(experiment(n=n, m=m, **plain), snapshot_steps=[0], engine="torch").isel(
        seed=0, snapshot_step=0
    )
    weights = [first[f"{name}_snapshot"].values.ravel() for name in ("W", "W_out", "W_gate")]
    for values in weights:
        assert values.std() == pytest.approx(np.sqrt(2 / (n + m)), rel=0.05)
        assert abs(values.mean()) < 0.01
    for a, b in itertools.combinations(weights, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.08
    assert not first.b_snapshot.any()
    assert not first.b_gate_snapshot.any()
    other = experiment(n=n, m=m, model=tms.Autoencoder(n_features=n, n_hidden=m, tied=False), **plain)
    same = tms.train(other, snapshot_steps=[0], engine="torch")
    for name in ("W_snapshot", "W_out_snapshot"):
        np.testing.assert_array_equal(same[name].values[0, 0], first[name].values)


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_it_learns(engine: str) -> None:
    """As many dimensions as features: one-hot inputs come out as they are."""
    many = experiment(m=N, steps=4000, loss=tms.MSE(reduction="sum"))
    runs = tms.train(many, seeds=3, engine=engine)
    assert float(runs.loss.max()) < 1e-4
    assert runs.attrs["engine"] == engine
    assert tms.experiment_of(runs) == many


MIXED = experiment(
    model=tms.axis(
        "model",
        [
            tms.Autoencoder(n_features=N, n_hidden=M),
            *(tms.Bilinear(n_features=N, n_hidden=M, bias=bias) for bias in BILINEAR_BIASES),
        ],
        labels=["relu", *BILINEAR_BIASES],
    )
)


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_one_grid_with_autoencoders(engine: str) -> None:
    """Every model of a mixed grid is what it would be alone, and so is what comes out of it."""
    runs = tms.train(MIXED, seeds=2, engine=engine)
    x = np.random.default_rng(3).normal(size=(5, N))
    for label, one in zip(MIXED.model.labels, MIXED.model.values, strict=True):
        alone = tms.train(MIXED.sel(model=label), seeds=2, engine=engine)
        selected = runs.sel(model=label)
        assert tms.experiment_of(selected) == MIXED.sel(model=label)
        for name in one.parameter_names:
            np.testing.assert_allclose(selected[name], alone[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            tms.outputs(runs, x).sel(model=label), tms.outputs(alone, x), rtol=1e-8, atol=1e-11
        )
    assert not runs.W_gate.sel(model="relu").any()
    assert not runs.b_gate.sel(model=["relu", "one", "none"]).any()
    assert not runs.b.sel(model="none").any()
    on = tms.train(MIXED.replace(init=tms.Given.from_runs(runs)), seeds=2, snapshot_steps=[0], engine=engine)
    for name in ("W", "W_out", "W_gate", "b", "b_gate"):
        np.testing.assert_array_equal(on[f"{name}_snapshot"].isel(snapshot_step=0), runs[name])


# Judged.


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
def test_outputs_module_and_formula_agree(bias: str) -> None:
    run = tms.train(experiment(bias), engine="torch").isel(seed=0)
    x = np.random.default_rng(4).normal(size=(6, N))
    expected = by_numpy(run, x)
    np.testing.assert_allclose(tms.outputs(run, x), expected, rtol=EXACT, atol=EXACT)
    module = tms.to_module(run)
    assert set(dict(module.named_parameters())) == set(tms.experiment_of(run).model.parameter_names)
    np.testing.assert_allclose(module(torch.tensor(x)).detach(), expected, rtol=EXACT, atol=EXACT)
    assert repr(tms.experiment_of(run).model) in repr(module)


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
def test_losses_of_one_hot_inputs_are_exact(bias: str) -> None:
    loss = tms.MSE(importance=IMPORTANCE, reduction="sum")
    runs = tms.train(experiment(bias, loss=loss), seeds=3, engine="torch")
    for seed in range(3):
        error = by_numpy(runs.isel(seed=seed), np.eye(N)) - np.eye(N)
        expected = (IMPORTANCE * error**2).sum()
        for measure in (tms.expected_loss, tms.sampled_loss):
            assert float(measure(runs)[seed]) == pytest.approx(expected, rel=EXACT)
        assert float(runs.loss[seed]) == pytest.approx(expected, rel=EXACT)
        explained = np.clip(1 - (error**2).sum(0) / ((np.eye(N) - 1 / N) ** 2).sum(0), 0, None)
        np.testing.assert_allclose(tms.variance_explained(runs)[seed], explained, rtol=1e-10, atol=EXACT)


def test_what_knows_no_bilinear_model_says_so() -> None:
    sparse = {"inputs": tms.SparseUniform(feature_probability=0.3), "batch_size": 8}
    runs = tms.train(experiment(**sparse), seeds=2)
    assert tms.sampled_loss(runs).shape == (2,)
    for draw in (tms.plot.gram, tms.plot.features):
        rejects(
            lambda draw=draw: draw(runs),
            "runs",
            "bilinear models, which multiply two reads",
            "tms.interactions",
        )
    mixed = tms.train(MIXED)
    tms.plot.gram(mixed.sel(model="relu"))
    assert len(tms.plot.directions(runs).axes[0].lines) == 1 + 3 * 2 * N
    pytest.importorskip("anywidget")
    rejects(lambda: tms.Lab().load(runs.isel(seed=[0])), "runs", allowed="of an Autoencoder")


# Folded.


def grid(bias: str = "both", dtype: str = "float64") -> xr.Dataset:
    """Two axes and seeds, trained for a while; the dimensions of one array in another order."""
    made = experiment(
        bias,
        n=5,
        m=3,
        optimizer=tms.Adam(lr=tms.axis("lr", [0.01, 0.1])),
        loss=tms.MSE(reduction=tms.axis("reduction", ["sum", "mean"])),
        dtype=dtype,
    )
    runs = tms.train(made, seeds=[4, 2, 9])
    return runs.assign(W_gate=runs.W_gate.transpose("feature", "lr", "hidden", "seed", "reduction"))


def through(twin: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """What bias-free models make of the inputs (x, 1): [..., sample, feature]."""
    h = np.concatenate([x, np.ones((len(x), 1))], 1) @ twin.W.values
    read, gate = (h @ np.swapaxes(twin[name].values, -1, -2) for name in ("W_out", "W_gate"))
    return read * gate


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
def test_the_bias_free_twin_gives_the_same_outputs(bias: str) -> None:
    """At every grid point, for inputs of any sign; and it is a bias-free bilinear model to `tms` itself."""
    runs = grid(bias)
    x = np.random.default_rng(6).normal(size=(50, 5)) * 3
    expected = tms.outputs(runs, x)
    twin = tms.fold(runs)
    assert twin.W.dims == ("reduction", "lr", "seed", "coordinate", "hidden")
    assert twin.W_out.dims == twin.W_gate.dims == ("reduction", "lr", "seed", "feature", "hidden")
    assert dict(twin.sizes) == {
        "reduction": 2,
        "lr": 2,
        "seed": 3,
        "coordinate": 6,
        "hidden": 4,
        "feature": 5,
    }
    assert twin.coordinate.values.tolist() == ["x0", "x1", "x2", "x3", "x4", "1"]
    assert np.abs(through(twin, x) - expected.values).max() <= EXACT * np.abs(expected.values).max()
    one = twin.isel(reduction=1, lr=0, seed=2)
    assert by_numpy(one, np.c_[x, np.ones(50)]) == pytest.approx(
        expected.isel(reduction=1, lr=0, seed=2).values, rel=1e-9
    )


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unfold_is_the_exact_inverse(bias: str, dtype: str) -> None:
    """Bit for bit, labels included; and the other way round."""
    runs = grid(bias, dtype)
    twin = tms.fold(runs)
    again = tms.unfold(twin)
    assert list(again.data_vars) == ["W", "W_out", "W_gate", "b", "b_gate"]
    for name in again:
        if name in runs:
            assert again[name].dtype == runs[name].dtype == dtype
            xr.testing.assert_identical(again[name], runs[name].transpose(*again[name].dims))
        else:
            assert not again[name].any()
    xr.testing.assert_identical(tms.fold(again), twin)


def test_selections_and_snapshots_fold() -> None:
    """Any dimensions, none, and those that have been selected away, which stay as coordinates."""
    runs = grid()
    run = runs.sel(lr=0.1, reduction="sum", seed=9)
    xr.testing.assert_identical(tms.fold(run), tms.fold(runs).sel(lr=0.1, reduction="sum", seed=9))
    assert float(tms.fold(run).lr) == 0.1
    names = ("W", "W_out", "W_gate", "b", "b_gate")
    shots = xr.Dataset({name: runs[f"{name}_snapshot"] for name in names})
    assert tms.interactions(shots).dims[:4] == ("reduction", "lr", "seed", "snapshot_step")
    last = tms.fold(shots).isel(snapshot_step=-1, drop=True)
    xr.testing.assert_identical(last, tms.fold(runs))
    diverged = runs.copy(deep=True)
    diverged.W_out[0, 0, 0, 0, 0] = np.nan
    xr.testing.assert_identical(tms.unfold(tms.fold(diverged)).W_out, diverged.W_out)
    assert int(np.isnan(tms.interactions(diverged)).any(["coordinate", "other_coordinate"]).sum()) == 1


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ((0, 1, 2, 5, 3), 2.0, "W[reduction='sum', lr=0.1, seed=9, coordinate='1', hidden=3] = 2.0"),
        ((1, 0, 0, 5, 3), float("nan"), "coordinate='1', hidden=3] = nan"),
        ((1, 0, 0, 5, 3), np.nextafter(1.0, 2.0), "coordinate='1', hidden=3] = 1.0000000000000002"),
        ((1, 0, 1, 2, 3), 1e-300, "W[reduction='mean', lr=0.01, seed=2, coordinate='x2', hidden=3] = 1e-300"),
        ((0, 0, 0, 5, 1), -0.5, "coordinate='1', hidden=1] = -0.5"),
        (
            (0, 0, slice(None), 5, slice(0, 2)),
            7.0,
            "6 other entries: W[reduction='sum', lr=0.01, seed=4, coordinate='1', hidden=0] = 7.0; W[",
        ),
    ],
)
def test_what_is_not_of_the_folded_form(place: Any, value: float, said: str) -> None:
    """Which entries are not as they have to be."""
    twin = tms.fold(grid())
    twin.W[place] = value
    rejects(lambda: tms.unfold(twin), "folded.W must be of the form [[P, 0], [0, 1]]", allowed=said)


def test_what_cannot_be_folded() -> None:
    runs = grid()
    plain = tms.train(experiment(model=tms.Autoencoder(n_features=N, n_hidden=M)))
    mixed = tms.train(MIXED)
    for function in (tms.fold, tms.interactions):
        for wrong in (plain, runs.drop_vars("W_gate"), runs.W, 3, None):
            rejects(lambda f=function, w=wrong: f(w), "runs", allowed="bilinear models from tms.train")
        moved = runs.assign(b=runs.b.isel(seed=0, drop=True))
        rejects(lambda f=function, w=moved: f(w), "runs.b must be of dimensions", allowed="'seed'")
        rejects(lambda f=function: f(mixed), "runs must be of bilinear models alone", allowed="Autoencoder")
        for some in (mixed.sel(model=["both", "none"]), mixed.sel(model="one")):
            assert function(some).dims
    twin = tms.fold(runs)
    for wrong in (runs.W, twin.drop_vars("W_out"), None):
        rejects(lambda w=wrong: tms.unfold(w), "folded", allowed="what tms.fold returned")
    rejects(lambda: tms.unfold(runs), "folded.W must be of dimensions", allowed="'coordinate'")
    rejects(lambda: tms.unfold(twin.isel(coordinate=slice(3, None))), "folded", allowed="one coordinate more")
    rejects(lambda: tms.unfold(twin.isel(hidden=[3])), "folded", allowed="at least 2 hidden dimensions")


# As matrices.


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
def test_interactions_are_the_outputs(bias: str) -> None:
    """x̂_i = (x, 1)ᵀ B_i (x, 1) with B_i symmetric, at every grid point."""
    runs = grid(bias)
    B = tms.interactions(runs)
    assert B.dims == ("reduction", "lr", "seed", "output", "coordinate", "other_coordinate")
    assert B.shape == (2, 2, 3, 5, 6, 6)
    assert B.dtype == np.float64
    assert (
        B.coordinate.values.tolist()
        == B.other_coordinate.values.tolist()
        == [*(f"x{i}" for i in range(5)), "1"]
    )
    np.testing.assert_array_equal(B, np.swapaxes(B.values, -1, -2))
    x = np.random.default_rng(7).normal(size=(40, 5))
    whole = np.c_[x, np.ones(40)]
    found = np.einsum("sj,...ijk,sk->...si", whole, B.values, whole)
    expected = tms.outputs(runs, x).values
    assert np.abs(found - expected).max() <= EXACT * np.abs(expected).max()
    if bias == "none":
        assert not B.sel(coordinate="1").any()


@pytest.mark.parametrize("bias", BILINEAR_BIASES)
def test_interactions_are_the_second_derivatives(bias: str) -> None:
    """Half of them, and with the constant half the first; the rest is what comes out for 0."""
    run = grid(bias).isel(reduction=0, lr=1, seed=0)
    B = tms.interactions(run).values
    module, zero = tms.to_module(run), torch.zeros(5, dtype=torch.float64)
    for i in range(5):
        output = lambda x, i=i: module(x)[i]  # noqa: E731
        largest = np.abs(B[i]).max()
        second = torch.autograd.functional.hessian(output, zero).numpy() / 2
        first = torch.autograd.functional.jacobian(output, zero).numpy() / 2
        assert np.abs(B[i, :5, :5] - second).max() <= EXACT * largest
        assert np.abs(B[i, 5, :5] - first).max() <= EXACT * largest
        assert abs(B[i, 5, 5] - float(output(zero).detach())) <= EXACT * largest


def test_interactions_know_only_what_comes_out() -> None:
    """Read and gate exchanged, scaled against each other, the hidden layer in another basis: the same."""
    runs = grid()
    B = tms.interactions(runs)
    swapped = runs.rename(W_out="W_gate", W_gate="W_out", b="b_gate", b_gate="b")
    np.testing.assert_allclose(tms.interactions(swapped).transpose(*B.dims), B, rtol=EXACT)
    t = 3.0
    scaled = runs.assign(W_out=runs.W_out * t, b=runs.b * t, W_gate=runs.W_gate / t, b_gate=runs.b_gate / t)
    np.testing.assert_allclose(tms.interactions(scaled), B, rtol=1e-10, atol=1e-14)
    basis = np.random.default_rng(8).normal(size=(3, 3))
    turn = lambda W, T: xr.dot(W, xr.DataArray(T, dims=("hidden", "to")), dim="hidden").rename(to="hidden")  # noqa: E731
    inverse = np.linalg.inv(basis).T
    moved = runs.assign(
        W=turn(runs.W, basis), W_out=turn(runs.W_out, inverse), W_gate=turn(runs.W_gate, inverse)
    )
    np.testing.assert_allclose(tms.interactions(moved), B, rtol=1e-9, atol=1e-11)


def test_eigenvalues_are_those_of_two_vectors() -> None:
    """Rank 2 at most: (r·s ± ‖r‖‖s‖)/2, along the sum and the difference of their unit vectors."""
    runs = grid()
    twin = tms.fold(runs)
    B = tms.interactions(runs).values
    r, s = (twin[name].values @ np.swapaxes(twin.W.values, -1, -2) for name in ("W_out", "W_gate"))
    lengths = np.linalg.norm(r, axis=-1) * np.linalg.norm(s, axis=-1)
    along = (r * s).sum(-1)
    values = np.linalg.eigvalsh(B)
    np.testing.assert_allclose(values[..., -1], (along + lengths) / 2, rtol=1e-9, atol=EXACT)
    np.testing.assert_allclose(values[..., 0], (along - lengths) / 2, rtol=1e-9, atol=EXACT)
    np.testing.assert_allclose(values[..., 1:-1], 0.0, atol=EXACT * np.abs(values).max())
    unit = [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (r, s)]
    for vector, value in ((unit[0] + unit[1], values[..., -1:]), (unit[0] - unit[1], values[..., :1])):
        image = (B @ vector[..., None])[..., 0]
        np.testing.assert_allclose(image, value * vector, rtol=1e-9, atol=1e-11)
