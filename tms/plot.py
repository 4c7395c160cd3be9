"""Figures in one house style.

Every function takes what `tms.train` returned, or a selection of it, and gives a matplotlib figure back. A
dimension that is left over becomes a row of panels. Nothing here changes matplotlib's settings for others.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from cycler import cycler
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tms import _check, geometry
from tms._check import fail

__all__ = ["directions", "features", "figure", "gram", "loss_curves", "map", "save"]

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito's colours, told apart under the common colour blindnesses; black and grey are for theory.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
THEORY = "#444444"
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLORS),
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "tms",
}

_DIRECTIONS = {"W": ("-", "o"), "W_out": ("--", "x"), "W_gate": (":", "+")}

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

    Returns
    -------
    tuple
        The figure, and its panels: one, or an array of them.

    Raises
    ------
    ValueError
        If a number of panels is not positive.

    Examples
    --------
    >>> import tms.plot
    >>> fig, ax = tms.plot.figure()
    >>> ax.plot([1, 2])  # doctest: +ELLIPSIS
    [...]
    """
    return plt.subplots(n_rows, n_columns, figsize=(WIDTH, height * n_rows), **kwargs)


@styled
def save(fig: Figure, path: str | Path) -> None:
    """Write a figure to a file, in the format that the ending of its name says, such as .svg.

    Figures drawn alike give the same bytes, since neither the date nor random identifiers are written. From
    then on the layout stays as it is.

    Parameters
    ----------
    fig
        The figure.
    path
        Where to.

    Raises
    ------
    ValueError
        If the ending is that of no format known.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import tms.plot
    >>> fig, ax = tms.plot.figure()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tms.plot.save(fig, pathlib.Path(folder) / "empty.svg")
    """
    fig.draw_without_rendering()  # finds the layout, which would still move a little at the next drawing
    fig.set_layout_engine("none")
    date = {".svg": "Date", ".pdf": "CreationDate"}.get(Path(path).suffix)
    fig.savefig(path, metadata={date: None} if date else None)


@styled
def directions(runs: xr.Dataset, *, labels: bool = True, columns: int = 5, titles: Any = None) -> Figure:
    """The direction of every feature in the plane, one panel for each model.

    Write directions are lines from the origin with a dot; where a model is untied, read directions are dashed
    lines with a cross; the gate directions of a bilinear model are dotted lines with a plus. The colour runs
    over the features in order. The unit circle is drawn for scale.

    Parameters
    ----------
    runs
        Models with two hidden dimensions, along at most one dimension besides "feature" and "hidden".
    labels
        Whether to write anything above the panels.
    columns
        Panels in a row.
    titles
        What to write above the panels; their coordinates if None.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

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
    _check.runs(runs, "W")
    if runs.sizes["hidden"] != 2:
        raise fail("runs", f"{runs.sizes['hidden']} hidden dimensions", "of 2 hidden dimensions")
    fig, panels = _panels(runs, columns, height=1.0, titles=titles, blank=not labels)
    colors = colormaps[SEQUENTIAL](np.linspace(0.0, 0.9, runs.sizes["feature"]))
    extent = 1.15 * max(1.0, *(_largest(abs(runs[name])) for name in _DIRECTIONS if name in runs))
    turn = np.linspace(0, 2 * np.pi, 200)
    for ax, run in panels:
        ax.plot(np.cos(turn), np.sin(turn), color="0.85", linewidth=0.8, zorder=0)
        for name, (style, marker) in _DIRECTIONS.items():
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

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ValueError
        If there are too many dimensions, or models are bilinear.

    Examples
    --------
    >>> import tms, tms.plot
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2), inputs=tms.OneHot(), steps=5
    ... )
    >>> fig = tms.plot.gram(tms.train(experiment, seeds=3))
    """
    _check.runs(runs, "W")
    n = runs.sizes["feature"]
    fig, panels = _panels(runs, columns, height=n / (n + _bias_width(runs, n)), titles=titles)
    image: Any = None
    for ax, run in panels:
        image = _draw_gram(ax, run, n)
    axes = [ax for ax, _ in panels]
    fig.colorbar(image, ax=axes, shrink=0.7, pad=0.01, fraction=0.03, ticks=[-1, 0, 1], extend="both")
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

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ValueError
        If there are too many dimensions, or models are bilinear.

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
    side = min(2.4, (WIDTH - 0.9) / count)
    names, heading = _titles(models, titles, side)
    fig, axes = plt.subplots(
        2, count, figsize=(side * count + 0.9, height), squeeze=False, gridspec_kw={"height_ratios": [1, 0.9]}
    )
    _set_heading(fig, heading)
    scale = Normalize(0, 1)
    image: Any = None
    limit = 1.05 * max(1.0, _largest(geometry.feature_norms(runs.W)))
    for column, (run, name) in enumerate(zip(models, names, strict=True)):
        top, bottom = axes[0, column], axes[1, column]
        image = _draw_gram(top, run, n)
        top.set_title(name)
        top.set_anchor("W")
        norms, amount = geometry.feature_norms(run.W), geometry.interference(run.W)
        bottom.barh(
            np.arange(n),
            norms.where(np.isfinite(norms), 0.0),
            color=colormaps[SEQUENTIAL](scale(amount)),
            height=0.9 if n <= 30 else 1.0,
        )
        bottom.set(xlim=(0, limit), ylim=(n - 0.5, -0.5), yticks=[])
        if column == 0:
            bottom.set_ylabel("feature")
        bottom.set_xlabel("norm")
    options: dict[str, Any] = {"shrink": 0.9, "pad": 0.01, "fraction": 0.02, "panchor": False}
    fig.colorbar(image, ax=list(axes[0]), label="Gram, bias", ticks=[-1, 0, 1], extend="both", **options)
    bar = plt.cm.ScalarMappable(scale, SEQUENTIAL)
    fig.colorbar(bar, ax=list(axes[1]), label="interference", ticks=[0, 0.5, 1], extend="max", **options)
    return fig


@styled
def loss_curves(
    runs: xr.Dataset, *, theory: float | dict[str, float] | None = None, ax: Axes | None = None
) -> Figure:
    """Loss against step, both on log scales; one thin line for each model. Step 0 is drawn at ½.

    Parameters
    ----------
    runs
        Models along at most two dimensions; the first that is not the seed gives the colours.
    theory
        Level, or levels by name, to draw as dashed lines.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

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
    >>> fig = tms.plot.loss_curves(tms.train(experiment, seeds=3), theory=0.1)
    """
    _check.runs(runs, "loss_curve")
    curves = runs.loss_curve
    groups = [str(dim) for dim in curves.dims if dim not in ("seed", "loss_step")]
    if len(groups) > 1:
        raise fail("runs", f"dimensions {curves.dims}", "of one dimension besides the seed")
    if ax is None:
        _, ax = plt.subplots(figsize=(WIDTH, 2.8))
    step = np.maximum(curves.loss_step, 0.5)  # so that step 0 has a place on a log axis
    parts = [curves.isel({groups[0]: i}) for i in range(curves.sizes[groups[0]])] if groups else [curves]
    colors = colormaps[SEQUENTIAL](np.linspace(0, 0.9, len(parts))) if len(parts) > len(COLORS) else COLORS
    # Where there are many values, some are named: their colours are in order.
    named = np.linspace(0, len(parts) - 1, min(len(parts), 10)).round()
    for i, (part, color) in enumerate(zip(parts, colors, strict=False)):
        lines = part.transpose("loss_step", ...).values.reshape(curves.sizes["loss_step"], -1)
        lines = np.where(np.isfinite(lines), lines, np.nan)  # of a model that diverged, what can be drawn
        drawn = ax.plot(step, lines, color=color, linewidth=0.7, alpha=max(0.25, 1 / lines.shape[1] ** 0.5))
        if groups and i in named:
            drawn[0].set_label(_short(part.coords[groups[0]].item()))
    levels = theory if isinstance(theory, dict) else {} if theory is None else {"theory": theory}
    for (name, level), style in zip(levels.items(), itertools.cycle(("--", ":", "-."))):
        ax.axhline(level, color=THEORY, linestyle=style, linewidth=1.0, label=name)
    positive = bool(((curves > 0) & (curves < np.inf)).any())
    ax.set(xscale="log", yscale="log" if positive else "linear", xlabel="step", ylabel="loss")
    if groups or levels:
        title = groups[0] if groups else None
        ax.legend(title=title, loc="center left", bbox_to_anchor=(1, 0.5), alignment="left")
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


@styled
def map(
    values: xr.DataArray,
    *,
    x: str | None = None,
    y: str | None = None,
    label: str | None = None,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """A number over two axes of a grid, as colours: a phase diagram.

    An axis is logarithmic where its labels are spaced so. Cells reach half-way to their neighbours; where
    the number is NaN nothing is drawn.

    Parameters
    ----------
    values
        Along two dimensions: fractions or means over seeds, say.
    x, y
        Which dimension goes to the right and which goes up; by default the last one goes to the right.
    label
        What the colours show; the name of the values if None.
    limits
        Where the colours begin and end; at the least and largest finite value if None.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ValueError
        If there are not two dimensions, or x and y are not these.

    Examples
    --------
    >>> import tms, tms.plot
    >>> experiment = tms.Experiment(
    ...     model=tms.Autoencoder(n_features=5, n_hidden=2),
    ...     inputs=tms.SparseUniform(feature_probability=tms.axis("p", [0.01, 0.1, 1.0])),
    ...     optimizer=tms.Adam(lr=tms.axis("lr", [0.001, 0.01])), steps=5, batch_size=8,
    ... )
    >>> runs = tms.train(experiment, seeds=2)
    >>> fig = tms.plot.map(runs.loss.mean("seed"), x="p", y="lr", label="loss")
    """
    dims = [str(dim) for dim in values.dims] if isinstance(values, xr.DataArray) else []
    if len(dims) != 2:
        got = f"dimensions {tuple(dims)}" if dims else f"a {type(values).__name__}"
        raise fail("values", got, "a DataArray of two dimensions: select or average over the others")
    x = x or next(dim for dim in reversed(dims) if dim != y)
    y = y or next(dim for dim in dims if dim != x)
    if {x, y} != set(dims):
        raise fail("x, y", (x, y), f"the two dimensions {tuple(dims)}")
    if ax is None:
        _, ax = plt.subplots(figsize=(0.62 * WIDTH, 3.2))
    grid = values.transpose(y, x)
    shown = np.ma.masked_invalid(grid.values.astype(float))
    low, high = (None, None) if limits is None else limits
    (left, across), (below, upwards) = _cells(grid, x), _cells(grid, y)
    image = ax.pcolormesh(left, below, shown, cmap=SEQUENTIAL, vmin=low, vmax=high, rasterized=True)
    ax.set(xscale=across, yscale=upwards, xlabel=x, ylabel=y)
    for axis, dim in ((ax.xaxis, x), (ax.yaxis, y)):
        if grid[dim].dtype.kind not in "iuf":
            axis.set_ticks(np.arange(grid.sizes[dim]), grid[dim].values.tolist())
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.colorbar(image, ax=ax, label=str(values.name or "") if label is None else label)
    return figure


def _cells(values: xr.DataArray, dim: str) -> tuple[np.ndarray, str]:
    """Edges of the cells along a dimension, and the scale in which they are even."""
    at = values[dim].values
    if at.dtype.kind not in "iuf":
        at = np.arange(len(at))
    at = at.astype(float)
    even = _unevenness(at)
    log = len(at) > 2 and bool((at > 0).all()) and _unevenness(np.log(at)) < even
    at = np.log(at) if log else at
    step = np.diff(at) if len(at) > 1 else np.ones(1)
    edges = np.concatenate(
        [[at[0] - step[0] / 2], at[: len(at) - 1] + step[: len(at) - 1] / 2, [at[-1] + step[-1] / 2]]
    )
    return (np.exp(edges), "log") if log else (edges, "linear")


def _unevenness(at: np.ndarray) -> float:
    """How unlike the distances between neighbours are, in units of their mean."""
    step = np.diff(at)
    return float(np.ptp(step) / abs(step.mean())) if len(step) > 1 and step.mean() else 0.0


def _draw_gram(ax: Axes, run: xr.Dataset, n: int) -> Any:
    """Gram matrix, and the bias as one more column after a gap."""
    if "W_gate" in run and run.W_gate.any():
        allowed = "of models that read once; tms.interactions has the matrices of bilinear ones"
        raise fail("runs", "bilinear models, which multiply two reads", allowed)
    style: dict[str, Any] = {"cmap": DIVERGING, "vmin": -1, "vmax": 1, "interpolation": "nearest"}
    image = ax.imshow(geometry.gram(run.W, run.get("W_out")).values, **style)
    right = n - 0.5 + _bias_width(run, n)
    if "b" in run:
        left = right - 2 / 3 * _bias_width(run, n)
        ax.imshow(run.b.values[:, None], extent=(left, right, n - 0.5, -0.5), **style)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, right), ylim=(n - 0.5, -0.5), aspect="equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    return image


def _largest(values: xr.DataArray) -> float:
    """The largest finite number: models that diverged do not set the scale."""
    return float(values.where(np.isfinite(values), 0.0).max())


def _bias_width(runs: xr.Dataset, n: int) -> float:
    """Width of the bias column with the gap before it, in columns of the Gram matrix."""
    return max(1.5, n / 8) if "b" in runs else 0.0


def _models(runs: xr.Dataset) -> list[xr.Dataset]:
    """One dataset for each model along the dimension that is left over."""
    _check.runs(runs, "W")
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


def _titles(models: list[xr.Dataset], titles: Any, width: float) -> tuple[list[str], str]:
    """What to write above every panel, and above them all; `width` of a panel in inches."""
    if titles is not None:
        titles = [titles] if isinstance(titles, str) else titles
        if len(titles) != len(models):
            raise fail("titles", titles, f"{len(models)} of them, one for each panel")
        return [str(title) for title in titles], ""
    if len(models) == 1:
        return [""], ""
    known = [{k: v.item() for k, v in run.coords.items() if v.ndim == 0} for run in models]
    varying = [str(k) for k in known[0] if len({repr(one.get(k)) for one in known}) > 1]
    varying = [
        k for k in varying if k != "seed"
    ] or varying  # which seed was best is of no interest beside an axis
    lines = [[f"{k} = {_short(one[k])}" for k in varying] for one in known]
    if max((len(line) for panel in lines for line in panel), default=0) <= 14 * width:
        return ["\n".join(panel) for panel in lines], ""
    return [", ".join(_short(one[k]) for k in varying) for one in known], ", ".join(varying)


def _set_heading(fig: Figure, heading: str) -> None:
    if heading:
        fig.suptitle(heading, x=0.01, ha="left", fontsize=STYLE["axes.titlesize"])


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _panels(
    runs: xr.Dataset, columns: int, *, height: float, titles: Any, blank: bool = False
) -> tuple[Figure, list[tuple[Axes, xr.Dataset]]]:
    """A panel for each model; `height` of a panel as a part of its width, the title not counted."""
    models = _models(runs)
    n_columns = min(_check.integer(1)("columns", columns), len(models))
    n_rows = -(-len(models) // n_columns)
    side = min(WIDTH / n_columns, 3.2)
    names, heading = _titles(models, titles, side)
    if blank:
        names, heading = [""] * len(models), ""
    above = 0.18 * max(name.count("\n") + bool(name) for name in names)
    size = (side * n_columns, (side * height + above) * n_rows + 0.2 * bool(heading))
    fig, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="compressed")
    _set_heading(fig, heading)
    for ax in axes.flat[len(models) :]:
        ax.axis("off")
    for ax, name in zip(axes.flat, names, strict=False):
        ax.set_title(name)
    return fig, list(zip(axes.flat, models, strict=False))
