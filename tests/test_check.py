"""Checks of parameters, and arrays that can be hashed."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.wrong import NOT_A_NUMBER, NOT_A_WHOLE_NUMBER, NOT_FINITE, TOO_LARGE, rejects
from tms import _check
from tms._check import FrozenArray


@given(NOT_A_NUMBER | NOT_FINITE | TOO_LARGE)
def test_number_rejects(value: Any) -> None:
    """What is no finite number."""
    rejects(lambda: _check.number()("x", value), "x must be a finite number", value)


@given(st.floats(0, 1) | st.integers(0, 1) | st.fractions(0, 1))
def test_number_accepts(value: Any) -> None:
    """Real numbers of any type, as float."""
    result = _check.number(0, 1)("x", value)
    assert type(result) is float
    assert result == float(value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int8(1), np.array(0.25), Fraction(1, 3)])
def test_number_accepts_types(value: Any) -> None:
    """numpy's numbers and fractions too."""
    assert _check.number(0, 1)("x", value) == float(value)


@pytest.mark.parametrize(
    ("bounds", "value", "said"),
    [
        ({"low": 0}, -1e-300, "0 <= value"),
        ({"low": 0, "open_low": True}, 0.0, "0 < value"),
        ({"high": 1}, 1.0000000000000002, "value <= 1"),
        ({"low": 0, "high": 1, "open_high": True}, 1.0, "0 <= value < 1"),
    ],
)
def test_number_bounds(bounds: dict[str, Any], value: float, said: str) -> None:
    """Just outside, open ends included, with the interval in the message."""
    rejects(lambda: _check.number(**bounds)("x", value), "x", value, said)


@given(NOT_A_WHOLE_NUMBER | st.integers(max_value=0) | st.integers(min_value=2**31))
def test_integer_rejects(value: Any) -> None:
    """What is no whole number from 1 to 2**31 - 1; a float never is, not even 3.0."""
    rejects(lambda: _check.integer(1)("x", value), "x must be a whole number", value, "1 <= number")


@given(st.integers(1, 2**31 - 1))
def test_integer_accepts(value: int) -> None:
    """Whole numbers, numpy's too, as int."""
    result = _check.integer(1)("x", np.int64(value))
    assert type(result) is int
    assert result == value


@given(st.integers(1, 6), st.data())
def test_per_feature_names_the_position(length: int, data: st.DataObject) -> None:
    """One bad entry anywhere is found and named."""
    values = np.full(length, 0.5)
    where = data.draw(st.integers(0, length - 1))
    values[where] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, -1e-9, 1 + 1e-9]))
    container = data.draw(st.sampled_from([np.asarray, list, tuple, torch.tensor]))
    check = _check.number_per_feature(0, 1)
    rejects(
        lambda: check("x", container(values)), f"x[{where}] must be", float(values[where]), "0 <= value <= 1"
    )


@pytest.mark.parametrize(
    "value",
    [
        [],
        [[0.5]],
        [[0.1], [0.2, 0.3]],
        ["0.5"],
        [True, False],
        [1j],
        np.array([1j]),
        [None],
        [10**400],
        np.zeros((2, 2)),
        {0.5},
        {"a": 0.5},
        torch.tensor([1j]),
    ],
    ids=repr,
)
def test_per_feature_rejects(value: Any) -> None:
    """What is no vector of numbers, and what numpy would quietly turn into one."""
    rejects(lambda: _check.number_per_feature(0)("x", value), "x must be", value, "or one per feature")


def test_tensors_become_arrays() -> None:
    """Tensors that need a gradient, or are of a type that numpy does not know."""
    value = torch.tensor([0.5, 0.25], dtype=torch.bfloat16, requires_grad=True)
    assert np.asarray(_check.number_per_feature(0)("x", value)).tolist() == [0.5, 0.25]
    assert _check.matrix("x", value[None]).shape == (1, 2)


@given(st.data())
def test_matrix_rejects(data: st.DataObject) -> None:
    """NaN or infinity at any place of a data set, which is named."""
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    values = np.zeros(shape)
    where = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    values[where] = data.draw(st.sampled_from([np.nan, np.inf]))
    rejects(lambda: _check.matrix("data", values), f"data{list(where)} must be")


@pytest.mark.parametrize(
    "value", [[], [[]], [1.0], np.zeros((2, 2, 2)), [["a"]], [[1j]], [[1], [2, 3]], 3, None]
)
def test_matrix_rejects_shapes(value: Any) -> None:
    """What has not two dimensions, or holds no numbers."""
    rejects(lambda: _check.matrix("data", value), "data must be", allowed="[sample, feature]")


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        2**31,
        True,
        1.0,
        "3",
        [],
        [1, 1],
        [-1],
        [2**31],
        [0.0],
        [[1]],
        None,
        np.array(3),
        np.zeros(2),
        {1, 2},
        b"a",
    ],
    ids=repr,
)
def test_seeds_reject(value: Any) -> None:
    """Counts below one, repeated or negative seeds, anything but whole numbers."""
    rejects(lambda: _check.seeds_of(value), "seeds", allowed="whole number")


def test_seeds_accept() -> None:
    """A count stands for the first seeds, a sequence for itself, in its order."""
    assert _check.seeds_of(3).tolist() == [0, 1, 2]
    assert _check.seeds_of(range(5, 7)).tolist() == [5, 6]
    assert _check.seeds_of(np.array([9, 4])).tolist() == [9, 4]
    assert _check.seeds_of([9]).dtype == np.int64


arrays = hnp.arrays(
    np.float64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.integers(-3, 3).map(float)
)


@given(arrays, arrays)
def test_frozen_arrays_compare_by_content(a: np.ndarray, b: np.ndarray) -> None:
    """Equal where shape and content are; then the hashes are equal too."""
    x, y = FrozenArray(a), FrozenArray(b)
    same = a.shape == b.shape and bool((a.view(np.int64) == b.view(np.int64)).all())
    assert (x == y) == same
    assert FrozenArray(a.copy()) == x
    assert hash(FrozenArray(a.copy())) == hash(x)
    if a.shape == b.shape and same:
        assert hash(x) == hash(y)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_frozen_arrays_stay_frozen(again: Any) -> None:
    """The content cannot change, neither through the source nor through a copy."""
    source = np.arange(3.0)
    frozen = FrozenArray(source)
    source[0] = 9
    copied = again(frozen)
    assert copied == frozen
    assert np.asarray(copied).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(copied)[0] = 1
    np.array(copied)[0] = 1  # a copy of its own
    assert np.asarray(copied)[0] == 0


@given(hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-1e9, 1e9)))
def test_short_frozen_arrays_show_every_digit(values: np.ndarray) -> None:
    """So that what is printed can be read back exactly."""
    assert FrozenArray(eval(repr(FrozenArray(values)))) == FrozenArray(values)


def test_long_frozen_arrays_show_a_digest() -> None:
    """Long ones do not fill the screen, and still differ."""
    a, b = FrozenArray(np.zeros(50)), FrozenArray(np.ones(50))
    assert len(repr(a)) < 60
    assert repr(a) != repr(b)


def test_long_values_are_cut_in_messages() -> None:
    """A complaint about a large array stays short."""
    assert len(str(_check.fail("x", np.arange(10_000.0).tolist(), "short"))) < 300
