"""The inputs: which vectors of features a model is asked to reproduce."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from tms import _check
from tms._check import FrozenArray
from tms._description import Description, parameter
from tms.axis import Axis, OrAxis


class Inputs(Description):
    """Base of all inputs."""

    @property
    def sampled(self) -> bool:
        """Whether every step draws a new batch. If not, every step sees the same vectors."""
        return True


@dataclass(frozen=True, kw_only=True, repr=False)
class SparseUniform(Inputs):
    """Independent features: each is active with some probability, and then uniform between 0 and 1.

    Parameters
    ----------
    feature_probability
        p = 1 − S, with S the sparsity: how often a feature is active. A number, or one per feature.

    Examples
    --------
    >>> import tms
    >>> tms.SparseUniform(feature_probability=0.1)
    SparseUniform(feature_probability=0.1)
    """

    feature_probability: OrAxis[float | FrozenArray] = parameter(
        _check.number_per_feature(0.0, 1.0), vector=True
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class OneHot(Inputs):
    """Exactly one active feature, of value 1. The n possible inputs are one full batch: the identity.

    Examples
    --------
    >>> import tms
    >>> tms.OneHot().sampled
    False
    """

    @property
    def sampled(self) -> bool:
        return False


@dataclass(frozen=True, kw_only=True, repr=False)
class KSparse(Inputs):
    """Exactly k active features, any k of them equally likely.

    Parameters
    ----------
    k
        Number of active features.
    values
        "uniform" between 0 and 1, or "one".

    Examples
    --------
    >>> import tms
    >>> tms.KSparse(k=2)
    KSparse(k=2)
    """

    k: OrAxis[int] = parameter(_check.integer(1, 65_536))
    values: OrAxis[str] = parameter(_check.choice("uniform", "one"), default="uniform")


@dataclass(frozen=True, kw_only=True, repr=False)
class GroupedSparse(Inputs):
    """Features in sets whose members tend to be active together, or to avoid each other.

    The first `set_size` features are one set, the next another, and so on; sets are independent. In each
    sample, with probability abs(correlation), a set is bound: then either all of its features are active
    (probability p) or none, if the correlation is positive; if it is negative, at most one of them is, each
    with probability p. Otherwise its features are independent. So every feature is active with probability p
    whatever the correlation, and active values are uniform between 0 and 1 and independent, as in
    `SparseUniform`, whose samples these are at a correlation of 0.

    A positive number is Pearson's correlation between the activities of two features of a set: both are
    active with probability c·p + (1 − c)·p². A negative one leaves (1 − abs(c))·p².

    Parameters
    ----------
    set_size
        Features in a set; n_features is a multiple of it.
    feature_probability
        p, the same for all features.
    correlation
        c, from −1 (at most one of a set is active; this needs set_size · p ≤ 1) to 1 (all or none).

    Examples
    --------
    >>> import tms
    >>> tms.GroupedSparse(set_size=2, feature_probability=0.1, correlation=1.0)
    GroupedSparse(set_size=2, feature_probability=0.1, correlation=1.0)
    """

    set_size: OrAxis[int] = parameter(_check.integer(1, 65_536))
    feature_probability: OrAxis[float] = parameter(_check.number(0.0, 1.0), vector=True)
    correlation: OrAxis[float] = parameter(_check.number(-1.0, 1.0), vector=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        fields = (self.set_size, self.feature_probability, self.correlation)
        names = list(dict.fromkeys(field.name for field in fields if isinstance(field, Axis)))
        lengths = {field.name: len(field) for field in fields if isinstance(field, Axis)}
        for place in itertools.product(*(range(lengths[name]) for name in names)):
            at = dict(zip(names, place, strict=True))
            k, p, c = (
                field.values[min(at[field.name], len(field) - 1)] if isinstance(field, Axis) else field
                for field in fields
            )
            # A product such as 3 · (1/3) may come out a last digit above 1.
            if c < 0 and k * p > 1 + 1e-12:
                allowed = f"at most 1 / set_size = {1 / k:g} where the correlation is negative"
                raise _check.fail("GroupedSparse.feature_probability", p, allowed)


@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset(Inputs):
    """Your own inputs, and targets if these are not the inputs themselves.

    With a batch size, each pass over the data visits every sample once, in an order drawn from the seed; the
    last batch of a pass may be smaller. Without one, every step sees the whole data set.

    Parameters
    ----------
    data
        Array or tensor [sample, feature] of finite numbers; kept as float64.
    targets
        What the model should give back, of the same shape; the data itself if None.

    Examples
    --------
    >>> import tms
    >>> tms.Dataset(data=[[1.0, 0.0], [0.0, 1.0]]).n_samples
    2
    """

    data: Any = parameter(_check.matrix)
    targets: Any = parameter(_check.optional(_check.matrix), default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        data = self.data.values if isinstance(self.data, Axis) else (self.data,)
        targets = self.targets.values if isinstance(self.targets, Axis) else (self.targets,)
        together = isinstance(self.data, Axis) and isinstance(self.targets, Axis)
        together = together and self.data.name == self.targets.name
        for x, y in zip(data, targets, strict=False) if together else itertools.product(data, targets):
            if y is not None and y.shape != x.shape:
                raise _check.fail("Dataset.targets", f"shape {y.shape}", f"of the data's shape {x.shape}")

    @property
    def n_samples(self) -> int:
        return len(np.asarray(self.data))

    @property
    def sampled(self) -> bool:
        return False
