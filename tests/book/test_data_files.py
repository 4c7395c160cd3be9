"""The data of a figure on their way from the run to the site."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from book._tools.data_files import MIME_TYPE, data_file, file_name
from book._tools.figure_data import COLUMNS
from book._tools.layout import BookError

CONFIG = """\
title: Tiny
latex: {use_jupyterbook_latex: false}
sphinx:
  extra_extensions: [book._tools.data_links]
  config: {numfig: true, language: en}
"""
HEAD = """\
---
mystnb:
  image:
    alt: A line.
  figure:
    name: fig-{name}
    caption: A line.
---
"""
DRAW = "import matplotlib.pyplot as plt\n_, ax = plt.subplots()\n"


@pytest.fixture
def drawn(tiny):
    tiny.write("_config.yml", CONFIG)
    tiny.chapter("one", HEAD.format(name="line") + DRAW + "ax.plot([1, 2], [3, 1 / 3])\nplt.show()")
    return tiny


@pytest.mark.xdist_group("example")
def test_the_data_of_the_example_are_what_its_chapter_draws(example):
    folder = example() / "data/book/chapter"
    assert {path.name for path in folder.iterdir()} == {"fig-pentagon.csv", "fig-wide.csv"}
    angle = 2 * np.pi * np.arange(5) / 5
    W = np.stack([np.cos(angle), np.sin(angle)])
    arrows = pd.read_csv(folder / "fig-pentagon.csv")
    assert set(arrows["kind"]) == {"arrow"}
    assert set(arrows["x_label"]) == {r"$\lambda_1$"}
    np.testing.assert_array_equal(arrows[["x", "y"]], 0.0)
    np.testing.assert_array_equal(arrows[["x_end", "y_end"]], W.T)
    cells = pd.read_csv(folder / "fig-wide.csv")
    assert list(cells["panel"].unique()) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(cells["value"], np.tile((W.T @ W).ravel(), 6))


@pytest.mark.xdist_group("example")
def test_the_notebook_for_download_is_without_the_data(example):
    for path in (
        example() / "_sources/book/chapter.ipynb",
        example().parent / "full/executed/book/chapter.ipynb",
    ):
        text = path.read_text("utf8")
        assert MIME_TYPE not in text
        assert "x_label,y_label" not in text
        assert "fig-pentagon.csv" not in text


@pytest.mark.xdist_group("example")
def test_captions_end_in_a_link_that_says_of_which_figure(example):
    page = (example() / "book/chapter.html").read_text("utf8")
    (link,) = re.findall(r'<a class="figure-data" href="[^"]*fig-pentagon.csv".*?</a>', page)
    assert 'aria-label="Data of Figure 1.1, CSV"' in link
    assert 'download="fig-pentagon.csv"' in link
    assert len(re.findall('class="figure-data"', page)) == 2


def test_only_figures_with_data_have_a_link(drawn):
    """None for a figure that is no plot, or an empty one, and none for a plot that is no figure."""
    drawn.chapter("two", HEAD.format(name="picture") + "from IPython.display import SVG\nSVG('<svg/>')")
    drawn.chapter(
        "three", HEAD.format(name="empty") + DRAW + "plt.show()", DRAW + "ax.plot([1, 2])\nplt.show()"
    )
    site = drawn.build().parent
    assert [path.name for path in (site / "data").rglob("*.csv")] == ["fig-line.csv"]
    assert 'href="../data/book/one/fig-line.csv"' in (site / "book/one.html").read_text("utf8")
    for page in ("two", "three"):
        assert "figure-data" not in (site / f"book/{page}.html").read_text("utf8")
        assert MIME_TYPE not in drawn.notebook_file(page).read_text("utf8")
    # A figure that is gone takes its data along.
    drawn.chapter("one", "print(1)")
    drawn.build()
    assert list((site / "data").rglob("*.csv")) == []


def test_the_style_of_the_chapter_does_not_switch_it_off(drawn):
    """Choosing a format takes what is registered for figures away."""
    drawn.chapter(
        "one",
        '%config InlineBackend.figure_formats = ["svg"]',
        HEAD.format(name="Some_Line") + DRAW + "ax.plot([1, 2], [3, 1 / 3])\nplt.show()",
    )
    assert drawn.execute() == ["one"]
    data = json.loads(data_file(drawn.book(), "book/one").read_text("utf8"))
    (table,) = data["tables"].items()
    assert table[0] == "fig-some_line.csv"
    assert table[1].splitlines()[0] == ",".join(COLUMNS)
    assert table[1].splitlines()[2].endswith(",1,2.0,0.3333333333333333")


def test_what_has_no_known_data_stops_the_build(drawn):
    strange = (
        "from matplotlib.artist import Artist\nax.add_artist(type('Strange', (Artist,), {})())\nplt.show()"
    )
    drawn.chapter("one", HEAD.format(name="strange") + DRAW + strange)
    with pytest.raises(BookError, match=r"figure fig-strange: TypeError: .* a Strange are"):
        drawn.execute()
    assert not drawn.notebook_file("one").exists()


def test_data_that_are_damaged_or_of_another_run_stop_the_build(drawn):
    drawn.execute()
    path = data_file(drawn.book(), "book/one")
    whole = path.read_text("utf8")
    changed, other = json.loads(whole), json.loads(whole)
    changed["tables"]["fig-line.csv"] += "1"
    other["stamp"]["hash"] = "0" * 64
    for damaged in (None, whole[:-20], json.dumps(changed), json.dumps(other), "[]"):
        path.unlink()
        if damaged is not None:
            path.write_text(damaged, "utf8")
        with pytest.raises(BookError, match=r"book/one: the data of its figures cannot be read .*again"):
            drawn.build()
        assert not drawn.book().site.exists()
        path.write_text(whole, "utf8")
    assert drawn.build().exists()


def test_names_of_files():
    assert file_name("fig-A b/c") == "fig-a-b-c.csv"
