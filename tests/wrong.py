"""Wrong values, and what a complaint about one must look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

NOT_FINITE = st.sampled_from([float("nan"), float("inf"), float("-inf"), np.float32("nan")])
NOT_A_NUMBER = st.sampled_from(
    [None, "0.5", b"1", True, np.True_, 1j, np.complex128(1), Decimal(1), {}, object(), int]
)
NOT_A_WHOLE_NUMBER = NOT_FINITE | NOT_A_NUMBER | st.sampled_from([1.0, 2.5, np.float64(3.0), "3", [3], (3,)])
TOO_LARGE = st.just(10**400)  # for a float


def rejects(make: Callable[[], Any], name: str, value: Any = ..., allowed: str = "must be") -> None:
    """Making it raises a ValueError with the name of the parameter, the value and what is allowed."""
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        make()
    text = str(caught.value)
    assert allowed in text
    assert "; got " in text
    if value is not ...:
        assert repr(value)[:150] in text
