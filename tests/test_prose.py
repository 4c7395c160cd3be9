"""Numbers that are put aside for the prose."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import tms


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reaches MyST, by name."""
    import myst_nb

    seen: dict[str, Any] = {}

    def put(name: str, value: Any, display: bool = True) -> None:
        assert not display
        seen[name] = value

    monkeypatch.setattr(myst_nb, "glue", put)
    return seen


def test_numbers_of_numpy_become_plain(aside: dict[str, Any]) -> None:
    tms.glue(angle=np.float64(0.5), count=np.int32(3), share=0.25)
    assert aside == {"angle": 0.5, "count": 3, "share": 0.25}
    assert [type(value) for value in aside.values()] == [float, int, float]


def test_fractions_bring_their_interval(aside: dict[str, Any]) -> None:
    found = tms.fraction([True] * 30 + [False] * 70)
    tms.glue(found=found)
    assert aside["found"] == str(found)
    assert "30" in aside["found"]


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    with pytest.raises(ImportError, match="extra 'notebook'"):
        tms.glue(n=1)
