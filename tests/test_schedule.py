"""Learning-rate schedules against closed forms and against torch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import NOT_A_NUMBER, NOT_FINITE, rejects
from tms._engine import Job

STEPS = 40
NONE = np.empty(0, np.int64)


def rates(lr: Any, steps: int = STEPS) -> np.ndarray:
    """[step, model]."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=2, n_hidden=1),
        inputs=tms.OneHot(),
        optimizer=tms.SGD(lr=lr),
        steps=steps,
    )
    rate = Job(experiment, np.arange(1), NONE, NONE, 1, "cpu", lambda _: None).learning_rate()
    return np.stack([rate(s) for s in range(steps)])


def by_torch(start: float, make: Any) -> np.ndarray:
    """The rates that a scheduler of torch gives."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
    scheduler = make(optimizer)
    values = []
    for _ in range(STEPS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(values)


def test_constant() -> None:
    """A number is itself at every step."""
    assert (rates(0.25) == 0.25).all()


def test_linear_is_torchs() -> None:
    """torch.optim.lr_scheduler.LinearLR."""
    expected = by_torch(
        0.2,
        lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=STEPS),
    )
    np.testing.assert_allclose(rates(tms.Linear(start=0.2, end=0.02))[:, 0], expected, rtol=1e-12)


def test_cosine_is_torchs() -> None:
    """torch.optim.lr_scheduler.CosineAnnealingLR."""
    expected = by_torch(
        0.2, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.02)
    )
    np.testing.assert_allclose(rates(tms.Cosine(start=0.2, end=0.02))[:, 0], expected, rtol=1e-10)


@pytest.mark.parametrize("warmup", [0, 1, 10, 39])
def test_warmup_cosine_is_torchs_two_in_sequence(warmup: int) -> None:
    """LinearLR to the maximum, then CosineAnnealingLR from there."""

    def make(optimizer: Any) -> Any:
        schedulers = torch.optim.lr_scheduler
        if not warmup:
            return schedulers.CosineAnnealingLR(optimizer, T_max=STEPS, eta_min=0.1)
        up = schedulers.LinearLR(optimizer, start_factor=0.25, end_factor=1.0, total_iters=warmup)
        down = schedulers.CosineAnnealingLR(optimizer, T_max=STEPS - warmup, eta_min=0.1)
        return schedulers.SequentialLR(optimizer, [up, down], milestones=[warmup])

    schedule = tms.WarmupCosine(initial_lr=0.5, max_lr=2.0, final_lr=0.1, warmup_frac=warmup / STEPS)
    expected = by_torch(2.0, make)
    np.testing.assert_allclose(rates(schedule)[:, 0], expected, rtol=1e-10)


@given(st.integers(1, 60), st.floats(0, 2), st.floats(0, 2), st.floats(0, 2), st.floats(0, 0.999))
def test_warmup_cosine_by_hand(steps: int, initial: float, high: float, final: float, frac: float) -> None:
    """Step by step from the formula; and never outside what the three rates span."""
    schedule = tms.WarmupCosine(initial_lr=initial, max_lr=high, final_lr=final, warmup_frac=frac)
    got = rates(schedule, steps)[:, 0]
    for s in range(steps):
        t = s / steps
        if t < frac:
            expected = initial + (high - initial) * t / frac
        else:
            expected = final + (high - final) * math.cos(math.pi / 2 * (t - frac) / (1 - frac)) ** 2
        assert got[s] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert got.min() >= min(initial, high, final) - 1e-12
    assert got.max() <= max(initial, high, final) + 1e-12


def test_every_parameter_may_be_an_axis() -> None:
    """Each model follows its own schedule, as it would alone."""
    fracs, highs = [0.0, 0.3], [1.0, 2.0, 3.0]
    grid = rates(
        tms.WarmupCosine(
            initial_lr=0.1, max_lr=tms.axis("high", highs), final_lr=0.0, warmup_frac=tms.axis("frac", fracs)
        )
    ).reshape(STEPS, 3, 2)
    for i, high in enumerate(highs):
        for j, frac in enumerate(fracs):
            alone = tms.WarmupCosine(initial_lr=0.1, max_lr=high, final_lr=0.0, warmup_frac=frac)
            np.testing.assert_array_equal(grid[:, i, j], rates(alone)[:, 0])


GOOD = {"initial_lr": 0.1, "max_lr": 1.0, "final_lr": 0.0, "warmup_frac": 0.5}


@pytest.mark.parametrize("name", list(GOOD))
@given(value=NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12))
def test_wrong_numbers(name: str, value: Any) -> None:
    """Negative, not finite, no number."""
    rejects(lambda: tms.WarmupCosine(**GOOD | {name: value}), f"WarmupCosine.{name}", value, "0 <= value")


@given(st.floats(1.0, 1e6))
def test_no_time_left_after_the_warmup(value: float) -> None:
    """warmup_frac is below one."""
    rejects(lambda: tms.WarmupCosine(**GOOD | {"warmup_frac": value}), "warmup_frac", value, "0 <= value < 1")


@pytest.mark.parametrize("kind", [tms.Linear, tms.Cosine])
@given(value=NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12))
def test_wrong_ends(kind: Any, value: Any) -> None:
    """Both ends are checked."""
    rejects(lambda: kind(start=value), f"{kind.__name__}.start", value, "0 <= value")
    rejects(lambda: kind(start=1.0, end=value), f"{kind.__name__}.end", value, "0 <= value")
