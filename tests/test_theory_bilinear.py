"""What bilinear models can do, against searches, sampling and rational arithmetic."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import xarray as xr

import tms

BIASES = ("none", "one", "both")


def answers(model: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """The outputs, from the definition: [input, output]."""
    h = x @ model.W.values
    b, c = (model[name].values if name in model else 0.0 for name in ("b", "b_gate"))
    return (h @ model.W_out.values.T + b) * (h @ model.W_gate.values.T + c)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("m", [1, 2, 3, 5, 8])
def test_lattice_is_exact(m, bias, zero):
    model = tms.bilinear_lattice(m, bias=bias, zero_input=zero)
    n = model.sizes["feature"]
    assert n == tms.bilinear_capacity(m, bias=bias, zero_input=zero)
    assert model.sizes["hidden"] == m
    assert (
        set(model) == {"W", "W_out", "W_gate"} | {"none": set(), "one": {"b"}, "both": {"b", "b_gate"}}[bias]
    )
    x = np.eye(n)
    if zero or bias != "both":
        x = np.concatenate([x, np.zeros((1, n))])
    assert np.abs(answers(model, x) - x).max() < 1e-12


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_capacity_is_the_number_of_polynomials(m, bias, zero):
    """The rank of all that an output can be, at random points: by brute force."""
    rng = np.random.default_rng(m)
    h = rng.normal(size=(60, m))
    if zero:
        h[0] = 0.0
    reads = rng.normal(size=(200, 2, m)), rng.normal(size=(200, 2, 1))
    biases = reads[1] * np.array({"none": [0, 0], "one": [1, 0], "both": [1, 1]}[bias])[:, None]
    values = (np.einsum("krm,jm->krj", reads[0], h) + biases).prod(1)
    if zero:  # only combinations that vanish at the input 0 are of use
        values = values - values[:, :1] if bias == "both" else values
        assert np.abs(values[:, 0]).max() < 1e-12
    rank = np.linalg.matrix_rank(values)
    # differences from a constant lose the constant function alone
    assert rank == tms.bilinear_capacity(m, bias=bias, zero_input=zero)


def test_no_more_than_capacity_by_training():
    """One feature more than fits loses exactly 1."""
    for m, bias in itertools.product((1, 2), BIASES):
        n = tms.bilinear_capacity(m, bias=bias) + 1
        experiment = tms.Experiment(
            model=tms.Bilinear(n_features=n, n_hidden=m, bias=bias),
            inputs=tms.OneHot(),
            loss=tms.MSE(reduction="sum"),
            optimizer=tms.Adam(lr=tms.Linear(start=3e-2)),
            steps=3000,
        )
        loss = tms.train(experiment, seeds=20, evaluation_samples=1).loss
        assert float(loss.min()) == pytest.approx(1.0, abs=1e-3)


def sparse_limit(v: np.ndarray, n: int, m: int, bias: str) -> tuple[float, np.ndarray]:
    """3 · Σ_ij ∫ (δ_ij t − B_ij t − A_ij t²)² dt, term by term, and its gradient."""
    W, R, S = v[: 3 * n * m].reshape(3, n, m)
    b = v[3 * n * m :, None] if bias == "one" else np.zeros((n, 1))
    r, s = R @ W.T, S @ W.T
    A, B = r * s, b * s
    E = np.eye(n) - B
    to_A, to_B = -E / 2 + 2 * A / 5, A / 2 - 2 * E / 3
    to_r, to_s = to_A * s, to_A * r + to_B * b
    parts = [to_r.T @ R + to_s.T @ S, to_r @ W, to_s @ W]
    gradient = np.concatenate([*(part.ravel() for part in parts), (to_B * s).sum(1)])
    return 3 * float((E**2 / 3 - E * A / 2 + A**2 / 5).sum()), 3 * gradient[: len(v)]


@pytest.mark.parametrize(
    ("n", "m", "bias"),
    [
        (1, 1, "one"),
        (2, 1, "one"),
        (3, 1, "one"),
        (4, 2, "one"),
        (5, 2, "one"),
        (2, 1, "none"),
        (4, 2, "none"),
    ],
)
def test_sparse_bound_is_reached_and_not_passed(n, m, bias):
    rng = np.random.default_rng(n)
    size = 3 * n * m + (n if bias == "one" else 0)
    found = [
        scipy.optimize.minimize(sparse_limit, rng.normal(size=size), args=(n, m, bias), jac=True).fun
        for _ in range(12)
    ]
    bound = tms.bilinear_sparse_bound(n, m, bias=bias)
    assert bound - 1e-6 < min(found) < bound + 1e-3
    assert tms.bilinear_sparse_bound(n, m, bias="both") <= tms.bilinear_sparse_bound(n, m, bias="none")


def made(shape: tuple[int, ...], n: int, m: int, bias: str) -> xr.Dataset:
    rng = np.random.default_rng(n + m)
    outer = tuple(f"d{k}" for k in range(len(shape)))
    names = ("W", "W_out", "W_gate")
    arrays = {name: ((*outer, "feature", "hidden"), rng.normal(size=(*shape, n, m))) for name in names}
    for name in {"none": (), "one": ("b",), "both": ("b", "b_gate")}[bias]:
        arrays[name] = ((*outer, "feature"), rng.normal(size=(*shape, n)))
    return xr.Dataset(arrays)


def exactly(model: xr.Dataset, p: Fraction) -> list[float]:
    """Every monomial of (x_i − x̂_i)² and its moment, in rational numbers."""
    n = model.sizes["feature"]
    errors = []
    for i, matrix in enumerate(tms.interactions(model).values):
        polynomial: dict[tuple[int, ...], Fraction] = {}
        for j, k in itertools.product(range(n + 1), repeat=2):
            powers = [0] * n
            for index in (j, k):
                if index < n:
                    powers[index] += 1
            polynomial[tuple(powers)] = polynomial.get(tuple(powers), Fraction(0)) - Fraction(
                float(matrix[j, k])
            )
        own = tuple(int(k == i) for k in range(n))
        polynomial[own] = polynomial.get(own, Fraction(0)) + 1
        total = Fraction(0)
        for (one, a), (other, b) in itertools.product(polynomial.items(), repeat=2):
            moment = a * b
            for power in np.add(one, other).tolist():
                moment *= p / (power + 1) if power else 1
            total += moment
        errors.append(float(total))
    return errors


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("p", [Fraction(0), Fraction(1, 16), Fraction(1, 2), Fraction(1)])
def test_errors_against_rational_arithmetic(bias, p):
    model = made((), 3, 2, bias)
    assert np.allclose(tms.bilinear_errors(model, float(p)).values, exactly(model, p), rtol=1e-12, atol=1e-13)


def test_errors_of_many_models_at_once():
    models = made((2, 3), 4, 2, "both")
    found = tms.bilinear_errors(models, 0.3)
    assert found.dims == ("d0", "d1", "feature")
    one = tms.bilinear_errors(models.isel(d0=1, d1=2), 0.3)
    assert np.allclose(found.isel(d0=1, d1=2), one, rtol=1e-14)


def test_expected_loss_is_their_sum():
    experiment = tms.Experiment(
        model=tms.Bilinear(n_features=4, n_hidden=2),
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.1, 0.6])),
        loss=tms.MSE(importance=[1.0, 0.5, 0.2, 0.0], reduction="feature_sum"),
        steps=20,
        batch_size=64,
    )
    runs = tms.train(experiment, seeds=3)
    expected = tms.expected_loss(runs)
    for p in (0.1, 0.6):
        errors = tms.bilinear_errors(runs.sel(p=p), p)
        weighted = (errors * xr.DataArray([1.0, 0.5, 0.2, 0.0], dims="feature")).sum("feature")
        assert np.allclose(expected.sel(p=p), weighted, rtol=1e-12)
    mean = experiment.replace(loss=tms.MSE(importance=[1.0, 0.5, 0.2, 0.0]))
    assert np.allclose(tms.expected_loss(runs, experiment=mean), expected / 4)
    sampled = tms.sampled_loss(runs, samples=2**18)
    assert np.allclose(sampled, expected, rtol=0.03)


def test_diverged_models_have_no_error():
    models = made((2,), 3, 2, "both")
    models["W"][0, 0, 0] = np.inf
    errors = tms.bilinear_errors(models, 0.5)
    assert np.isnan(errors[0]).any()
    assert np.isfinite(errors[1]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tms.bilinear_capacity(0), "n_hidden"),
        (lambda: tms.bilinear_capacity(2, bias="two"), "bias"),
        (lambda: tms.bilinear_lattice(2, zero_input=1), "zero_input"),
        (lambda: tms.bilinear_sparse_bound(0, 1), "n_features"),
        (lambda: tms.bilinear_errors(made((), 3, 2, "one"), 1.5), "feature_probability"),
        (lambda: tms.bilinear_errors(xr.Dataset(), 0.5), "runs"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
