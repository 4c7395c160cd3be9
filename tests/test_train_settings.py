"""Settings of `train` that are wrong, which no engine ever sees, and steps spaced on a log scale."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import rejects

model = tms.Autoencoder(n_features=4, n_hidden=2)


def experiment() -> tms.Experiment:
    inputs = tms.SparseUniform(feature_probability=0.4)
    return tms.Experiment(model=model, inputs=inputs, steps=100, batch_size=16)


@given(st.integers(0, 40), st.integers(1, 10_000))
def test_log_spaced_steps(count: int, last: int) -> None:
    """Increasing, from 0 to the last, no more than asked for."""
    steps = sys.modules["tms.train"]._steps("loss_steps", count, last)
    assert len(steps) <= count
    assert (np.diff(steps) > 0).all()
    if count >= 1:
        assert steps[-1] == last
    if count >= 2:
        assert steps[0] == 0
    if count >= 5 and last >= 2 * 4**count:
        assert len(steps) == count


@pytest.mark.parametrize("name", ["loss_steps", "snapshot_steps"])
@pytest.mark.parametrize(
    "value", [-1, [0, 101], [-1], [3, 3], [5, 2], [0.0], "all", True, None, 1.5, [[1]], np.array(3)], ids=repr
)
def test_wrong_steps(name: str, value: Any) -> None:
    """Beyond the last, before the first, out of order, no whole numbers."""
    rejects(lambda: tms.train(experiment(), **{name: value}), name, allowed="100")


@pytest.mark.parametrize("value", ["gpu", "cuda:99", "meta", "", None, 3, "cpu:x", 1.5])
def test_devices_that_are_not_there(value: Any) -> None:
    """Named before anything is trained."""
    rejects(lambda: tms.train(experiment(), device=value), "device", value, "a torch device that is there")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engine", "jax"),
        ("evaluation_samples", 0),
        ("evaluation_samples", 1.5),
        ("seeds", 0),
        ("seeds", [1, 1]),
    ],
)
def test_other_wrong_settings(name: str, value: Any) -> None:
    """Engine, samples, seeds."""
    rejects(lambda: tms.train(experiment(), **{name: value}), name, value)


def test_wrong_experiments() -> None:
    """Anything but an experiment; unknown keywords."""
    rejects(lambda: tms.train(model), "experiment", model)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seed"):
        tms.train(experiment(), seed=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        tms.train(experiment(), 3)  # type: ignore[misc]
