"""Training: a grid is the models that it consists of, and each has what its description says."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import tms
from tests.wrong import rejects
from tms import _torch_engine

ALONE = 1e-8  # a model alone and within a grid, relative, float64, after 100 steps


def experiment(**changes: Any) -> tms.Experiment:
    return tms.Experiment(
        **{
            "model": tms.Autoencoder(n_features=4, n_hidden=2),
            "inputs": tms.SparseUniform(feature_probability=0.4),
            "optimizer": tms.Adam(lr=0.01),
            "steps": 100,
            "batch_size": 16,
            "dtype": "float64",
        }
        | changes
    )


@pytest.fixture(autouse=True, params=["torch", "auto"])
def engine(request: pytest.FixtureRequest) -> None:
    """Every test here holds for every engine."""
    DEFAULTS["engine"] = request.param


DEFAULTS: dict[str, Any] = {"evaluation_samples": 64}


def train(made: tms.Experiment, **settings: Any) -> xr.Dataset:
    loss_steps = sorted({0, made.steps // 2, made.steps})
    return tms.train(made, **DEFAULTS | {"loss_steps": loss_steps} | settings)


def assert_close(a: xr.Dataset, b: xr.Dataset, tolerance: float = ALONE) -> None:
    """Every array, relative to its largest entry."""
    assert set(a.data_vars) == set(b.data_vars)
    for name in a.data_vars:
        x, y = a[name], b[name].transpose(*a[name].dims)
        assert x.dtype == y.dtype
        x, y = x.values.astype(float), y.values.astype(float)
        assert np.abs(x - y).max(initial=0) <= tolerance * np.abs(y).max(initial=0), name


model = tms.Autoencoder(n_features=4, n_hidden=2)
GRIDS = {
    "numbers": {
        "inputs": tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1])),
        "optimizer": tms.Adam(lr=tms.axis("lr", [0.01, 0.03])),
        "loss": tms.MSE(
            importance=tms.axis("importance", [np.ones(4), 0.7 ** np.arange(4)], labels=["flat", "steep"])
        ),
        "init": tms.XavierNormal(gain=tms.axis("gain", [0.5, 1.0])),
    },
    "per feature": {
        "inputs": tms.SparseUniform(
            feature_probability=tms.axis("p", [[0.1, 0.2, 0.3, 1.0], 0.4], labels=["a", "b"])
        ),
    },
    "optimiser": {
        "optimizer": tms.axis("o", [tms.SGD(lr=0.1, momentum=0.5), tms.Adam(lr=0.01), tms.AdamW()])
    },
    "schedule": {
        "optimizer": tms.Adam(lr=tms.axis("lr", [0.01, tms.Linear(start=0.02), tms.Cosine(start=0.01)]))
    },
    "schedule's numbers": {
        "optimizer": tms.SGD(
            lr=tms.WarmupCosine(
                initial_lr=0.0, max_lr=tms.axis("lr", [0.1, 0.2]), final_lr=0.0, warmup_frac=0.1
            ),
            momentum=tms.axis("momentum", [0.0, 0.9]),
        )
    },
    "activation": {
        "model": model.replace(
            activation=tms.axis("act", ["linear", "relu", "gelu"]),
            hidden_activation=tms.axis("hidden_act", ["linear", "relu"]),
        )
    },
    "tied and bias": {
        "model": model.replace(
            tied=tms.axis("tied", [True, False]), bias=tms.axis("bias", ["none", "hidden", "end", "both"])
        ),
        "init": tms.XavierNormal(bias_scale=0.1),
    },
    "batch size": {"batch_size": tms.axis("batch", [3, 16])},
    "model": {
        "model": tms.axis(
            "model", [model, model.replace(bias="none", activation="linear")], labels=["x", "y"]
        )
    },
    "inputs": {"inputs": tms.axis("x", [tms.KSparse(k=1), tms.KSparse(k=2, values="one")])},
    "k": {"inputs": tms.KSparse(k=tms.axis("k", [1, 3]))},
    "loss": {"loss": tms.axis("l", [tms.MSE(), tms.MSE(reduction="feature_sum"), tms.CrossEntropy()])},
    "init": {"init": tms.axis("i", [tms.Normal(scale=0.1), tms.XavierNormal()])},
    "data": {
        "inputs": tms.Dataset(data=tms.axis("d", [np.eye(4), np.tri(6, 4)], labels=["one-hot", "tri"])),
        "batch_size": 3,
    },
    "two kinds": {
        "model": model.replace(activation=tms.axis("act", ["linear", "relu"])),
        "inputs": tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1])),
    },
}


@pytest.mark.parametrize("name", list(GRIDS))
def test_alone_and_within_a_grid(name: str) -> None:
    """Every grid point trained alone gives what it gives within the grid, all arrays."""
    whole = experiment(**GRIDS[name])
    runs = train(whole, seeds=[3, 0])
    assert dict(runs.loss.sizes) == {**whole.shape, "seed": 2}
    for position in itertools.product(*(range(size) for size in whole.shape.values())):
        indices = dict(zip(whole.shape, position, strict=True))
        point = runs.isel(indices)
        assert tms.experiment_of(point) == whole.isel(**indices)
        alone = train(whole.isel(**indices), seeds=[3, 0])
        shared = [variable for variable in point.data_vars if variable in alone]
        assert_close(alone[shared], point.drop_vars([*whole.axes])[shared])
        for variable in set(point.data_vars) - set(alone.data_vars):  # this model has no such parameter
            if variable.startswith("W_out"):
                assert point[variable].identical(point[variable.replace("_out", "")].rename(variable))
            else:
                assert (point[variable] == 0).all()


def test_biases_begin_at_zero() -> None:
    """And not at minus zero, which a scale of 0 times a negative number is."""
    start = train(experiment(), snapshot_steps=[0], seeds=3).b_snapshot
    assert not np.signbit(start).any()


def test_going_on_from_a_run() -> None:
    """A seed draws its first batches again; under another label it draws others, from the same start."""
    first = train(experiment(), seeds=2)
    going = experiment(init=tms.Given.from_runs(first))
    again = train(going, seeds=2, loss_steps=[0])
    other = first.assign_coords(seed=first.seed + 10)
    fresh = train(experiment(init=tms.Given.from_runs(other)), seeds=[10, 11], loss_steps=[0])
    assert (again.loss_curve.values != fresh.loss_curve.values).all()
    rejects(lambda: train(going, seeds=3), "seeds")
    grid = train(experiment(inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.4, 0.2]))))
    rejects(lambda: experiment(init=tms.Given.from_runs(grid)), "Given.W", allowed="select p from the runs")


def test_subsets_of_seeds() -> None:
    """A seed gives the same alone, in company and in another order."""
    runs = train(experiment(), seeds=[5, 1, 8])
    for seeds in ([1], [8, 5], np.array([1, 8])):
        assert_close(train(experiment(), seeds=seeds), runs.sel(seed=seeds))
    assert_close(train(experiment(), seeds=2), train(experiment(), seeds=[0, 1]), 0)
    assert float(abs(runs.W.sel(seed=1) - runs.W.sel(seed=8)).max()) > 0.1


@pytest.mark.parametrize(
    "inputs",
    [
        tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1, 0.5])),
        tms.OneHot(),
        tms.Dataset(data=np.eye(4)),
    ],
)
def test_in_chunks(inputs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid that does not fit at once is cut, also in the middle of a grid point's seeds."""
    made = experiment(inputs=inputs, batch_size=16 if inputs.sampled else None)
    whole = train(made, seeds=5, engine="torch")
    calls = []
    inner = _torch_engine._train
    monkeypatch.setattr(
        _torch_engine,
        "_train",
        lambda job, models, starts: calls.append(models) or inner(job, models, starts),
    )
    monkeypatch.setattr(_torch_engine, "_CHUNK", 2 * 16 if not inputs.sampled else 2 * 64)
    assert_close(train(made, seeds=5, engine="torch"), whole)
    assert len(calls) > 1


def test_evaluation_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set larger than a batch of it is judged by few models at once, each with its own importance."""
    importance = tms.axis("importance", [np.full(4, 1.0), np.arange(4.0), np.full(4, 3.0)], labels=[1, 2, 3])
    data = np.random.default_rng(1).uniform(size=(12, 4))
    made = experiment(inputs=tms.Dataset(data=data), batch_size=2, loss=tms.MSE(importance=importance))
    whole = train(made, seeds=2, engine="torch")
    monkeypatch.setattr(
        _torch_engine, "_CHUNK", 2 * 4 * 6
    )  # all six train at once, and are judged one by one
    assert_close(train(made, seeds=2, engine="torch"), whole)


def test_permuted_features() -> None:
    """Other names for the features: permuted data, weights and importance give the permuted result."""
    rng = np.random.default_rng(0)
    order = np.array([2, 0, 3, 1])
    data, W, b, importance = (
        rng.uniform(size=(9, 4)),
        rng.normal(size=(4, 2)),
        rng.normal(size=4) / 9,
        rng.uniform(size=4),
    )

    def run(o: np.ndarray) -> xr.Dataset:
        return train(
            experiment(
                inputs=tms.Dataset(data=data[:, o]),
                batch_size=4,
                init=tms.Given(W=W[o], b=b[o]),
                loss=tms.MSE(importance=importance[o]),
            )
        )

    plain, permuted = run(np.arange(4)), run(order)
    assert float(abs(plain.W - W).max()) > 0.05
    assert_close(permuted, plain.isel(feature=order))


@pytest.mark.parametrize("tied", [True, False])
def test_rotated_hidden_space(tied: bool) -> None:
    """A linear hidden layer has no preferred axes, and neither has SGD: rotated starts give rotated results.

    Adam divides each entry by its own size and does prefer the axes; this is shown too.
    """
    rng = np.random.default_rng(0)
    W, W_out = rng.normal(size=(2, 4, 2)) / 2
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def run(matrix: np.ndarray, optimizer: Any) -> np.ndarray:
        starts = {"W": W @ matrix} if tied else {"W": W @ matrix, "W_out": W_out @ matrix}
        made = experiment(model=model.replace(tied=tied), init=tms.Given(**starts), optimizer=optimizer)
        return train(made).W.values[0]

    sgd, adam = tms.SGD(lr=0.3, momentum=0.5), tms.Adam(lr=0.03)
    np.testing.assert_allclose(run(turn, sgd), run(np.eye(2), sgd) @ turn, atol=1e-10)
    assert np.abs(run(turn, adam) - run(np.eye(2), adam) @ turn).max() > 1e-3


# What is recorded.


def test_snapshots_are_shorter_runs() -> None:
    """At a constant rate a snapshot at s is the result of s steps; the first is the start."""
    runs = train(experiment(steps=20), seeds=2, snapshot_steps=[0, 1, 7, 20])
    for s in (1, 7, 20):
        short = train(experiment(steps=s), seeds=2, loss_steps=[0])
        for name in ("W", "b"):
            np.testing.assert_array_equal(runs[f"{name}_snapshot"].sel(snapshot_step=s), short[name])
    still = train(experiment(steps=1, optimizer=tms.SGD(lr=0.0)), seeds=2, loss_steps=[0])
    np.testing.assert_array_equal(runs.W_snapshot.sel(snapshot_step=0), still.W)


def test_the_loss_curve() -> None:
    """At s: the loss of the weights after s updates on the batch of step s, by hand."""
    made = experiment(steps=12, loss=tms.MSE(importance=[1.0, 0.5, 2.0, 0.1]))
    runs = train(made, seeds=[4], loss_steps=range(13), snapshot_steps=range(13))
    job = tms._engine.Job(made, np.array([4]), *2 * [np.empty(0, int)], 1, "cpu", lambda _: None)
    batches = _torch_engine.Batches(job, slice(None), torch.float64, torch.device("cpu"))
    for s in range(13):
        x = batches(s)[0][0].numpy()
        W, b = runs.W_snapshot.values[0, s], runs.b_snapshot.values[0, s]
        expected = (np.array([1.0, 0.5, 2.0, 0.1]) * (x - np.maximum(x @ W @ W.T + b, 0)) ** 2).mean()
        assert float(runs.loss_curve.sel(loss_step=s)[0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "feature_sum", "sum"])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_the_final_loss_of_data_is_exact(reduction: str, batch_size: int | None) -> None:
    """On all samples at once, whatever the batches were."""
    data = np.random.default_rng(3).uniform(size=(7, 4))
    targets = data[:, ::-1].copy()
    made = experiment(
        inputs=tms.Dataset(data=data, targets=targets),
        batch_size=batch_size,
        loss=tms.MSE(reduction=reduction),
    )
    run = train(made).isel(seed=0)
    W, b = run.W.values, run.b.values
    total = ((targets - np.maximum(data @ W @ W.T + b, 0)) ** 2).sum()
    assert float(run.loss) == pytest.approx(
        total / {"mean": 28, "feature_sum": 7, "sum": 1}[reduction], rel=1e-12
    )


def test_the_final_loss_of_one_hot_inputs_is_exact() -> None:
    """Against the n inputs one by one."""
    run = train(experiment(inputs=tms.OneHot(), batch_size=None, loss=tms.MSE(reduction="sum"))).isel(seed=0)
    W, b = run.W.values, run.b.values
    total = sum(((e - np.maximum(W @ (W.T @ e) + b, 0)) ** 2).sum() for e in np.eye(4))
    assert float(run.loss) == pytest.approx(total, rel=1e-12)


def test_the_final_loss_of_sampled_inputs() -> None:
    """An empty model's loss is E x² = p / 3, within the error of so many samples."""
    nothing = tms.Given(W=np.zeros((4, 2)))
    made = experiment(init=nothing, optimizer=tms.SGD(lr=0.0), steps=1)
    p, count = 0.4, 40_000
    runs = train(made, seeds=2, evaluation_samples=count // 4)
    spread = np.sqrt((p / 5 - p**2 / 9) / count)
    np.testing.assert_allclose(runs.loss, p / 3, atol=4.5 * spread)
    assert runs.loss.values[0] == runs.loss.values[1]


def test_training_lowers_the_loss() -> None:
    """More than enough dimensions and a linear model: the identity is found."""
    made = experiment(
        model=tms.Autoencoder(n_features=3, n_hidden=3, activation="linear"),
        optimizer=tms.Adam(lr=0.03),
        steps=1500,
    )
    run = train(made, loss_steps=4).isel(seed=0)
    np.testing.assert_allclose(run.W.values @ run.W.values.T, np.eye(3), atol=1e-2)
    assert float(run.loss) < 1e-4


def test_names_and_types() -> None:
    """float32 by default; coordinates are labels, seeds and steps."""
    made = experiment(
        dtype="float32",
        model=model.replace(bias="both", tied=False),
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.5])),
        steps=30,
    )
    assert tms.Experiment(model=model, inputs=tms.OneHot(), steps=1).dtype == "float32"
    runs = train(made, seeds=[7, 9], loss_steps=5, snapshot_steps=[0, 30], evaluation_samples=16)
    outer = ("p", "seed")
    shapes = {
        "W": ("feature", "hidden"),
        "W_out": ("feature", "hidden"),
        "b": ("feature",),
        "b_hidden": ("hidden",),
    }
    for name, inner in shapes.items():
        assert runs[name].dims == (*outer, *inner)
        assert runs[f"{name}_snapshot"].dims == (*outer, "snapshot_step", *inner)
        assert runs[name].dtype == runs[f"{name}_snapshot"].dtype == np.float32
    assert runs.loss.dims == runs.diverged.dims == outer
    assert runs.loss_curve.dims == (*outer, "loss_step")
    assert runs.loss.dtype == runs.loss_curve.dtype == np.float32
    assert runs.p.values.tolist() == [1.0, 0.5]
    assert runs.seed.values.tolist() == [7, 9]
    assert runs.snapshot_step.values.tolist() == [0, 30]
    assert runs.loss_step.values[[0, -1]].tolist() == [0, 30]
    assert tms.experiment_of(runs) == made


@pytest.mark.parametrize("device", ["cpu:0", torch.device("cpu"), torch.device("cpu", 0)], ids=repr)
def test_the_processor_has_one_name(device: Any) -> None:
    """However it is called, the same engine trains."""
    runs = train(experiment(steps=2), device=device)
    xr.testing.assert_identical(runs, train(experiment(steps=2)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "inputs", [tms.SparseUniform(feature_probability=0.4), tms.KSparse(k=2), tms.Dataset(data=np.tri(20, 4))]
)
def test_cuda(inputs: Any) -> None:
    """The same samples, and the same numbers up to rounding."""
    made = experiment(inputs=inputs, optimizer=tms.Adam(lr=tms.axis("lr", [0.01, tms.Linear(start=0.02)])))
    there = tms.train(made, seeds=2, device="cuda", evaluation_samples=64)
    here = tms.train(made, seeds=2, engine="torch", evaluation_samples=64)
    assert_close(there.drop_attrs(), here)


# Divergence.


def diverging(lr: float) -> tms.Experiment:
    return experiment(
        dtype="float32",
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.5])),
        optimizer=tms.SGD(lr=tms.axis("rate", [0.1, lr, 0.2], labels=["a", "b", "c"])),
    )


def test_divergence() -> None:
    """Marked, warned of once, at the line that called; the neighbours keep every bit."""
    with pytest.warns(tms.DivergenceWarning) as caught:
        runs = train(diverging(1e6), seeds=3)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "6 of 18 models diverged" in text
    assert "p = 1.0, rate = 'b': 3 of 3 seeds; p = 0.5, rate = 'b': 3 of 3 seeds" in text
    assert caught[0].filename == __file__
    assert (runs.diverged == (runs.rate == "b")).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calm = train(diverging(0.15), seeds=3)
    assert not calm.diverged.any()
    keep = ["a", "c"]
    xr.testing.assert_identical(runs.sel(rate=keep).drop_attrs(), calm.sel(rate=keep).drop_attrs())
    assert np.isfinite(runs.sel(rate=keep).to_dataarray()).all()


@pytest.mark.parametrize(
    "grid", [{}, {"inputs": tms.SparseUniform(feature_probability=tms.axis("point", [1.0, 0.9]))}]
)
def test_all_diverge(grid: Any) -> None:
    """One model alone, and an axis of any name; there is no best of them."""
    with pytest.warns(tms.DivergenceWarning, match="diverged"):
        runs = train(experiment(optimizer=tms.SGD(lr=1e9), dtype="float32", **grid))
    assert runs.diverged.all()
    rejects(lambda: tms.best(runs), "runs", allowed="at least one along 'seed' that has not")


def test_many_divergences_make_a_short_warning() -> None:
    """Ten grid points are named, the others counted."""
    rates = tms.axis("rate", np.linspace(1e9, 2e9, 30))
    with pytest.warns(tms.DivergenceWarning, match=r"30 of 30 models .* …\)") as caught:
        train(experiment(optimizer=tms.SGD(lr=rates), dtype="float32"))
    assert str(caught[0].message).count("seeds") == 10


def test_best() -> None:
    """The least final loss over the seeds, at every grid point; diverged models are passed over."""
    made = experiment(inputs=tms.SparseUniform(feature_probability=tms.axis("p", [1.0, 0.1])))
    runs = train(made, seeds=4)
    chosen = runs.isel(tms.best(runs))
    np.testing.assert_array_equal(chosen.loss, runs.loss.min("seed"))
    assert chosen.W.dims == ("p", "feature", "hidden")
    runs["diverged"] = runs.seed == chosen.seed
    again = runs.isel(tms.best(runs))
    assert (again.seed != chosen.seed).all()
    rejects(lambda: tms.best(runs, "nothing"), "dim", "nothing")


# A user's own code.


def test_own_activation_is_the_built_in_one() -> None:
    """Any elementwise torch callable, also on an axis."""
    own = lambda x: torch.clamp(x, min=0)  # noqa: E731
    mine = train(experiment(model=model.replace(activation=own)))
    assert_close(mine, train(experiment()))
    softplus = torch.nn.Softplus()
    runs = train(
        experiment(model=model.replace(activation=tms.axis("act", [softplus, own], labels=["soft", "own"])))
    )
    assert_close(runs.sel(act="own", drop=True), mine)
    rejects(lambda: tms.experiment_of(mine), "runs", allowed="or pass experiment=")


def test_own_loss_is_the_built_in_one() -> None:
    """It gives the loss of every model, and is differentiated."""
    weight = torch.tensor([1.0, 0.5, 2.0, 0.1], dtype=torch.float64)
    mine = train(experiment(loss=lambda out, y: (weight * (out - y) ** 2).mean((-1, -2))), seeds=3)
    assert_close(mine, train(experiment(loss=tms.MSE(importance=weight)), seeds=3))


OWN = {
    "of numpy": np.tanh,
    "detached": lambda x: x.detach(),
    "not elementwise": lambda x: x.sum(-1, keepdim=True),
    "raises": lambda x: x.nothing,
    "no tensor": lambda x: 0.0,
}


@pytest.mark.parametrize("own", OWN.values(), ids=list(OWN))
@pytest.mark.parametrize("where", ["activation", "hidden_activation"])
def test_own_activation_that_fails(where: str, own: Any) -> None:
    """Named before anything is trained, whatever it raises; also at one point of a grid."""
    for value in (own, tms.axis("a", [torch.relu, own], labels=["x", "y"])):
        made = experiment(model=model.replace(tied=False, **{where: value}), steps=10**6)
        rejects(lambda made=made: train(made, progress=True), f"Autoencoder.{where}", allowed="elementwise")


@pytest.mark.parametrize(
    "own",
    [
        lambda out, y: float(((out - y) ** 2).mean()),
        lambda out, y: ((out - y) ** 2).detach().mean((-2, -1)),
        lambda out, y: out.numpy(),
        lambda out: out.mean((-2, -1)),
        lambda out, y: ((out - y) ** 2).mean(),
    ],
)
def test_own_loss_that_fails(own: Any) -> None:
    """A number, no gradient, another package's array, too few parameters, one loss for all."""
    made = experiment(loss=own, steps=10**6)
    rejects(lambda: train(made), "Experiment.loss", allowed="the loss of each model")


def test_own_code_of_unusual_kinds() -> None:
    """In place; a hidden step, where a tied model learns by reading alone; weights for a batch."""
    train(experiment(model=model.replace(activation=torch.nn.ReLU(inplace=True)), steps=2), loss_steps=1)
    step = experiment(model=model.replace(hidden_activation=lambda h: (h > 0).to(h.dtype)), steps=2)
    assert float(abs(train(step).W - train(step.replace(steps=1)).W).max()) > 0
    weight = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
    data = tms.Dataset(data=np.ones((6, 4)))
    own = experiment(
        inputs=data, batch_size=None, loss=lambda out, y: (weight * (out - y) ** 2).mean((-2, -1))
    )
    assert np.isfinite(train(own).loss).all()


def test_own_code_of_another_shape() -> None:
    """A loss that is averaged over the models, an activation that is not elementwise."""
    rejects(lambda: train(experiment(loss=lambda out, y: ((out - y) ** 2).mean())), "Experiment.loss")
    wrong = model.replace(activation=lambda x: x.sum(-1, keepdim=True))
    rejects(lambda: train(experiment(model=wrong)), "Autoencoder.activation", allowed="elementwise")


def test_targets() -> None:
    """Data whose targets are something else: a linear untied model finds a linear map of full rank."""
    rng = np.random.default_rng(5)
    data, mix = rng.normal(size=(40, 3)), rng.normal(size=(3, 3))
    made = experiment(
        model=tms.Autoencoder(n_features=3, n_hidden=3, tied=False, bias="none", activation="linear"),
        inputs=tms.Dataset(data=data, targets=data @ mix),
        batch_size=None,
        optimizer=tms.Adam(lr=0.02),
        steps=1500,
    )
    run = train(made).isel(seed=0)
    np.testing.assert_allclose(run.W.values @ run.W_out.values.T, mix, atol=1e-3)


def test_training_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """No bar where nobody looks; on request one on stderr, which is gone in the end."""
    train(experiment(steps=2), loss_steps=2)
    assert capfd.readouterr() == ("", "")
    train(experiment(steps=2), loss_steps=2, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "updates" in err
