"""What a figure shows comes back as a table, whatever it was drawn with."""

import io
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.artist import Artist
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, ConnectionPatch, Ellipse, FancyArrowPatch, Polygon, Rectangle, Wedge
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

import tms
import tms.plot
from book._tools.figure_data import COLUMNS, EXTRA, rows, to_csv

ODD = np.array([0.1, 1 / 3, -2e-300, 1e22, np.pi])


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


def table(figure: Figure) -> pd.DataFrame:
    """The table as a reader gets it; drawing the figure changes nothing in it."""
    words = to_csv(figure)
    assert words is not None
    figure.draw_without_rendering()
    assert to_csv(figure) == words
    found = pd.read_csv(io.StringIO(words))
    assert tuple(found.columns[: len(COLUMNS)]) == COLUMNS
    rest = list(found.columns[len(COLUMNS) :])
    assert rest == [column for column in EXTRA if column in rest]
    return found


def only(figure: Figure, kind: str) -> pd.DataFrame:
    found = table(figure)
    assert set(found["kind"]) == {kind}
    return found


def same(found: pd.DataFrame, **columns: object) -> None:
    """To the last bit; None and NaN are empty cells."""
    for name, values in columns.items():
        expected = np.broadcast_to(np.asarray(values, float), len(found))
        np.testing.assert_array_equal(found[name].to_numpy(float), expected, err_msg=name)


def test_lines_and_points():
    figure, ax = plt.subplots()
    ax.plot(ODD, ODD[::-1], color="#123456", label="theory")
    ax.plot([1, 2], [3, 4], "o", color="C1")
    ax.plot([1, 2], [3, 4], "s", mfc="none", mec="k")
    ax.plot([1, 2], [3, 4], "o-")
    ax.plot([1, 2], [3, 4], linestyle="none")  # neither
    ax.plot([], [], label="for the legend")
    ax.plot([np.nan], [np.nan], label="for the legend")
    ax.set(title="A\ntitle", xlabel="step", ylabel=r"$\lambda$")
    found = table(figure)
    line = found[found["series"] == "theory"]
    same(line, x=ODD, y=ODD[::-1], point=range(5), panel=1)
    assert list(found["kind"]) == ["line"] * 5 + ["points"] * 4 + ["line"] * 2
    assert list(found["series"].unique()) == ["theory", "#2", "#3", "#4"]
    assert [set(found[found["series"] == s]["color"]) for s in ("theory", "#3")] == [{"#123456"}, {"#000000"}]
    heads = {tuple(row) for row in found[["title", "x_label", "y_label"]].to_numpy()}
    assert heads == {("A title", "step", r"$\lambda$")}


def test_lines_that_look_alike_are_one_series():
    figure, ax = plt.subplots()
    for seed in range(3):
        ax.plot([1, 2], [seed, 4], color="C0", label="ReLU" if seed == 1 else None)
        ax.errorbar([1], [seed], 0.5, fmt="s", color="C0", label=None if seed else "SGD")
    for other in ({"linestyle": "--"}, {"linestyle": (0, (1, 2))}, {"linewidth": 4}):
        ax.plot([1, 2], [7, 8], color="C0", **other)
    ax.errorbar([1], [3], 0.5, fmt="s", color="C0", mfc="white")
    ax.axhline(3, color="C0")
    ax.plot([1], [9], "o", color="C1", label="two")
    ax.plot([1], [9], "o", color="C1", label="names")
    ax.plot([1], [9], "o", color="C1")
    found = table(figure)
    relu = found[found["series"] == "ReLU"]
    same(relu, x=[1, 2] * 3, y=[0, 4, 1, 4, 2, 4], part=[0, 0, 1, 1, 2, 2])
    same(found[found["series"] == "SGD"], y=[0, 1, 2], y_low=[-0.5, 0.5, 1.5])
    assert list(found["series"].unique()) == [
        "ReLU",
        "SGD",
        "#7",
        "#8",
        "#9",
        "#10",
        "#11",
        "two",
        "names",
        "#14",
    ]


def test_gaps_stay_gaps():
    figure, ax = plt.subplots()
    ax.plot([1, 2, 3, 4], np.ma.masked_equal([5, 0, 7, 8], 0))
    ax.plot([1, 2, 3], [np.nan, np.inf, 2])
    found = only(figure, "line")
    same(found, x=[1, 2, 3, 4, 1, 2, 3], y=[5, np.nan, 7, 8, np.nan, np.inf, 2])


def test_a_masked_scatter_with_values_and_sizes():
    figure, ax = plt.subplots()
    x = np.ma.masked_equal([0.1, 0.0, 0.3], 0)
    points = ax.scatter(x, [1, 2, 3], c=ODD[:3], s=[10, 20, 30])
    figure.colorbar(points, label="loss")
    found = only(figure, "points")
    same(found, x=[0.1, np.nan, 0.3], value=[0.1, np.nan, ODD[2]], size=[10, 20, 30], panel=1)
    assert set(found["value_label"]) == {"loss"}
    assert found["color"].isna().all()


def test_a_scatter_of_colours():
    figure, ax = plt.subplots()
    ax.scatter([1, 2], [3, 4], c=["red", "#0000ff"], s=9)
    ax.scatter([1, 2], [3, 4], facecolors="none", edgecolors="lime")
    found = only(figure, "points")
    assert list(found["color"]) == ["#ff0000", "#0000ff", "#00ff00", "#00ff00"]
    assert "size" not in found
    assert "value" not in found


def test_error_bars_stand_beside_their_points():
    figure, ax = plt.subplots()
    low, high = np.array([0.01, 0.02, 0.03]), np.array([0.1, 0.2, 0.3])
    x, y = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.7, np.nan])
    ax.errorbar(x, y, [low, high], fmt="o", capsize=3, label="seeds")
    found = only(figure, "points")
    same(found, x=x, y=y, y_low=y - low, y_high=y + high)
    assert set(found["series"]) == {"seeds"}


def test_error_bars_in_both_directions_and_at_some_points():
    figure, ax = plt.subplots()
    ax.errorbar([1, 2, 3], [1, 2, 3], xerr=0.25, yerr=0.5, errorevery=2, fmt="-")
    found = only(figure, "line")
    same(found, x_low=[0.75, np.nan, 2.75], y_high=[1.5, np.nan, 3.5])


@pytest.mark.parametrize("direction", ["x", "y", "xy"])
def test_error_bars_without_points(direction):
    figure, ax = plt.subplots()
    ax.errorbar([1, 2], [3, 4], **{f"{name}err": 0.5 for name in direction}, fmt="none", ecolor="red")
    found = only(figure, "interval")
    if "y" in direction:
        same(found, x=[1, 2], y_low=[2.5, 3.5], y_high=[3.5, 4.5])
    if "x" in direction:
        same(found, y=[3, 4], x_low=[0.5, 1.5], x_high=[1.5, 2.5])
    assert set(found["color"]) == {"#ff0000"}


def test_bands():
    figure, ax = plt.subplots()
    t = np.array([0.1, 0.2, 0.3, 0.4, 0.7])
    ax.fill_between(t, t + 1, t - 1, label="interval", color="0.5")
    ax.fill_betweenx(t, 0, t)
    found = only(figure, "band")
    same(found[found["series"] == "interval"], x=t, y_low=t - 1, y_high=t + 1, point=range(5))
    same(found[found["series"] != "interval"], y=t, x_low=0, x_high=t)
    assert "part" not in found


def test_a_band_with_a_hole():
    figure, ax = plt.subplots()
    t = np.arange(6.0)
    ax.fill_between(t, 0, t, where=t != 2)
    found = only(figure, "band")
    same(found, x=[0, 1, 3, 4, 5], y_high=[0, 1, 3, 4, 5], part=[0, 0, 1, 1, 1])


def test_bars():
    figure, (left, right) = plt.subplots(1, 2)
    left.bar(["one", "two", "three"], [0.1, -0.2, 1 / 3], width=0.7, label="a", color=["r", "g", "b"])
    right.barh([0, 1], [0.25, 0.5])
    right.barh([0, 1], [0.75, 0.5], left=[0.25, 0.5])
    right.set_yticks([0, 1], ["linear", "ReLU"])
    found = only(figure, "bar")
    first = found[found["panel"] == 1]
    same(first, x=[0, 1, 2], y=[0.1, -0.2, 1 / 3], y_low=[0, -0.2, 0], y_high=[0.1, 0, 1 / 3])
    np.testing.assert_allclose(first["x_high"] - first["x_low"], 0.7)
    assert list(first["x_name"]) == ["one", "two", "three"]
    assert list(first["color"]) == ["#ff0000", "#008000", "#0000ff"]
    second = found[found["panel"] == 2]
    same(second, y=[0, 1, 0, 1], length=[0.25, 0.5, 0.75, 0.5], x_low=[0, 0, 0.25, 0.5], x=[0.25, 0.5, 1, 1])
    assert list(second["y_name"]) == ["linear", "ReLU"] * 2


def test_bars_side_by_side_and_their_error_bars_belong_to_categories():
    figure, ax = plt.subplots()
    ax.bar([-0.2, 0.8], [3, 4], 0.4, yerr=0.5)
    ax.bar([0.2, 1.2], [5, 6], 0.4)
    ax.set_xticks([0, 1])
    ax.set_xticklabels(["0.05", "0.5"])
    found = table(figure)
    assert sorted(found["kind"]) == ["bar"] * 4 + ["interval"] * 2
    assert found["x_name"].tolist() == [0.05, 0.5] * 3


def test_names_of_numbers_are_the_numbers():
    figure, ax = plt.subplots()
    ax.plot([1, 10], [-1, 0])
    ax.set_xticks([1, 10], ["1", "10.0"])
    ax.set_yticks([-1, 0], ["−1", ""])
    figure.axes[0].set_xticklabels([1, 10])
    assert not {"x_name", "y_name"} & set(only(figure, "line").columns)


def test_places_between_names_have_none():
    figure, ax = plt.subplots()
    ax.plot([0, 1.5, np.pi], [0, 1, 2])
    ax.set_xticks([0, np.pi], ["0", "half a turn"])
    assert only(figure, "line")["x_name"].fillna("").tolist() == ["", "", "half a turn"]


def test_histograms():
    figure, (left, right) = plt.subplots(1, 2)
    counts, edges, _ = left.hist(ODD[[0, 1, 4]], bins=4)
    right.hist([1, 2, 2], bins=[0.5, 1.5, 2.5], histtype="step")
    right.stairs([3, 4], [0, 1, 2])
    found = table(figure)
    bars = found[found["kind"] == "bar"]
    same(bars, y=counts, length=counts)
    np.testing.assert_allclose(bars["x_low"], edges[:-1])
    assert set(found["kind"]) == {"bar", "polygon", "step"}
    same(found[found["kind"] == "step"], x_low=[0, 1], x_high=[1, 2], y=[3, 4], x=[0.5, 1.5])


@pytest.mark.parametrize("origin", ["upper", "lower"])
def test_images(origin):
    figure, ax = plt.subplots()
    values = np.ma.masked_less(np.arange(6.0).reshape(2, 3) / 7, 0.1)
    ax.imshow(values, origin=origin)
    ax.set_xticks(range(3), ["a", "b", "c"])
    found = only(figure, "image")
    same(found, x=[0, 1, 2] * 2, y=[0, 0, 0, 1, 1, 1], value=values.filled(np.nan).ravel())
    assert list(found["x_name"]) == ["a", "b", "c"] * 2


def test_images_in_units_of_the_axes_and_in_colours():
    figure, (left, right) = plt.subplots(1, 2)
    left.imshow([[1, 2], [3, 4]], extent=(0, 4, -1, 1))
    right.imshow(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))
    found = only(figure, "image")
    same(found[found["panel"] == 1], x=[1, 3, 1, 3], y=[0.5, 0.5, -0.5, -0.5], value=[1, 2, 3, 4])
    assert list(found[found["panel"] == 2]["color"]) == ["#ff0000", "#0000ff"]


def test_meshes_on_log_axes():
    figure, ax = plt.subplots()
    edges = np.geomspace(0.001, 10, 5)
    values = np.ma.masked_invalid([[0.1, np.nan, 1 / 3, 2]])
    mesh = ax.pcolormesh(edges, [0, 2], values)
    figure.colorbar(mesh, label="fraction")
    ax.set_xscale("log")
    found = only(figure, "mesh")
    same(
        found, x_low=edges[:-1], x_high=edges[1:], y=1, y_low=0, y_high=2, value=values.filled(np.nan).ravel()
    )
    np.testing.assert_allclose(found["x"], np.sqrt(edges[:-1] * edges[1:]))
    assert set(found["value_label"]) == {"fraction"}


def test_meshes_between_points_and_askew():
    figure, (left, right) = plt.subplots(1, 2)
    left.pcolormesh([0.1, 0.5], [1, 2], np.array([[1, 2], [3, 4]]), shading="gouraud")
    x, y = np.meshgrid([0.0, 1, 2], [0.0, 1])
    right.pcolormesh(x + y, y, np.array([[5, 6]]))
    found = only(figure, "mesh")
    same(found[found["panel"] == 1], x=[0.1, 0.5] * 2, y=[1, 1, 2, 2], value=[1, 2, 3, 4])
    same(found[found["panel"] == 2], x=[1, 2], y=0.5, value=[5, 6])
    assert "x_low" not in found


def test_the_map_of_the_library_gives_its_grid_back():
    import xarray as xr

    p, lr = [0.001, 0.01, 0.1, 1.0], [0.3, 0.4, 0.5]
    grid = xr.DataArray(np.arange(12.0).reshape(4, 3) / 7, coords={"p": p, "lr": lr}, name="loss")
    found = only(tms.plot.map(grid, x="p", y="lr"), "mesh")
    same(found, x=p * 3, y=np.repeat(lr, 4), value=grid.transpose("lr", "p").values.ravel())
    assert set(found["value_label"]) == {"loss"}


def test_arrows():
    figure, ax = plt.subplots()
    W = np.array([[0.1, 0.2], [1 / 3, -0.5]])
    ax.quiver(*np.zeros((2, 2)), *W.T, angles="xy", scale_units="xy", scale=1, color="C0")
    ax.quiver([1], [1], [2], [4], angles="xy", scale_units="xy", scale=2, pivot="middle")
    ax.quiver([1], [1], np.ma.masked_all(1), [4], scale=1)
    ax.annotate("", xy=(0.3, 0.4), xytext=(0, 0), arrowprops={"arrowstyle": "->", "color": "red"})
    ax.annotate("a note", xy=(0.3, 0.4), xytext=(9, 9), textcoords="offset points", arrowprops={})
    ax.annotate("another", xy=(0.3, 0.4))
    ax.arrow(0, 0, 2, 3)
    ax.add_patch(FancyArrowPatch((0, 1), (2, 3)))
    ax.add_patch(ConnectionPatch((4, 5), (6, 7), "data", "data"))
    found = only(figure, "arrow")
    same(found, x=[0, 0, 0.5, 1, 0, 0, 0, 4], y=[0, 0, 0, 1, 0, 0, 1, 5])
    same(found, x_end=[0.1, 1 / 3, 1.5, np.nan, 0.3, 2, 2, 6], y_end=[0.2, -0.5, 2, np.nan, 0.4, 3, 3, 7])
    assert found["color"][4] == "#ff0000"


def test_shapes():
    figure, ax = plt.subplots()
    ax.add_patch(Circle((0.1, 0.2), 0.5, fill=False, edgecolor="red"))
    ax.add_patch(Ellipse((0, 0), 2, 4))
    ax.add_patch(Ellipse((0, 0), 2, 4, angle=30))
    ax.add_patch(Rectangle((1, 2), 3, -4))
    ax.add_patch(Polygon([(0, 0), (1, 0), (1 / 3, 1)]))
    ax.add_patch(Wedge((0, 0), 1, 0, 90))
    ax.add_collection(
        PolyCollection([[(0, 0), (1, 0), (1, 1)], [(5, 5), (6, 5), (6, 6)]], facecolors=["r", "b"])
    )
    found = table(figure)
    circle = found[found["kind"] == "circle"]
    same(circle, x=0.1, y=0.2, x_low=-0.4, y_high=0.7)
    assert list(circle["color"]) == ["#ff0000"]
    same(found[found["kind"] == "ellipse"], x_high=1, y_high=2)
    same(found[found["kind"] == "rectangle"], x=2.5, x_low=1, x_high=4, y_low=-2, y_high=2)
    same(found[found["series"] == "#5"], x=[0, 1, 1 / 3, 0], y=[0, 0, 1, 0])
    several = found[found["series"] == "#7"]
    same(several, part=[0] * 4 + [1] * 4, x=[0, 1, 1, 0, 5, 6, 6, 5])
    assert list(several["color"].unique()) == ["#ff0000", "#0000ff"]


def test_lines_across_the_panel_have_one_coordinate():
    figure, ax = plt.subplots()
    ax.plot([5, 6], [7, 8], label="data")
    ax.axhline(0.3, label="bound")
    ax.axvline(1 / 3, 0, 0.5)
    ax.axhspan(1, 2)
    ax.axline((0, 1), slope=2)
    found = table(figure).set_index("series")
    assert found.loc["bound", "kind"] == "horizontal line"
    assert found.loc["bound", "y"] == 0.3
    assert np.isnan(found.loc["bound", "x"])
    assert (found.loc["#3", "kind"], found.loc["#3", "x"]) == ("vertical line", 1 / 3)
    assert (found.loc["#4", "y_low"], found.loc["#4", "y_high"]) == (1, 2)
    assert "x_low" not in found
    same(found.loc["#5"], x=[0, 1], y=[1, 3])
    assert set(found.loc["#5", "kind"]) == {"endless line"}


def test_segments_and_contours():
    figure, (left, right) = plt.subplots(1, 2)
    left.vlines([1, 2], 0, [0.1, 1 / 3], colors=["r", "b"])
    left.hlines(0.5, 0, 1)
    x = np.linspace(-1, 1, 21)
    cost = x**2 + x[:, None] ** 2
    lines = right.contour(x, x, cost, levels=[0.25, 0.5])
    right.contourf(x, x, cost, levels=[0, 0.25, 0.5], extend="max")
    found = table(figure)
    segments = found[found["kind"] == "segment"]
    same(segments, x=[1, 2, 0], y=[0, 0, 0.5], x_end=[1, 2, 1], y_end=[0.1, 1 / 3, 0.5])
    assert list(segments["color"])[:2] == ["#ff0000", "#0000ff"]
    contours = found[found["kind"] == "contour"]
    np.testing.assert_allclose(contours["x"] ** 2 + contours["y"] ** 2, contours["value"], atol=0.01)
    first = contours[contours["value"] == 0.25]
    np.testing.assert_array_equal(first[["x", "y"]], lines.get_paths()[0].vertices)
    regions = found[found["kind"] == "region"]
    bounds = {tuple(row) for row in regions[["value_low", "value_high"]].to_numpy()}
    assert bounds == {(0.0, 0.25), (0.25, 0.5), (0.5, np.inf)}


def test_twin_axes_are_one_panel_and_shared_labels_are_found():
    figure, ((left, right), (low, off)) = plt.subplots(2, 2, sharex=True)
    left.plot([1, 2], [3, 4])
    left.set_ylabel("share")
    other = left.twinx()
    other.plot([1, 2], [50, 60])
    other.set_ylabel("radius")
    right.plot([1], [1], "o")
    low.plot([1, 2], [5, 6])
    low.set_xlabel("step")
    off.set_axis_off()
    inset = low.inset_axes((0.5, 0.5, 0.4, 0.4))
    inset.plot([7], [8], "o")
    figure.supylabel("of all")
    found = table(figure)
    assert list(found["panel"]) == [1, 1, 1, 1, 2, 3, 3, 4]
    assert list(found["y_label"]) == ["share"] * 2 + ["radius"] * 2 + ["of all"] * 4
    assert list(found["x_label"].fillna("")) == ["step"] * 7 + [""]


def test_what_is_in_the_units_of_the_page_or_hidden_is_left_out():
    figure, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], transform=ax.transAxes)
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes))
    ax.plot([1, 2], [3, 4], visible=False)
    ax.text(1, 2, "words")
    ax.grid()
    ax.legend([Line2D([], [])], ["name"])
    figure.add_axes((0, 0, 0.1, 0.1), visible=False).plot([1, 2])
    assert rows(figure) == []
    assert to_csv(figure) is None
    assert to_csv(plt.figure()) is None


def test_what_is_moved_within_the_axes_is_where_it_is_drawn():
    figure, ax = plt.subplots()
    shift = mpl.transforms.Affine2D().translate(10, 20)
    ax.plot([1, 2], [3, 4], transform=shift + ax.transData)
    same(only(figure, "line"), x=[11, 12], y=[23, 24])


def test_in_space():
    figure = plt.figure()
    ax = figure.add_subplot(projection="3d")
    ax.plot([1, 2], [3, 4], [5, 1 / 3], color="k")
    ax.scatter([0.1, 0.2], [9, 3], [0.5, 0.6], s=[10, 20], depthshade=False, c=["r", "b"])
    ax.add_collection3d(Line3DCollection([[(0, 0, 0), (1, 2, 3)]]))
    ax.add_collection3d(Poly3DCollection([[(0, 0, 0), (1, 0, 0), (0, 1, 7)]]))
    assert "z_label" not in table(figure)
    ax.set_zlabel("third")
    found = table(figure)
    assert list(found["kind"]) == ["line"] * 2 + ["points"] * 2 + ["line"] * 2 + ["polygon"] * 3
    same(found, z=[5, 1 / 3, 0.5, 0.6, 0, 3, 0, 0, 7])
    same(found.iloc[2:4], x=[0.1, 0.2], y=[9, 3], size=[10, 20])
    assert list(found["color"])[2:4] == ["#ff0000", "#0000ff"]
    assert set(found["z_label"]) == {"third"}


def test_what_is_not_known_is_an_error():
    class Strange(Artist):
        pass

    figure, ax = plt.subplots()
    ax.add_artist(Strange())
    with pytest.raises(TypeError, match="Strange"):
        to_csv(figure)


def test_the_house_style_leaves_nothing_out():
    """Every kind of figure that the library draws has data, and the same ones again."""
    experiment = tms.Experiment(
        model=tms.Autoencoder(n_features=5, n_hidden=2, tied=False), inputs=tms.OneHot(), steps=5
    )
    runs = tms.train(experiment, seeds=3)
    best = runs.isel(seed=0)
    for draw in (tms.plot.directions, tms.plot.gram, tms.plot.features, tms.plot.loss_curves):
        assert to_csv(draw(runs)) == to_csv(draw(runs))
    found = only(tms.plot.gram(best), "image")
    gram = tms.gram(best.W, best.W_out).values
    same(found[found["series"] == "#1"], value=gram.ravel(), x=list(range(5)) * 5)
