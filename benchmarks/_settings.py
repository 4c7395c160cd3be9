"""What is trained in the comparisons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import tms


@dataclass(frozen=True)
class Setting:
    """Some models that are trained at once.

    Attributes
    ----------
    probability
        Feature probability of each instance; None for one-hot inputs, one full batch.
    importance
        Of each feature.
    """

    name: str
    n_features: int
    n_hidden: int
    probability: tuple[float, ...] | None
    importance: tuple[float, ...]
    instances: int
    batch_size: int = 1024

    @property
    def samples(self) -> int:
        return self.batch_size if self.probability else self.n_features

    @property
    def operations(self) -> float:
        """Floating-point operations in the five matrix products of one step of all instances."""
        return 10.0 * self.n_features * self.n_hidden * self.samples * self.instances

    def experiment(self, steps: int) -> tms.Experiment:
        inputs: tms.inputs.Inputs = tms.OneHot()
        if self.probability:
            values = tms.axis("p", list(self.probability), labels=list(range(len(self.probability))))
            inputs = tms.SparseUniform(feature_probability=values)
        return tms.Experiment(
            model=tms.Autoencoder(n_features=self.n_features, n_hidden=self.n_hidden),
            inputs=inputs,
            loss=tms.MSE(importance=np.array(self.importance)),
            optimizer=tms.AdamW(lr=1e-3, weight_decay=0.01),
            steps=steps,
            batch_size=self.batch_size if self.probability else None,
        )


def _spaced(base: float, count: int) -> tuple[float, ...]:
    return tuple((base ** -np.linspace(0, 1, count)).tolist())


def wide(p: float) -> Setting:
    """200→20 with one feature probability."""
    return Setting(f"200→20, p = {p:g}", 200, 20, (p,) * 20, (1.0,) * 200, 20)


SETTINGS = [
    Setting("5→2", 5, 2, _spaced(20.0, 10), tuple((0.9 ** np.arange(5)).tolist()), 10),
    Setting("20→5", 20, 5, _spaced(20.0, 10), tuple((0.9 ** np.arange(20)).tolist()), 10),
    Setting("80→20", 80, 20, _spaced(20.0, 10), tuple((0.9 ** np.arange(80)).tolist()), 10),
    Setting("100→20", 100, 20, _spaced(20.0, 20), _spaced(100.0, 100), 20),
    Setting("200→20", 200, 20, _spaced(20.0, 20), (1.0,) * 200, 20),
    Setting("one-hot 40→2", 40, 2, None, (1.0,) * 40, 64),
]
