"""The torch engine: gradients, optimisers and what is drawn, each against something independent."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import tms
from tests import naive
from tms import _random, _torch_engine
from tms._engine import Job
from tms._torch_engine import Batches

NONE = np.empty(0, np.int64)
N, M, SAMPLES = 4, 2, 3
IMPORTANCE = np.array([1.0, 0.5, 0.25, 2.0])
LOSSES = [
    ("mse", "mean"),
    ("mse", "feature_sum"),
    ("mse", "sum"),
    ("cross-entropy", "mean"),
    ("cross-entropy", "sum"),
]


def job(experiment: tms.Experiment, seeds: Any = (0,), batches: int = 1) -> Job:
    return Job(experiment, np.array(seeds), NONE, NONE, batches, "cpu", lambda _: None)


def description(
    tied: bool, bias: str, kind: str, hidden_kind: str, loss: str, reduction: str
) -> tms.Experiment:
    losses = {"mse": tms.MSE(importance=IMPORTANCE, reduction=reduction) if loss == "mse" else None}
    return tms.Experiment(
        model=tms.Autoencoder(
            n_features=N, n_hidden=M, tied=tied, bias=bias, activation=kind, hidden_activation=hidden_kind
        ),
        inputs=tms.OneHot(),
        loss=losses.get(loss) or tms.CrossEntropy(reduction=reduction),
        init=tms.Normal(scale=0.8, bias_scale=0.3),
        steps=1,
        dtype="float64",
    )


def losses_of(experiment: tms.Experiment, parameters: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    importance = None
    if isinstance(experiment.loss, tms.MSE):
        importance = torch.from_numpy(np.tile(IMPORTANCE, (len(parameters["W"]), 1)))
    of = _torch_engine.loss_function(experiment.loss, importance)
    return of(_torch_engine.forward(experiment, parameters, x), y)


@pytest.mark.parametrize(("loss", "reduction"), LOSSES)
@pytest.mark.parametrize(
    ("kind", "hidden_kind"), list(itertools.product(["linear", "relu", "gelu"], ["linear", "relu", "gelu"]))
)
def test_gradients(kind: str, hidden_kind: str, loss: str, reduction: str) -> None:
    """Against explicit loops and against central differences, tied or not, with every bias.

    Two models at once, so that one's gradient in the other's would show. The loops agree to 1e-10 of the
    largest entry. Differences over h = 1e-5 are good to about 1e-8 where no kink of ReLU is as near as h.
    """
    rng = np.random.default_rng(1)
    x, y = rng.uniform(size=(2, 2, SAMPLES, N))
    for tied, bias in itertools.product([True, False], ["none", "hidden", "end", "both"]):
        experiment = description(tied, bias, kind, hidden_kind, loss, reduction)
        task = job(experiment, seeds=[3, 8])
        start = {name: task.start(name) for name in task.parameter_names}
        assert ("W_out" in start) == (not tied)
        parameters = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
        got_loss = losses_of(experiment, parameters, torch.from_numpy(x), torch.from_numpy(y))
        got = dict(
            zip(parameters, torch.autograd.grad(got_loss.sum(), list(parameters.values())), strict=True)
        )

        for model in range(2):
            weights = {name: value[model] for name, value in start.items()}
            settings = {"loss": loss, "reduction": reduction, "importance": IMPORTANCE, "kind": kind}
            value, expected = naive.loss_and_gradients(
                weights, x[model], y[model], hidden_kind=hidden_kind, **settings
            )
            assert float(got_loss[model].detach()) == pytest.approx(value, rel=1e-12)
            for name, gradient in expected.items():
                scale = np.abs(gradient).max() + 1e-300
                assert np.abs(got[name][model].numpy() - gradient).max() <= 1e-10 * scale

        h = 1e-5
        for name, value in start.items():
            width = value[0].size
            if name != "W" and kind != "relu":
                continue  # the loops check all of them
            moves = np.concatenate([np.eye(width), -np.eye(width)]).reshape(-1, *value.shape[1:]) * h
            moved = {key: torch.from_numpy(np.repeat(v[:1], len(moves), 0)) for key, v in start.items()}
            moved[name] = moved[name] + torch.from_numpy(moves)
            many = losses_of(experiment, moved, torch.from_numpy(x[:1]), torch.from_numpy(y[:1])).numpy()
            difference = (many[:width] - many[width:]) / (2 * h)
            exact = got[name][0].numpy().ravel()
            np.testing.assert_allclose(difference, exact, rtol=0, atol=1e-7 * max(1.0, np.abs(exact).max()))


def quadratic_run(optimizer: Any, steps: int = 30, **changes: Any) -> Any:
    """Train a small float64 model on fixed data; every step is a snapshot."""
    rng = np.random.default_rng(2)
    experiment = tms.Experiment(
        **{
            "model": tms.Autoencoder(n_features=4, n_hidden=2, bias="both"),
            "inputs": tms.Dataset(data=rng.uniform(size=(6, 4))),
            "init": tms.XavierNormal(bias_scale=0.2),
            "optimizer": optimizer,
            "steps": steps,
            "dtype": "float64",
        }
        | changes
    )
    return experiment, tms.train(experiment, engine="torch", snapshot_steps=range(steps + 1))


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (tms.SGD(lr=0.3), lambda p: torch.optim.SGD(p, lr=0.3)),
        (tms.SGD(lr=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (tms.Adam(lr=0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
        (
            tms.Adam(lr=0.05, beta1=0.5, beta2=0.9, eps=1e-3),
            lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.5, 0.9), eps=1e-3),
        ),
        (tms.AdamW(lr=0.05), lambda p: torch.optim.AdamW(p, lr=0.05)),
        (tms.AdamW(lr=0.05, weight_decay=0.3), lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.3)),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_optimisers_are_torchs(mine: Any, theirs: Any, tied: bool) -> None:
    """The whole trajectory, from a model written anew in torch."""
    model = tms.Autoencoder(n_features=4, n_hidden=2, bias="both", tied=tied)
    experiment, runs = quadratic_run(mine, model=model)
    names = job(experiment).parameter_names
    p = {name: torch.tensor(runs[f"{name}_snapshot"].values[0, 0], requires_grad=True) for name in names}
    x = torch.from_numpy(np.array(experiment.inputs.data))
    optimizer = theirs(list(p.values()))
    for step in range(experiment.steps + 1):
        for name in names:
            expected = p[name].detach().numpy()
            np.testing.assert_allclose(
                runs[f"{name}_snapshot"].values[0, step], expected, rtol=1e-9, atol=1e-12
            )
        out = torch.relu((x @ p["W"] + p["b_hidden"]) @ p.get("W_out", p["W"]).T + p["b"])
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(out, x).backward()
        optimizer.step()


def test_schedules_reach_the_update() -> None:
    """SGD steps are rate(s) times the gradient: halving the rate at every step halves the step."""
    steps = 4
    _, runs = quadratic_run(tms.SGD(lr=tms.Linear(start=0.4, end=0.0)), steps)
    W = runs.W_snapshot.values[0, :, :, :]
    _, constant = quadratic_run(tms.SGD(lr=0.4), 1)
    np.testing.assert_allclose(W[1], constant.W.values[0], rtol=1e-14)
    experiment, _ = quadratic_run(tms.SGD(lr=1.0), 1)
    for s in range(1, steps):
        given = tms.Given(
            **{
                name: runs[f"{name}_snapshot"].isel(seed=0, snapshot_step=s).values
                for name in ("W", "b", "b_hidden")
            }
        )
        one = tms.train(
            experiment.replace(init=given, optimizer=tms.SGD(lr=0.4 * (1 - s / steps))), engine="torch"
        )
        np.testing.assert_allclose(W[s + 1], one.W.values[0], rtol=1e-12)


def test_decay_is_applied_once() -> None:
    """Tied weights are one parameter: AdamW leaves (1 − lr · decay)^steps of them, not its square."""
    _, runs = quadratic_run(tms.AdamW(lr=0.1, weight_decay=0.5), 20, loss=tms.MSE(importance=0.0))
    for name in ("W", "b", "b_hidden"):
        first, last = (
            runs[f"{name}_snapshot"].isel(snapshot_step=[0, -1]).transpose("snapshot_step", ...).values
        )
        np.testing.assert_allclose(last, first * 0.95**20, rtol=1e-12)


def test_a_feature_that_is_never_active() -> None:
    """Has no gradient in Adam, and no NaN."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=3, n_hidden=2, bias="none"),
        inputs=tms.SparseUniform(feature_probability=[1.0, 1.0, 0.0]),
        loss=tms.MSE(importance=[1.0, 1.0, 0.0]),
        steps=20,
        batch_size=8,
    )
    runs = tms.train(experiment, engine="torch", evaluation_samples=8)
    assert not runs.diverged.any()
    np.testing.assert_array_equal(runs.W.values[0, 2], runs.W_snapshot.values[0, 0, 2])


# What is drawn.


def drawn(
    inputs: Any, n: int, batch_size: int | None, steps: int = 1, seeds: Any = (0,), dtype: Any = torch.float64
) -> np.ndarray:
    """[step, model, sample, feature]"""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=n, n_hidden=1), inputs=inputs, steps=steps, batch_size=batch_size
    )
    batches = Batches(job(experiment, seeds), slice(None), dtype, torch.device("cpu"))
    pairs = [batches(step) for step in range(steps)]
    assert all(torch.equal(x, y) for x, y in pairs)
    return np.stack([x.expand(len(x), -1, -1).numpy() for x, _ in pairs])


def test_sparse_uniform() -> None:
    """How often each feature is active, and the distribution of its values; features are independent."""
    p = np.array([0.0, 0.01, 0.3, 0.5, 1.0])
    x = drawn(tms.SparseUniform(feature_probability=p), 5, 20_000, steps=2).reshape(-1, 5)
    count = len(x)
    active = (x != 0).sum(0)
    assert active[0] == 0
    assert active[4] == count
    for i in range(1, 4):
        assert stats.binomtest(int(active[i]), count, p[i]).pvalue > 1e-4
    for i in range(1, 5):
        values = x[x[:, i] != 0, i]
        assert ((values > 0) & (values < 1)).all()
        assert stats.kstest(values, "uniform").pvalue > 1e-4
    both = int(((x[:, 2] != 0) & (x[:, 3] != 0)).sum())
    assert stats.binomtest(both, count, 0.3 * 0.5).pvalue > 1e-4
    # Σ_i E x_i² = Σ p / 3, the sum that the loss of an empty model is.
    spread = np.sqrt(count * (p / 5 - p**2 / 9))
    assert (np.abs((x**2).sum(0) - count * p / 3) <= 4.5 * spread + 1e-9).all()


def test_probability_on_an_axis() -> None:
    """Each model has its own; those of one seed share the numbers, so rare is within frequent."""
    p = tms.axis("p", [0.0, 0.2, 0.6, 1.0])
    x = drawn(tms.SparseUniform(feature_probability=p), 3, 4000, seeds=[5, 6])[0].reshape(4, 2, 4000, 3)
    rates = (x != 0).mean((1, 2, 3))
    np.testing.assert_allclose(rates, p.values, atol=4.5 * np.sqrt(0.25 / 24_000))
    for less, more in itertools.pairwise(x):
        assert ((less != 0) <= (more != 0)).all()
    assert not np.array_equal(x[3, 0], x[3, 1])


def test_seed_and_step_decide_the_batch() -> None:
    """Not the neighbours, nor the precision."""
    inputs = tms.SparseUniform(feature_probability=0.5)
    many = drawn(inputs, 3, 50, steps=2, seeds=[9, 2, 4])
    np.testing.assert_array_equal(many[:, 2], drawn(inputs, 3, 50, steps=2, seeds=[4])[:, 0])
    np.testing.assert_allclose(
        many, drawn(inputs, 3, 50, steps=2, seeds=[9, 2, 4], dtype=torch.float32), rtol=1e-6
    )
    assert len(np.unique(many.reshape(6, -1), axis=0)) == 6


def test_sparse_uniform_by_hand() -> None:
    """Number for number from the generator, as any engine must make it."""
    p, n, batch = 0.3, 3, 4
    x = drawn(tms.SparseUniform(feature_probability=p), n, batch, steps=3, seeds=[7])[2, 0]
    key = _random.keys(7, _random.SAMPLES, 2)
    limit = round(p * 2**32)
    for s, i in np.ndindex(batch, n):
        number = _random.bits(s * n + i, *key)
        assert x[s, i] == pytest.approx(number / limit if number < limit else 0.0, rel=1e-15)


@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.3, 1.0])
def test_sets_of_features(correlation: float) -> None:
    """Every choice of active features of a set as often as it should be; sets are independent, and values."""
    p, k, n, c = 0.2, 3, 6, abs(correlation)
    inputs = tms.GroupedSparse(set_size=k, feature_probability=p, correlation=correlation)
    x = drawn(inputs, n, 20_000, steps=2).reshape(-1, n)
    active = x != 0
    count = len(x)
    codes = active.reshape(count, 2, k) @ (1 << np.arange(k))
    size = np.array([bin(code).count("1") for code in range(2**k)])
    chance = (1 - c) * p**size * (1 - p) ** (k - size)
    if correlation > 0:
        chance += c * np.where(size == k, p, np.where(size == 0, 1 - p, 0))
    else:
        chance += c * np.where(size == 1, p, np.where(size == 0, 1 - k * p, 0))
    assert chance.sum() == pytest.approx(1)
    assert chance[[1, 3, 5, 7]].sum() == pytest.approx(p)  # the first feature, whatever the correlation
    for s in (0, 1):
        found = np.bincount(codes[:, s], minlength=2**k)
        assert (found[chance < 1e-12] == 0).all()
        some = chance > 1e-12
        assert stats.chisquare(found[some], count * chance[some] / chance[some].sum()).pvalue > 1e-4
    for i in range(n):
        assert stats.binomtest(int(active[:, i].sum()), count, p).pvalue > 1e-4
        assert stats.kstest(x[active[:, i], i], "uniform").pvalue > 1e-4
    both = (active[:, 0] & active[:, k]).sum()
    assert stats.binomtest(int(both), count, p * p).pvalue > 1e-4
    together = active[:, 0] & active[:, 1]
    expected = p**2 + correlation * (p - p**2 if correlation > 0 else p**2)
    assert stats.binomtest(int(together.sum()), count, max(expected, 0.0)).pvalue > 1e-4
    if correlation > 0:
        assert np.corrcoef(active[:, 0], active[:, 1])[0, 1] == pytest.approx(correlation, abs=0.03)
    if together.any():
        assert stats.spearmanr(x[together, 0], x[together, 1]).pvalue > 1e-4


def test_sets_of_features_by_hand() -> None:
    """Number for number from the generator, in plain loops."""
    for correlation in (-0.7, 0.6):
        p, k, n, batch = 0.3, 3, 6, 200
        inputs = tms.GroupedSparse(set_size=k, feature_probability=p, correlation=correlation)
        x = drawn(inputs, n, batch, steps=3, seeds=[7])[2, 0]
        own, shared = (_random.keys(7, purpose, 2) for purpose in (_random.SAMPLES, _random.VALUES))
        for t, i in np.ndindex(batch, n):
            number = _random.bits(t * n + i, *own) / 2**32
            of_set = _random.bits(t * (n // k) + i // k, *shared) / 2**32
            if of_set < abs(correlation):
                first = 0 if correlation > 0 else (i % k) * p * abs(correlation)
                expected = number if first <= of_set < first + p * abs(correlation) else 0.0
            else:
                expected = number / p if number < p else 0.0
            assert x[t, i] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("n", "k"), [(5, 1), (5, 2), (5, 3), (6, 4), (4, 4)])
@pytest.mark.parametrize("values", ["uniform", "one"])
def test_k_sparse(n: int, k: int, values: str) -> None:
    """Exactly k active features, every subset equally likely, values as asked and not tied to the feature."""
    x = drawn(tms.KSparse(k=k, values=values), n, 6000)[0, 0]
    active = x != 0
    assert (active.sum(-1) == k).all()
    _, counts = np.unique(active, axis=0, return_counts=True)
    subsets = len(list(itertools.combinations(range(n), k)))
    assert len(counts) == subsets
    if subsets > 1:
        assert stats.chisquare(counts).pvalue > 1e-4
    if values == "one":
        assert set(np.unique(x)) <= {0.0, 1.0}
    else:
        for i in range(n):
            assert stats.kstest(x[active[:, i], i], "uniform").pvalue > 1e-4


def test_one_hot() -> None:
    """The identity at every step."""
    x = drawn(tms.OneHot(), 4, None, steps=3)
    np.testing.assert_array_equal(x, np.broadcast_to(np.eye(4), (3, 1, 4, 4)))


@pytest.mark.parametrize(("samples", "batch"), [(7, 3), (6, 3), (5, 5), (5, 1), (4, 3)])
def test_each_pass_visits_every_sample_once(samples: int, batch: int) -> None:
    """In another order each time and for each seed; the last batch may be smaller; targets go along."""
    data = np.arange(2.0 * samples).reshape(samples, 2)
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=2, n_hidden=1),
        inputs=tms.Dataset(data=data, targets=100 - data),
        batch_size=batch,
        steps=1,
    )
    batches = Batches(job(experiment, [0, 1]), slice(None), torch.float64, torch.device("cpu"))
    per_pass = -(-samples // batch)
    orders = []
    for epoch in range(6):
        xs, ys = zip(*(batches(epoch * per_pass + i) for i in range(per_pass)), strict=True)
        assert [x.shape[1] for x in xs] == [batch] * (samples // batch) + [samples % batch] * (
            samples % batch > 0
        )
        x, y = torch.cat(xs, 1).numpy(), torch.cat(ys, 1).numpy()
        np.testing.assert_array_equal(y, 100 - x)
        for model in range(2):
            order = (x[model, :, 0] / 2).astype(int).tolist()
            assert sorted(order) == list(range(samples))
            orders.append(tuple(order))
    assert len(set(orders)) >= 10  # of 12; by chance two may be equal where there are few samples


def test_full_batch_is_the_data_in_order() -> None:
    """Without a batch size."""
    data = np.arange(6.0).reshape(3, 2)
    x = drawn(tms.Dataset(data=data), 2, None, steps=2)
    np.testing.assert_array_equal(x, np.broadcast_to(data, (2, 1, 3, 2)))


def test_evaluation_is_the_same_for_all_and_not_the_training_data() -> None:
    """Fresh batches, equal for every seed; different from those of step 0 of seed 0."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=3, n_hidden=1),
        inputs=tms.SparseUniform(feature_probability=1.0),
        batch_size=50,
        steps=1,
    )
    batches = Batches(job(experiment, [0, 1], batches=3), slice(None), torch.float64, torch.device("cpu"))
    fresh = [x.numpy() for x, _ in batches.evaluation()]
    assert len(fresh) == 3
    assert all(np.array_equal(x[0], x[-1]) for x in fresh)
    assert (
        len(np.unique(np.stack([*(x[0] for x in fresh), batches(0)[0][0].numpy()]).reshape(4, -1), axis=0))
        == 4
    )
