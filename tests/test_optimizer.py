"""Descriptions of optimisers. Their steps are tested with the engine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tms
from tests.wrong import NOT_A_NUMBER, NOT_FINITE, rejects

ALL = [tms.SGD, tms.Adam, tms.AdamW]
ADAMS = [tms.Adam, tms.AdamW]


@pytest.mark.parametrize("kind", ALL)
@given(value=NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12))
def test_wrong_rate(kind: Any, value: Any) -> None:
    """A rate is a number from 0 on, or a schedule."""
    rejects(lambda: kind(lr=value), f"{kind.__name__}.lr", value, "or a schedule")


@pytest.mark.parametrize("kind", ADAMS)
@pytest.mark.parametrize("name", ["beta1", "beta2"])
@given(value=NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12) | st.floats(1, 9))
def test_wrong_beta(kind: Any, name: str, value: Any) -> None:
    """Below one, or the moments would never move."""
    rejects(lambda: kind(**{name: value}), f"{kind.__name__}.{name}", value, "0 <= value < 1")


@pytest.mark.parametrize("kind", ADAMS)
@given(value=NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=0.0))
def test_wrong_eps(kind: Any, value: Any) -> None:
    """Above zero, or features that are never active would divide zero by zero."""
    rejects(lambda: kind(eps=value), f"{kind.__name__}.eps", value, "0 < value")


@given(NOT_A_NUMBER | NOT_FINITE | st.floats(max_value=-1e-12))
def test_wrong_momentum_and_decay(value: Any) -> None:
    """Neither is negative; momentum is below one."""
    rejects(lambda: tms.SGD(lr=0.1, momentum=value), "SGD.momentum", value, "0 <= value < 1")
    rejects(lambda: tms.SGD(lr=0.1, momentum=1.0), "SGD.momentum", 1.0, "0 <= value < 1")
    rejects(lambda: tms.AdamW(weight_decay=value), "AdamW.weight_decay", value, "0 <= value")


def test_kinds_are_told_apart() -> None:
    """Adam is not AdamW, even with the same numbers; SGD has no default rate."""
    assert tms.Adam() != tms.AdamW()
    assert tms.Adam() != tms.AdamW(weight_decay=0.0)
    assert tms.Adam(lr=1e-3) == tms.Adam()
    with pytest.raises(TypeError, match="lr"):
        tms.SGD()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="weight_decay"):
        tms.Adam(weight_decay=0.1)  # type: ignore[call-arg]
