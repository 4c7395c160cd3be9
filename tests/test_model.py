"""The autoencoder's description."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import NOT_A_WHOLE_NUMBER, rejects
from tms.model import ACTIVATIONS, BIASES


@pytest.mark.parametrize("size", ["n_features", "n_hidden"])
@given(value=NOT_A_WHOLE_NUMBER | st.integers(max_value=0) | st.integers(min_value=65_537))
def test_wrong_sizes(size: str, value: Any) -> None:
    """Zero, negative or fractional sizes."""
    sizes = {"n_features": 3, "n_hidden": 2, size: value}
    rejects(lambda: tms.Autoencoder(**sizes), f"Autoencoder.{size}", value, "1 <= number <= 65536")


@pytest.mark.parametrize("size", ["n_features", "n_hidden"])
def test_a_size_is_no_axis(size: str) -> None:
    """Arrays of a grid have one shape."""
    sizes = {"n_features": 3, "n_hidden": 2, size: tms.axis("size", [2, 3])}
    rejects(lambda: tms.Autoencoder(**sizes), f"Autoencoder.{size}", allowed="one value")


@pytest.mark.parametrize("name", ["activation", "hidden_activation", "bias"])
@given(value=st.text() | st.sampled_from([None, 1, torch.nn.ReLU, "ReLU", "linear ", b"relu", ["relu"]]))
def test_unknown_names(name: str, value: Any) -> None:
    """Unknown activations and biases; a class is no activation, though it can be called."""
    known = BIASES if name == "bias" else ACTIVATIONS
    if value not in known:
        make = lambda: tms.Autoencoder(n_features=3, n_hidden=2, **{name: value})  # noqa: E731
        rejects(make, f"Autoencoder.{name}", value, repr(known[0]))


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_tied_is_a_flag(value: Any) -> None:
    """True or False and nothing that counts as it."""
    rejects(
        lambda: tms.Autoencoder(n_features=3, n_hidden=2, tied=value),
        "Autoencoder.tied",
        value,
        "True or False",
    )


def test_wrong_value_on_an_axis() -> None:
    """The axis is named with the parameter."""
    make = lambda: tms.Autoencoder(n_features=3, n_hidden=2, activation=tms.axis("a", ["relu", "swish"]))  # noqa: E731
    rejects(make, "Autoencoder.activation (axis 'a')", "swish")


def test_keywords_only() -> None:
    """Positions and unknown names are Python's own errors."""
    with pytest.raises(TypeError, match="positional"):
        tms.Autoencoder(3, 2)  # type: ignore[misc]
    with pytest.raises(TypeError, match="n_feature"):
        tms.Autoencoder(n_feature=3, n_hidden=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="n_hidden"):
        tms.Autoencoder(n_features=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("bias", BIASES)
def test_where_the_bias_is(bias: str) -> None:
    """none, hidden, end, both."""
    model = tms.Autoencoder(n_features=3, n_hidden=2, bias=bias)
    assert model.has_end_bias == (bias in ("end", "both"))
    assert model.has_hidden_bias == (bias in ("hidden", "both"))


def test_frozen() -> None:
    """A description cannot be changed, only replaced by another; the change is checked."""
    model = tms.Autoencoder(n_features=3, n_hidden=2)
    with pytest.raises(AttributeError):
        model.n_hidden = 3  # type: ignore[misc]
    assert model.replace(n_hidden=3) == tms.Autoencoder(n_features=3, n_hidden=3)
    rejects(lambda: model.replace(n_hidden=0), "Autoencoder.n_hidden", 0)
