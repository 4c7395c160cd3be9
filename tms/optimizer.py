"""Optimisers, written as torch's are, so that results carry over."""

from __future__ import annotations

from dataclasses import dataclass

from tms import _check
from tms._description import Description, parameter
from tms.axis import OrAxis
from tms.schedule import Schedule

_POSITIVE = _check.number(0.0, open_low=True)
_BETA = _check.number(0.0, 1.0, open_high=True)
_NONNEGATIVE = _check.number(0.0)


def _rate(name: str, value: object) -> object:
    """A learning rate: a number, or a schedule."""
    if isinstance(value, Schedule):
        return value
    try:
        return _NONNEGATIVE(name, value)
    except ValueError:
        raise _check.fail(name, value, "a finite number with 0 <= value, or a schedule") from None


class Optimizer(Description):
    """Base of all optimisers."""

    lr: OrAxis[float | Schedule]


@dataclass(frozen=True, kw_only=True, repr=False)
class SGD(Optimizer):
    """Gradient descent with momentum: v ← momentum · v + g, θ ← θ − lr · v.

    Parameters
    ----------
    lr
        Learning rate: a number or a schedule (`Linear`, `Cosine`, `WarmupCosine`).
    momentum
        Between 0 and 1, 1 excluded.

    Examples
    --------
    >>> import tms
    >>> tms.SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9)
    """

    lr: OrAxis[float | Schedule] = parameter(_rate, vector=True)
    momentum: OrAxis[float] = parameter(_BETA, default=0.0, vector=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Adam(Optimizer):
    """Adam with bias correction (Kingma & Ba, 2015).

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − lr · m̂ / (√v̂ + eps), with m̂ = m / (1 − β₁ᵗ),
    v̂ = v / (1 − β₂ᵗ) at the t-th update.

    Parameters
    ----------
    lr
        Learning rate: a number or a schedule (`Linear`, `Cosine`, `WarmupCosine`).
    beta1, beta2
        β₁ and β₂, between 0 and 1, 1 excluded.
    eps
        More than 0.

    Examples
    --------
    >>> import tms
    >>> tms.Adam()
    Adam()
    """

    lr: OrAxis[float | Schedule] = parameter(_rate, default=1e-3, vector=True)
    beta1: OrAxis[float] = parameter(_BETA, default=0.9, vector=True)
    beta2: OrAxis[float] = parameter(_BETA, default=0.999, vector=True)
    eps: OrAxis[float] = parameter(_POSITIVE, default=1e-8, vector=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019): first θ ← (1 − lr · weight_decay) θ.

    Everything decays, biases too, as in torch.

    Parameters
    ----------
    lr, beta1, beta2, eps
        As for `Adam`.
    weight_decay
        Not negative.

    Examples
    --------
    >>> import tms
    >>> tms.AdamW(weight_decay=0.1)
    AdamW(weight_decay=0.1)
    """

    lr: OrAxis[float | Schedule] = parameter(_rate, default=1e-3, vector=True)
    beta1: OrAxis[float] = parameter(_BETA, default=0.9, vector=True)
    beta2: OrAxis[float] = parameter(_BETA, default=0.999, vector=True)
    eps: OrAxis[float] = parameter(_POSITIVE, default=1e-8, vector=True)
    weight_decay: OrAxis[float] = parameter(_NONNEGATIVE, default=0.01, vector=True)
