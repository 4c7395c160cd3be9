"""Figures: what is drawn is what was asked for, in the house style, and nothing else is touched."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import tms
import tms.plot
from tests.wrong import rejects

P = [1.0, 0.3, 0.05]


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No test leaves matplotlib's settings changed, and figures are closed at its end."""
    mpl.use("agg")
    plt.close("all")
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def train(n: int = 5, m: int = 2, *, seeds: Any = 2, axis: bool = True, **model: Any) -> xr.Dataset:
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=n, n_hidden=m, **model),
        inputs=tms.SparseUniform(feature_probability=tms.axis("p", P) if axis else 0.1),
        loss=tms.MSE(importance=0.9 ** np.arange(n)),
        init=tms.Normal(scale=0.5, bias_scale=0.2),
        steps=20,
        batch_size=16,
    )
    return tms.train(experiment, seeds=seeds, engine="torch", evaluation_samples=16)


@functools.cache
def grid() -> xr.Dataset:
    """Three probabilities, two seeds."""
    return train()


FIGURES: tuple[Callable[[xr.Dataset], Figure], ...] = (
    tms.plot.directions,
    tms.plot.gram,
    tms.plot.features,
    tms.plot.loss_curves,
)
PANELS = FIGURES[:3]


def panels(fig: Figure, draw: Any) -> list[Axes]:
    """The axes with a model in them, in reading order; colour bars and places left empty are none."""
    axes = [ax for ax in fig.axes if ax.get_label() != "<colorbar>" and ax.axison]
    return axes[: len(axes) // 2] if draw is tms.plot.features else axes


def titles(fig: Figure, draw: Any) -> list[str]:
    return [ax.get_title(loc="left") for ax in panels(fig, draw)]


def inside(fig: Figure) -> None:
    """Every text of a figure lies on it, and no title runs into its neighbour's."""
    fig.draw_without_rendering()
    renderer = fig.canvas.get_renderer()
    whole = fig.bbox.padded(1)
    boxes = []
    for ax in fig.axes:
        box = ax.get_tightbbox(renderer)
        if box is not None and ax.axison:
            assert whole.x0 <= box.x0 < box.x1 <= whole.x1, (ax, box)
            assert whole.y0 <= box.y0 < box.y1 <= whole.y1, (ax, box)
        title = ax._left_title if hasattr(ax, "_left_title") else ax.title
        if title.get_text():
            boxes.append(title.get_window_extent(renderer))
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize("draw", PANELS)
@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (lambda r: r.isel(seed=0), ["p = 1", "p = 0.3", "p = 0.05"]),
        (lambda r: r.isel(p=1), ["seed = 0", "seed = 1"]),
        (lambda r: r.isel(p=1, seed=0), [""]),
        (lambda r: r.isel(p=[1], seed=[0]), [""]),
        (lambda r: r.isel(p=[2, 0], seed=[0]).transpose("hidden", "seed", "p", ...), ["p = 0.05", "p = 1"]),
        (lambda r: r.isel(tms.best(r)), ["p = 1", "p = 0.3", "p = 0.05"]),
        (lambda r: r.isel(seed=0).drop_vars("p"), ["", "", ""]),
    ],
    ids=["axis", "seeds", "one model", "grid of one", "reordered", "best seeds", "no labels"],
)
def test_a_panel_for_each_model(draw: Any, select: Any, expected: list[str]) -> None:
    """With the coordinate that tells it from the others above it."""
    fig = draw(select(grid()))
    assert titles(fig, draw) == expected
    assert plt.get_fignums() == [fig.number]
    inside(fig)


@pytest.mark.parametrize("draw", PANELS)
def test_own_titles(draw: Any) -> None:
    """As many as there are panels."""
    runs = grid().isel(seed=0)
    assert titles(draw(runs, titles=["a", "b", 3]), draw) == ["a", "b", "3"]
    assert titles(draw(runs.isel(p=0), titles="alone"), draw) == ["alone"]
    for wrong in (["a", "b"], ["a"] * 4, "abcd", []):
        rejects(lambda wrong=wrong: draw(runs, titles=wrong), "titles")
    assert len(plt.get_fignums()) == 2  # none of those that were refused


def test_no_titles() -> None:
    """For directions they can be left out."""
    fig = tms.plot.directions(grid().isel(seed=0), labels=False)
    assert titles(fig, tms.plot.directions) == ["", "", ""]


@pytest.mark.parametrize("draw", PANELS)
def test_long_names_stand_above_all_panels(draw: Any) -> None:
    """Titles that would run into each other are split: the name once, and a value for each panel."""
    runs = grid().isel(seed=0, p=[0, 1, 2, 0, 1, 2])
    runs = runs.rename(p="feature_probability").assign_coords(feature_probability=np.linspace(0.1234, 1, 6))
    fig = draw(runs)
    assert titles(fig, draw)[:2] == ["0.123", "0.299"]
    assert fig.get_suptitle() == "feature_probability"
    inside(fig)


@pytest.mark.parametrize("draw", PANELS)
@pytest.mark.parametrize(
    "model", [{"tied": False}, {"bias": "none"}, {"tied": False, "bias": "both"}], ids=repr
)
@pytest.mark.parametrize("n", [1, 2, 7])
def test_every_kind_of_model(draw: Any, model: dict[str, Any], n: int) -> None:
    """Untied, without a bias, with a hidden one; one model and several."""
    runs = train(n, **model)
    for chosen in (runs.isel(seed=0), runs.isel(seed=1, p=0)):
        inside(draw(chosen))


@pytest.mark.parametrize("draw", PANELS)
def test_too_many_dimensions(draw: Any) -> None:
    """Two left over are refused, before a figure is made."""
    rejects(lambda: draw(grid()), "runs", allowed="select the others")
    assert not plt.get_fignums()


@pytest.mark.parametrize("draw", FIGURES)
def test_what_is_no_run(draw: Any) -> None:
    """Named, before a figure is made."""
    for runs in (None, 3, grid().W, grid().drop_vars(["W", "loss_curve"])):
        rejects(lambda runs=runs: draw(runs), "runs must be")
    assert not plt.get_fignums()


def test_directions_are_the_weights() -> None:
    """A line from the origin to each; read directions dashed."""
    run = train(4, tied=False, axis=False, seeds=1).isel(seed=0)
    (ax,) = tms.plot.directions(run).axes
    for name, style in (("W", "-"), ("W_out", "--")):
        drawn = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == style]
        ends = np.array([line.get_xydata() for line in drawn])
        np.testing.assert_array_equal(ends[:, 0], 0.0)
        np.testing.assert_allclose(ends[:, 1], run[name].transpose("feature", "hidden"))
        np.testing.assert_array_less(abs(ends), ax.get_xlim()[1])
    colors = [line.get_color() for line in ax.lines if line.get_linestyle() == "-"][1:]
    assert len({tuple(color) for color in colors}) == 4


def test_directions_outside_the_plane() -> None:
    """Two hidden dimensions, and no others."""
    rejects(
        lambda: tms.plot.directions(train(5, 3, seeds=1).isel(seed=0)), "runs must be of 2 hidden dimensions"
    )
    for columns in (0, -1, 1.5, None):
        rejects(
            lambda columns=columns: tms.plot.directions(grid().isel(seed=0), columns=columns),
            "columns",
            columns,
        )
    assert not plt.get_fignums()


@pytest.mark.parametrize("columns", [1, 2, 3, 10])
def test_columns(columns: int) -> None:
    """Panels wrap; places left over are empty."""
    for draw in (tms.plot.directions, tms.plot.gram):
        fig = draw(grid().isel(seed=0), columns=columns)
        shown = panels(fig, draw)
        assert len(shown) == 3
        rows, across = shown[0].get_gridspec().nrows, shown[0].get_gridspec().ncols
        assert across == min(columns, 3)
        assert rows == -(-3 // across)
        inside(fig)


@pytest.mark.parametrize("draw", [tms.plot.gram, tms.plot.features])
@pytest.mark.parametrize("tied", [True, False])
def test_gram_panels_show_gram_and_bias(draw: Any, tied: bool) -> None:
    """Row i is output i; the same scale for all; the bias has a column of its own, right of the matrix."""
    runs = train(6, tied=tied, seeds=1).isel(seed=0)
    fig = draw(runs)
    for i, ax in enumerate(panels(fig, draw)):
        matrix, bias = ax.images
        expected = tms.gram(runs.W, runs.get("W_out")).isel(p=i)
        np.testing.assert_allclose(matrix.get_array(), expected, rtol=1e-6)
        np.testing.assert_allclose(bias.get_array()[:, 0], runs.b.isel(p=i), rtol=1e-6)
        assert matrix.get_clim() == bias.get_clim() == (-1, 1)
        left, right, bottom, top = matrix.get_extent()
        assert (bottom, top) == tuple(bias.get_extent()[2:]) == ax.get_ylim()
        assert right < bias.get_extent()[0] < bias.get_extent()[1] <= ax.get_xlim()[1]
        assert left == ax.get_xlim()[0]
    assert matrix.get_cmap()(0.0)[2] > matrix.get_cmap()(0.0)[0]  # blue below
    assert matrix.get_cmap()(1.0)[0] > matrix.get_cmap()(1.0)[2]  # red above


def test_gram_without_a_bias_has_no_column_for_it() -> None:
    """The matrix fills its panel."""
    (ax, _) = tms.plot.gram(train(6, bias="none", seeds=1, axis=False)).axes
    assert len(ax.images) == 1
    assert ax.get_xlim() == (-0.5, 5.5)


def test_features_show_norms_and_interference() -> None:
    """Bars as long as the norms, from feature 0 at the top; the colour is the interference."""
    runs = grid().isel(seed=0)
    fig = tms.plot.features(runs)
    below = [ax for ax in fig.axes if ax.patches and ax.get_label() != "<colorbar>"]
    assert len(below) == 3
    for i, ax in enumerate(below):
        norms, interference = tms.feature_norms(runs.W).isel(p=i), tms.interference(runs.W).isel(p=i)
        bars = sorted(ax.patches, key=lambda bar: bar.get_y())
        np.testing.assert_allclose([bar.get_width() for bar in bars], norms)
        colors = mpl.colormaps["viridis"](np.clip(interference, 0, 1))
        np.testing.assert_allclose([bar.get_facecolor() for bar in bars], colors, atol=1e-9)
        assert ax.get_ylim() == (4.5, -0.5)
        assert ax.get_xlim() == below[0].get_xlim()
        assert ax.get_xlim()[1] > norms.max()


def legend(fig: Figure) -> list[str]:
    shown = fig.axes[0].get_legend()
    return [] if shown is None else [text.get_text() for text in shown.get_texts()]


def test_loss_curves() -> None:
    """A line for each model against its steps, coloured by the axis, in the order of the axis."""
    fig = tms.plot.loss_curves(grid(), theory={"constant": 0.1, "best": 0.01})
    (ax,) = fig.axes
    lines = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert len(lines) == 6
    drawn = np.array([line.get_ydata() for line in lines]).reshape(3, 2, -1)
    np.testing.assert_array_equal(drawn, grid().loss_curve.transpose("p", "seed", "loss_step"))
    for line in lines:
        np.testing.assert_array_equal(line.get_xdata()[1:], grid().loss_step[1:])
        assert line.get_xdata()[0] == 0.5
    assert [to_rgba(line.get_color()) for line in lines[::2]] == [to_rgba(c) for c in tms.plot.COLORS[:3]]
    assert legend(fig) == ["1", "0.3", "0.05", "constant", "best"]
    assert ax.get_legend().get_title().get_text() == "p"
    levels = ax.lines[6:]
    assert [line.get_ydata()[0] for line in levels] == [0.1, 0.01]
    assert len({line.get_linestyle() for line in levels}) == 2
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    inside(fig)


def test_loss_curves_of_few_models() -> None:
    """Seeds alone and one model have no legend; a level alone has one."""
    for runs, count in ((grid().isel(p=0), 2), (grid().isel(p=0, seed=0), 1)):
        fig = tms.plot.loss_curves(runs)
        assert len(fig.axes[0].lines) == count
        assert legend(fig) == []
    assert legend(tms.plot.loss_curves(grid().isel(p=0), theory=0.1)) == ["theory"]


def test_loss_curves_of_many_values() -> None:
    """More than there are colours: from dark to light, and not all named."""
    runs = xr.concat([grid().isel(p=0)] * 25, "p").assign_coords(p=np.arange(25))
    fig = tms.plot.loss_curves(runs)
    lines = fig.axes[0].lines
    assert len({tuple(line.get_color()) for line in lines}) == 25
    assert len(legend(fig)) == 10
    assert (legend(fig)[0], legend(fig)[-1]) == ("0", "24")
    inside(fig)


def test_loss_curves_on_given_axes() -> None:
    """They go into the figure that is there, inside a subfigure too."""
    fig, (left, right) = tms.plot.figure(1, 2)
    assert tms.plot.loss_curves(grid(), ax=right) is fig
    assert not left.lines
    assert len(right.lines) == 6
    whole = plt.figure()
    inner = whole.subfigures(1, 2)[0].subplots()
    assert tms.plot.loss_curves(grid(), ax=inner) is whole
    assert len(plt.get_fignums()) == 2


def test_loss_curves_of_two_axes() -> None:
    """Refused, and no empty figure stays open."""
    runs = grid().expand_dims(q=[1, 2])
    rejects(lambda: tms.plot.loss_curves(runs), "runs", allowed="one dimension besides the seed")
    assert not plt.get_fignums()


@pytest.mark.parametrize("draw", FIGURES)
def test_models_that_diverged(draw: Any) -> None:
    """They are drawn as far as they can be, and do not spoil the scale of the others."""
    runs = grid().isel(seed=0).copy(deep=True)
    alone = draw(runs)
    for value, place in ((np.nan, 0), (np.inf, 1)):
        for name in ("W", "b", "loss_curve"):
            runs[name][place] = value
    fig = draw(runs)
    inside(fig)
    if draw is not tms.plot.loss_curves:
        for one, other in zip(alone.axes, fig.axes, strict=True):
            assert np.isfinite(other.get_xlim()).all()
            assert other.get_xlim()[1] <= one.get_xlim()[1]
    inside(draw(runs.isel(p=0)))
    inside(draw(runs.isel(p=1)))


@pytest.mark.parametrize("draw", FIGURES)
def test_svg_is_the_same_every_time(draw: Any, tmp_path: Path) -> None:
    """The same figure, saved and drawn again: the same bytes, without a date."""
    runs = grid().isel(seed=0)
    fig = draw(runs)
    for name in ("first", "second"):
        tms.plot.save(fig, tmp_path / f"{name}.svg")
    tms.plot.save(draw(runs), str(tmp_path / "third.svg"))
    first = (tmp_path / "first.svg").read_bytes()
    assert first == (tmp_path / "second.svg").read_bytes() == (tmp_path / "third.svg").read_bytes()
    assert b"<dc:date>" not in first
    assert b"<svg" in first
    tms.plot.save(draw(grid().isel(seed=1)), tmp_path / "other.svg")
    assert first != (tmp_path / "other.svg").read_bytes()


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_other_formats(ending: str, tmp_path: Path) -> None:
    """Reproducible as well."""
    for name in ("first", "second"):
        tms.plot.save(tms.plot.gram(grid().isel(seed=0)), tmp_path / f"{name}.{ending}")
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("first", "second"))
    assert first == second
    assert len(first) > 1000


def test_the_style_stays_at_home() -> None:
    """It holds while a figure is made, under another person's settings too, and even if that fails."""
    with mpl.rc_context({"font.size": 31, "axes.spines.top": True, "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        fig, ax = tms.plot.figure()
        assert dict(mpl.rcParams) == before
        assert not ax.spines.top.get_visible()
        assert ax.xaxis.get_label().get_size() == 9
        assert fig.get_size_inches()[0] == tms.plot.WIDTH

        @tms.plot.styled
        def fails(value: int) -> int:
            """Its own docstring."""
            assert mpl.rcParams["font.size"] == 9
            raise KeyError(value)

        with pytest.raises(KeyError):
            fails(3)
        assert fails.__doc__ == "Its own docstring."
        assert dict(mpl.rcParams) == before


def test_figure_passes_on_what_subplots_knows() -> None:
    """Rows, columns, height of a row, shared axes."""
    fig, axes = tms.plot.figure(2, 3, height=1.5, sharex=True, squeeze=False)
    assert axes.shape == (2, 3)
    assert tuple(fig.get_size_inches()) == (tms.plot.WIDTH, 3.0)
    axes[0, 0].set_xlim(3, 4)
    assert axes[1, 0].get_xlim() == (3, 4)


def test_figures_are_no_wider_than_the_text() -> None:
    """Whatever the number of panels; and big models are drawn without a warning."""
    runs = train(40, 8, seeds=1).isel(seed=0, p=[0, 1, 2] * 4)
    runs = runs.assign_coords(p=np.arange(12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in (tms.plot.gram, tms.plot.features):
            fig = draw(runs)
            fig.draw_without_rendering()
            assert fig.get_size_inches()[0] <= tms.plot.WIDTH + 1e-9
            assert len(titles(fig, draw)) == 12


def test_map() -> None:
    """Log axes where labels are so spaced, names on the ticks, NaN left out, a labelled bar."""
    p, lr = np.geomspace(0.01, 1, 5), np.linspace(0.1, 0.4, 4)
    values = np.arange(20.0).reshape(4, 5)
    values[1, 2] = np.nan
    array = xr.DataArray(values, dims=("lr", "p"), coords={"lr": lr, "p": p}, name="loss")
    fig = tms.plot.map(array)
    ax, bar = fig.axes
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("p", "lr", "loss")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    (image,) = ax.collections
    assert image.get_array().mask.sum() == 1
    assert (image.norm.vmin, image.norm.vmax) == (0, 19)
    corners = image.get_coordinates()
    np.testing.assert_allclose(corners[0, :2, 0], [0.01 / 10**0.25, 0.01 * 10**0.25])
    np.testing.assert_allclose(corners[:2, 0, 1], [0.05, 0.15])
    turned = tms.plot.map(array, x="lr", limits=(0, 1), label="error").axes
    assert (turned[0].get_xlabel(), turned[0].get_ylabel(), turned[1].get_ylabel()) == ("lr", "p", "error")
    assert turned[0].collections[0].get_array()[2, 1] is np.ma.masked
    assert turned[0].collections[0].norm.vmax == 1
    named = array.isel(lr=[0, 1], p=[0]).assign_coords(lr=["relu", "gelu"])
    labels = [text.get_text() for text in tms.plot.map(named, y="lr").axes[0].get_yticklabels()]
    assert labels == ["relu", "gelu"]
    for wrong in (array.isel(p=0), values, array.expand_dims("seed")):
        rejects(lambda wrong=wrong: tms.plot.map(wrong), "values must be a DataArray of two dimensions")
    rejects(lambda: tms.plot.map(array, x="q"), "x, y")
    rejects(lambda: tms.plot.map(array, x="p", y="p"), "x, y")
