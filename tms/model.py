"""The models: a bottleneck, and what reads from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tms import _check
from tms._description import Description, parameter
from tms.axis import OrAxis

ACTIVATIONS = ("linear", "relu", "gelu")
BIASES = ("none", "hidden", "end", "both")
BILINEAR_BIASES = ("both", "one", "none")

Activation = str | Callable[..., Any]


class Model(Description):
    """Base of all models: sizes, and which parameters there are."""

    n_features: int
    n_hidden: int

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters of a model of which nothing is an axis."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, repr=False)
class Autoencoder(Model):
    """The toy model: n features are written into m hidden dimensions and read from them again.

    With the write direction W_i and the read direction R_i of feature i, both vectors in m dimensions,

        h = hidden_activation(Σ_i x_i W_i + b_hidden),        x̂_i = activation(R_i · h + b_i).

    In a tied model R_i = W_i: one parameter, not two that are kept equal. This is the ReLU output model of
    Elhage et al. (2022).

    Parameters
    ----------
    n_features
        Number of features, n. At most 65,536.
    n_hidden
        Number of hidden dimensions, m.
    tied
        Whether a feature is read along the direction that it is written to.
    bias
        Where a bias is added: "none", "hidden", "end" (the paper's model) or "both".
    activation
        At the end: "linear", "relu", "gelu" (the exact one, with erf), or any elementwise torch callable. If
        that is a ``torch.nn.Module``, its own parameters are not trained.
    hidden_activation
        In the hidden layer, likewise; "linear" in the paper's model.

    Raises
    ------
    ValueError
        If a parameter is not of the kind described, naming it.

    Examples
    --------
    >>> import tms
    >>> tms.Autoencoder(n_features=5, n_hidden=2)
    Autoencoder(n_features=5, n_hidden=2)
    """

    n_features: int = parameter(_check.integer(1, 65_536), axis=False)
    n_hidden: int = parameter(_check.integer(1, 65_536), axis=False)
    tied: OrAxis[bool] = parameter(_check.flag, default=True)
    bias: OrAxis[str] = parameter(_check.choice(*BIASES), default="end")
    activation: OrAxis[Activation] = parameter(_check.choice(*ACTIVATIONS, or_callable=True), default="relu")
    hidden_activation: OrAxis[Activation] = parameter(
        _check.choice(*ACTIVATIONS, or_callable=True), default="linear"
    )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters of a model of which nothing is an axis: W, and W_out, b, b_hidden as it has them."""
        has = {"W_out": not self.tied, "b": self.has_end_bias, "b_hidden": self.has_hidden_bias}
        return ("W", *(name for name, there in has.items() if there))

    @property
    def has_end_bias(self) -> bool:
        """Whether there is an end bias."""
        return self._one_bias() in ("end", "both")

    @property
    def has_hidden_bias(self) -> bool:
        """Whether there is a hidden bias."""
        return self._one_bias() in ("hidden", "both")

    def _one_bias(self) -> str:
        if not isinstance(self.bias, str):
            raise _check.fail(
                "Autoencoder.bias", self.bias, "one value and no axis, to say which biases there are"
            )
        return self.bias


@dataclass(frozen=True, kw_only=True, repr=False)
class Bilinear(Model):
    """The bilinear model: two linear reads of one hidden layer, multiplied.

    With the write direction W_i, the read direction R_i and the gate direction S_i of feature i, all vectors
    in m dimensions,

        h = Σ_i x_i W_i,        x̂_i = (R_i · h + b_i) (S_i · h + c_i).

    There is no other activation: this is a gated linear unit without a gating function (Dauphin et al.,
    2017; Shazeer, 2020). Read and gate may be exchanged, and scaled against each other, R_i and b_i by t and
    S_i and c_i by 1/t, without any change in what comes out. `interactions` shows what does not depend on
    that, and `fold` takes the biases into the weights.

    Parameters
    ----------
    n_features
        Number of features, n. At most 65,536.
    n_hidden
        Number of hidden dimensions, m.
    bias
        "both" (b and c), "one" (b alone: c = 0) or "none".

    Raises
    ------
    ValueError
        If a parameter is not of the kind described, naming it.

    Examples
    --------
    >>> import tms
    >>> tms.Bilinear(n_features=5, n_hidden=2, bias="one")
    Bilinear(n_features=5, n_hidden=2, bias='one')
    """

    n_features: int = parameter(_check.integer(1, 65_536), axis=False)
    n_hidden: int = parameter(_check.integer(1, 65_536), axis=False)
    bias: str = parameter(_check.choice(*BILINEAR_BIASES), default="both", axis=False)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """W, W_out (read), W_gate, and b and b_gate as it has them."""
        biases = {"both": ("b", "b_gate"), "one": ("b",), "none": ()}
        return ("W", "W_out", "W_gate", *biases[self.bias])
