"""The loss, with its reduction: what is summed and what is averaged changes the size of every step."""

from __future__ import annotations

from dataclasses import dataclass

from tms import _check
from tms._check import FrozenArray
from tms._description import Description, parameter
from tms.axis import OrAxis

REDUCTIONS = ("mean", "feature_sum", "sum")


@dataclass(frozen=True, kw_only=True, repr=False)
class MSE(Description):
    """Squared error, weighted by the importance of each feature: I_i (x_i − x̂_i)².

    Parameters
    ----------
    importance
        Weight I_i of each feature's error. A number, or one per feature.
    reduction
        "mean" over samples and features (what training loops in the field do); "feature_sum": sum over
        features, mean over samples (the paper's formula); "sum" over both (the loss of one-hot inputs, where
        the n inputs are one batch).

    Examples
    --------
    >>> import tms
    >>> tms.MSE(reduction="sum")
    MSE(reduction='sum')
    """

    importance: OrAxis[float | FrozenArray] = parameter(
        _check.number_per_feature(0.0), default=1.0, vector=True
    )
    reduction: OrAxis[str] = parameter(_check.choice(*REDUCTIONS), default="mean", shown=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class CrossEntropy(Description):
    """Softmax over the outputs, then cross-entropy with the target: −Σ_i t_i log softmax(x̂)_i.

    The sum over features belongs to the cross-entropy itself.

    Parameters
    ----------
    reduction
        "mean" or "sum" over samples.

    Examples
    --------
    >>> import tms
    >>> tms.CrossEntropy()
    CrossEntropy(reduction='mean')
    """

    reduction: OrAxis[str] = parameter(_check.choice("mean", "sum"), default="mean", shown=True)
