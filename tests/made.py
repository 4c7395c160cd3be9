"""Runs with given weights: made by the real training function, at a learning rate of 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import tms


def made(
    W: Any,
    *,
    p: Any = 0.5,
    inputs: tms.inputs.Inputs | None = None,
    loss: Any = None,
    bias: str | None = None,
    batch_size: int | None = 4,
    seeds: Any = None,
    samples: int = 4,
    W_out: Any = None,
    b: Any = None,
    b_hidden: Any = None,
    **model: Any,
) -> xr.Dataset:
    """Runs whose parameters are these arrays, in float64; the kind of model follows from what is given.

    Without seeds, there is no such dimension.
    """
    n, m = (W.sizes[d] for d in ("feature", "hidden")) if isinstance(W, xr.DataArray) else np.shape(W)
    if bias is None:
        bias = {(0, 0): "none", (1, 0): "end", (0, 1): "hidden", (1, 1): "both"}[
            b is not None, b_hidden is not None
        ]
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=n, n_hidden=m, bias=bias, **{"tied": W_out is None, **model}),
        inputs=tms.SparseUniform(feature_probability=p) if inputs is None else inputs,
        loss=tms.MSE(reduction="feature_sum") if loss is None else loss,
        init=tms.Given(W=W, W_out=W_out, b=b, b_hidden=b_hidden),
        optimizer=tms.SGD(lr=0.0),
        steps=1,
        batch_size=batch_size,
        dtype="float64",
    )
    runs = tms.train(
        experiment, seeds=1 if seeds is None else seeds, engine="torch", evaluation_samples=samples
    )
    return runs.isel(seed=0) if seeds is None else runs


def stacked(array: np.ndarray, *inner: str) -> xr.DataArray:
    """[seed, ...] with the seeds numbered."""
    return xr.DataArray(array, dims=("seed", *inner), coords={"seed": np.arange(len(array))})
