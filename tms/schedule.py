"""Learning-rate schedules. Each gives the rate of the update from step s to s + 1, for s = 0 … steps − 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tms import _check
from tms._description import Description, parameter
from tms.axis import OrAxis

_RATE = _check.number(0.0)


class Schedule(Description):
    """Base of all schedules."""

    @staticmethod
    def rate(progress: float, *_: Any, **values: Any) -> np.ndarray:
        """The learning rate once a fraction `progress` of the run is over; `values` are the parameters."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, repr=False)
class Linear(Schedule):
    """From `start` in a straight line to `end`, which would be reached at the end of the run.

    lr(s) = start + (end − start) s / steps

    Parameters
    ----------
    start, end
        Learning rates, not negative.

    Examples
    --------
    >>> import tms
    >>> tms.Adam(lr=tms.Linear(start=1e-2))
    Adam(lr=Linear(start=0.01))
    """

    start: OrAxis[float] = parameter(_RATE, vector=True)
    end: OrAxis[float] = parameter(_RATE, default=0.0, vector=True)

    @staticmethod
    def rate(progress: float, *, start: np.ndarray, end: np.ndarray, **_: Any) -> np.ndarray:
        lr: np.ndarray = start + (end - start) * progress
        return lr


@dataclass(frozen=True, kw_only=True, repr=False)
class Cosine(Schedule):
    """From `start` along half a cosine to `end`, which would be reached at the end of the run.

    lr(s) = end + (start − end) (1 + cos(π s / steps)) / 2

    Parameters
    ----------
    start, end
        Learning rates, not negative.

    Examples
    --------
    >>> import tms
    >>> tms.Adam(lr=tms.Cosine(start=1e-2, end=1e-4))
    Adam(lr=Cosine(start=0.01, end=0.0001))
    """

    start: OrAxis[float] = parameter(_RATE, vector=True)
    end: OrAxis[float] = parameter(_RATE, default=0.0, vector=True)

    @staticmethod
    def rate(progress: float, *, start: np.ndarray, end: np.ndarray, **_: Any) -> np.ndarray:
        lr: np.ndarray = end + (start - end) * (1 + np.cos(np.pi * progress)) / 2
        return lr


@dataclass(frozen=True, kw_only=True, repr=False)
class WarmupCosine(Schedule):
    """In a straight line from `initial_lr` to `max_lr`, then along half a cosine to `final_lr`.

    The line takes the first `warmup_frac` of the run. With t = s / steps and w = warmup_frac,

        lr(s) = initial_lr + (max_lr − initial_lr) t / w                                for t < w,
        lr(s) = final_lr + (max_lr − final_lr) (1 + cos(π (t − w) / (1 − w))) / 2       from then on.

    Parameters
    ----------
    initial_lr, max_lr, final_lr
        Learning rates, not negative.
    warmup_frac
        Between 0 and 1, 1 excluded; 0 for no warm-up.

    Examples
    --------
    >>> import tms
    >>> tms.WarmupCosine(initial_lr=0.005, max_lr=2.0, final_lr=0.1, warmup_frac=0.05)
    WarmupCosine(initial_lr=0.005, max_lr=2.0, final_lr=0.1, warmup_frac=0.05)
    """

    initial_lr: OrAxis[float] = parameter(_RATE, vector=True)
    max_lr: OrAxis[float] = parameter(_RATE, vector=True)
    final_lr: OrAxis[float] = parameter(_RATE, vector=True)
    warmup_frac: OrAxis[float] = parameter(_check.number(0.0, 1.0, open_high=True), vector=True)

    @staticmethod
    def rate(
        progress: float,
        *,
        initial_lr: np.ndarray,
        max_lr: np.ndarray,
        final_lr: np.ndarray,
        warmup_frac: np.ndarray,
        **_: Any,
    ) -> np.ndarray:
        rising = progress / np.where(warmup_frac > 0, warmup_frac, 1.0)
        falling = np.clip((progress - warmup_frac) / (1 - warmup_frac), 0.0, 1.0)
        down = final_lr + (max_lr - final_lr) * (1 + np.cos(np.pi * falling)) / 2
        lr: np.ndarray = np.where(progress < warmup_frac, initial_lr + (max_lr - initial_lr) * rising, down)
        return lr
