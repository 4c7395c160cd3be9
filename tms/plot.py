"""Figures in one house style.

Every function takes what `tms.train` returned, or a selection of it, and gives a matplotlib figure back. A
dimension that is left over becomes a row of panels. Nothing here changes matplotlib's settings for others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tms import geometry
from tms._check import fail

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito's colours, told apart under the common colour blindnesses; black and grey are for theory.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
THEORY = "#444444"
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"

STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "tms",
}

WIDTH = 7.2  # inches: the width of the book's text


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function under the house style; for figures of one's own too."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with plt.rc_context(STYLE):
            return function(*args, **kwargs)

    return inner


@styled
def figure(n_rows: int = 1, n_columns: int = 1, *, height: float = 2.6, **kwargs: Any) -> tuple[Figure, Any]:
    """An empty figure in the house style: as `matplotlib.pyplot.subplots`, but as wide as the text.

    Parameters
    ----------
    n_rows, n_columns
        Panels.
    height
        Inches, of one row.
    **kwargs
        For `matplotlib.pyplot.subplots`.

    Examples
    --------
    >>> import tms.plot
    >>> fig, ax = tms.plot.figure()
    >>> ax.plot([1, 2])  # doctest: +ELLIPSIS
    [...]
    """
    return plt.subplots(n_rows, n_columns, figsize=(WIDTH, height * n_rows), **kwargs)


@styled
def directions(runs: xr.Dataset, *, labels: bool = True, columns: int = 5, titles: Any = None) -> Figure:
    """The direction of every feature in the plane, one panel for each model.

    Write directions are lines from the origin with a dot; where a model is untied, read directions are dashed
    lines with a cross. The colour runs over the features in order. The unit circle is drawn for scale.

    Parameters
    ----------
    runs
        Models with two hidden dimensions, along at most one dimension besides "feature" and "hidden".
    labels
        Whether to write a panel's coordinate above it.
    columns
        Panels in a row.
    titles
        What to write above the panels instead.

    Raises
    ------
    ValueError
        If there are not two hidden dimensions, or too many others.

    Examples
    --------
    >>> import tms, tms.plot
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> fig = tms.plot.directions(tms.train(experiment, seeds=3))
    >>> len(fig.axes)
    3
    """
    if runs.sizes["hidden"] != 2:
        raise fail("runs", f"{runs.sizes['hidden']} hidden dimensions", "of 2 hidden dimensions")
    fig, panels = _panels(runs, columns, height=None, titles=titles if labels else None, blank=not labels)
    colors = colormaps[SEQUENTIAL](np.linspace(0.0, 0.9, runs.sizes["feature"]))
    extent = 1.15 * max(1.0, float(np.nanmax(abs(runs.W))), float(np.nanmax(abs(runs.get("W_out", runs.W)))))
    turn = np.linspace(0, 2 * np.pi, 200)
    for ax, run in panels:
        ax.plot(np.cos(turn), np.sin(turn), color="0.85", linewidth=0.8, zorder=0)
        for name, style, marker in (("W", "-", "o"), ("W_out", "--", "x")):
            if name not in run:
                continue
            for (x, y), color in zip(run[name].transpose("feature", "hidden").values, colors, strict=True):
                ax.plot([0, x], [0, y], style, color=color, linewidth=1.3)
                ax.plot([x], [y], marker, color=color, markersize=4)
        ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
    return fig


@styled
def gram(runs: xr.Dataset, *, columns: int = 5, titles: Any = None) -> Figure:
    """The Gram matrix of every model with its end bias in a column beside it, one panel for each model.

    Row i is output i; blue is negative, red positive, on one scale for all panels, with 1 at full colour.

    Parameters
    ----------
    runs
        Models along at most one dimension besides "feature" and "hidden".
    columns
        Panels in a row.
    titles
        What to write above the panels; their coordinates if None.

    Raises
    ------
    ValueError
        If there are too many dimensions.

    Examples
    --------
    >>> import tms, tms.plot
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> fig = tms.plot.gram(tms.train(experiment, seeds=3))
    """
    fig, panels = _panels(runs, columns, height=None, titles=titles)
    n = runs.sizes["feature"]
    image = None
    for ax, run in panels:
        image = _draw_gram(ax, run, n)
    fig.colorbar(image, ax=[ax for ax, _ in panels], shrink=0.7, pad=0.01, fraction=0.02)
    return fig


@styled
def features(runs: xr.Dataset, *, titles: Any = None, height: float = 3.4) -> Figure:
    """The paper's summary of a model, one column for each: Gram matrix and bias above, norms below.

    The bars are the norms ‖W_i‖, coloured by the interference Σ_{j≠i} (Ŵ_i · W_j)² that the paper calls
    superposition, from 0 (dark: a dimension of its own) to 1 and more (yellow).

    Parameters
    ----------
    runs
        Models along at most one dimension besides "feature" and "hidden".
    titles
        What to write above the columns; their coordinates if None.
    height
        Inches.

    Raises
    ------
    ValueError
        If there are too many dimensions.

    Examples
    --------
    >>> import tms, tms.plot
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> fig = tms.plot.features(tms.train(experiment, seeds=3))
    """
    models = _models(runs)
    n, count = runs.sizes["feature"], len(models)
    fig, axes = plt.subplots(
        2, count, figsize=(WIDTH, height), squeeze=False, gridspec_kw={"height_ratios": [1, 0.9]}
    )
    names = _titles(models, titles)
    scale = plt.Normalize(0, 1)
    image = None
    limit = 1.05 * max(1.0, max(float(geometry.feature_norms(run.W).max()) for run in models))
    for column, (run, name) in enumerate(zip(models, names, strict=True)):
        top, bottom = axes[0, column], axes[1, column]
        image = _draw_gram(top, run, n)
        top.set_title(name)
        amount = geometry.interference(run.W)
        bottom.barh(
            np.arange(n),
            geometry.feature_norms(run.W),
            color=colormaps[SEQUENTIAL](scale(amount)),
            height=0.9,
        )
        bottom.set(xlim=(0, limit), ylim=(n - 0.5, -0.5), yticks=[])
        if column == 0:
            bottom.set_ylabel("feature")
        bottom.set_xlabel("norm")
    fig.colorbar(image, ax=list(axes[0]), shrink=0.9, pad=0.01, fraction=0.02, label="weight")
    bar = plt.cm.ScalarMappable(scale, SEQUENTIAL)
    fig.colorbar(
        bar, ax=list(axes[1]), shrink=0.9, pad=0.01, fraction=0.02, label="interference", extend="max"
    )
    return fig


@styled
def loss_curves(
    runs: xr.Dataset, *, theory: float | dict[str, float] | None = None, ax: Axes | None = None
) -> Figure:
    """Loss against step, both on log scales; one thin line for each model.

    Parameters
    ----------
    runs
        Models along at most two dimensions; the first that is not the seed gives the colours.
    theory
        Level, or levels by name, to draw as dashed lines.
    ax
        Where to draw; a new figure if None.

    Examples
    --------
    >>> import tms, tms.plot
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> fig = tms.plot.loss_curves(tms.train(experiment, seeds=3), theory=0.1)
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(WIDTH, 2.8))
    curves = runs.loss_curve
    groups = [str(dim) for dim in curves.dims if dim not in ("seed", "loss_step")]
    if len(groups) > 1:
        raise fail("runs", f"dimensions {curves.dims}", "of one dimension besides the seed")
    step = np.maximum(curves.loss_step, 0.5)  # so that step 0 has a place on a log axis
    parts = list(curves.groupby(groups[0])) if groups else [("", curves)]
    colors = colormaps[SEQUENTIAL](np.linspace(0, 0.9, len(parts))) if len(parts) > len(COLORS) else COLORS
    for (label, part), color in zip(parts, colors, strict=False):
        lines = part.transpose("loss_step", ...).values.reshape(curves.sizes["loss_step"], -1)
        drawn = ax.plot(step, lines, color=color, linewidth=0.7, alpha=max(0.25, 1 / lines.shape[1] ** 0.5))
        drawn[0].set_label(f"{groups[0]} = {_short(label)}" if groups else None)
    levels = theory if isinstance(theory, dict) else {} if theory is None else {"theory": theory}
    for name, level in levels.items():
        ax.axhline(level, color=THEORY, linestyle="--", linewidth=1.0, label=name)
    ax.set(xscale="log", yscale="log", xlabel="step", ylabel="loss")
    if groups or levels:
        ax.legend()
    return ax.get_figure()


def _draw_gram(ax: Axes, run: xr.Dataset, n: int) -> Any:
    """Gram matrix, a gap, and the bias as one more column."""
    matrix = geometry.gram(run.W, run.get("W_out"))
    width = max(1, n // 8)
    values = np.full((n, n + 2 * width), np.nan)
    values[:, :n] = matrix.transpose("feature", "other_feature").values
    if "b" in run:
        values[:, -width:] = run.b.values[:, None]
    image = ax.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1, aspect="equal", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return image


def _models(runs: xr.Dataset) -> list[xr.Dataset]:
    """One dataset for each model along the dimension that is left over."""
    extra = [str(dim) for dim in runs.W.dims if dim not in ("feature", "hidden")]
    extra = [dim for dim in extra if runs.sizes[dim] > 1] or extra[:1]
    if len(extra) > 1:
        raise fail(
            "runs",
            f"dimensions {runs.W.dims}",
            "of one dimension besides feature and hidden: select the others",
        )
    runs = runs.squeeze([dim for dim in runs.W.dims if dim not in ("feature", "hidden", *extra)], drop=True)
    return [runs.isel({extra[0]: i}) for i in range(runs.sizes[extra[0]])] if extra else [runs]


def _titles(models: list[xr.Dataset], titles: Any) -> list[str]:
    if titles is not None:
        if len(titles) != len(models):
            raise fail("titles", titles, f"{len(models)} of them, one for each panel")
        return [str(title) for title in titles]
    if len(models) == 1:
        return [""]
    known = [{k: v.item() for k, v in run.coords.items() if v.ndim == 0} for run in models]
    varying = [k for k in known[0] if len({repr(one.get(k)) for one in known}) > 1]
    varying = [
        k for k in varying if k != "seed"
    ] or varying  # which seed was best is of no interest beside an axis
    return ["\n".join(f"{k} = {_short(one[k])}" for k in varying) for one in known]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _panels(
    runs: xr.Dataset, columns: int, *, height: float | None, titles: Any, blank: bool = False
) -> tuple[Figure, list[tuple[Axes, xr.Dataset]]]:
    models = _models(runs)
    names = [""] * len(models) if blank else _titles(models, titles)
    n_columns = min(columns, len(models))
    n_rows = -(-len(models) // n_columns)
    side = min(WIDTH / n_columns, 3.2)
    fig, axes = plt.subplots(
        n_rows, n_columns, figsize=(side * n_columns, (height or side * 1.08) * n_rows), squeeze=False
    )
    for ax in axes.flat[len(models) :]:
        ax.axis("off")
    for ax, name in zip(axes.flat, names, strict=False):
        ax.set_title(name)
    return fig, list(zip(axes.flat, models, strict=False))
