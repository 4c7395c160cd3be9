"""The model: an autoencoder with a bottleneck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tms import _check
from tms._description import Description, parameter
from tms.axis import OrAxis

ACTIVATIONS = ("linear", "relu", "gelu")
BIASES = ("none", "hidden", "end", "both")

Activation = str | Callable[..., Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class Autoencoder(Description):
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
