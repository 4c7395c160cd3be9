"""What is published, and what never is."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from book._tools.build import build
from book._tools.chapters import environment_hash, read_chapters
from book._tools.export import export_notebooks
from book._tools.layout import BookError
from book._tools.picture import write_picture
from book._tools.publish import publish
from book._tools.render import _complaints, effective_config


def test_a_book_from_nothing_to_its_second_edition(tiny):
    tiny.plain("other", "# Other\n\nSee [](one).")
    tiny.chapter("one", "print('first run')")
    first = tiny.build()
    site = tiny.root / "build/html"
    assert first == site / "index.html"
    assert "first run" in (site / "book/one.html").read_text()
    assert (site / "_sources/book/one.ipynb").exists()
    assert '_sources/book/one.ipynb"' in (site / "book/one.html").read_text()

    before = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    tiny.build()
    assert tiny.said == ["Nothing changed."]
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*")} == before

    # A new title appears on every page, though only one page was edited, and no chapter runs for it.
    tiny.plain("other", "# Another title\n\nSee [](one).")
    tiny.build()
    assert not any(line.startswith("  book/") for line in tiny.said)
    assert "Another title" in (site / "book/one.html").read_text()

    tiny.remove("other")
    tiny.build()
    assert not (site / "book/other.html").exists()


def test_after_a_failure_there_is_no_site(tiny):
    tiny.chapter("one", "print(1)")
    tiny.build()
    tiny.chapter("one", "raise ValueError('too small')")
    with pytest.raises(BookError, match="too small"):
        tiny.build()
    assert not (tiny.root / "build/html").exists()
    # A page that warns is no better than a chapter that fails, and says which file it is.
    tiny.chapter("one", "print(1)")
    tiny.plain("front", "# Front\n\nSee {numref}`nowhere`.")
    for _ in range(2):  # the second time as well, though Sphinx knows the page by then
        with pytest.raises(BookError, match=r"book/front\.md:3: WARNING"):
            tiny.build()
    assert not (tiny.root / "build/html").exists()
    # Back at the first text, the notebook from then still counts.
    tiny.plain("front", "# Front\n\nWords.")
    assert tiny.build().exists()


def test_a_warning_names_the_line_of_the_markdown_file(tiny):
    tiny.chapter("one", "print(1)", "print(2)")
    path = tiny.root / "book/one.md"
    path.write_text(path.read_text() + "\n## Heading\n\nWords,\nand {numref}`nowhere`.\n")
    line = path.read_text().splitlines().index("Words,") + 1
    with pytest.raises(BookError, match=rf"book/one\.md:({line}|{line + 1}): WARNING"):
        tiny.build()


@pytest.mark.parametrize(
    ("stamp", "complaint"),
    [
        ({"size": "small", "hash": "x"}, "a small run is not published as a full one"),
        ({"size": "full", "hash": "x"}, "older text, library or parameter set"),
        ({}, "a nameless run"),
    ],
)
def test_only_pages_from_the_expected_run_are_published(tiny, stamp, complaint):
    tiny.chapter("one", "print(1)")
    book = tiny.book()
    for page in book.pages:
        tiny.write(f"build/full/_build/html/{page}.html", "")
    source = json.dumps({"metadata": {"tms_book": stamp}})
    tiny.write("build/full/_build/html/_sources/book/one.ipynb", source)
    with pytest.raises(BookError, match=complaint):
        publish(book, read_chapters(book), environment_hash(book), "key")
    assert not book.site.exists()


def test_a_page_that_was_not_rendered_is_missed(tiny):
    book = tiny.book()
    book.rendered.mkdir(parents=True)
    with pytest.raises(BookError, match="no page was rendered"):
        publish(book, read_chapters(book), environment_hash(book), "key")


def test_the_table_of_contents_names_a_page_that_is_not_there(tiny):
    tiny.chapter("one", "print(1)")
    (tiny.root / "book/one.md").unlink()
    with pytest.raises(BookError, match=r"there is no book/one\.md"):
        tiny.build()


@pytest.mark.parametrize("text", ["", "# nothing\n", "root: [", "format: jb-book\n"])
def test_the_table_of_contents_is_empty_or_damaged(tiny, text):
    tiny.write("_toc.yml", text)
    with pytest.raises(BookError, match=r"_toc\.yml (cannot be read|names no page)"):
        tiny.build()


def test_a_warning_about_a_notebook_that_is_no_chapter_is_shown_as_it_is(tiny):
    words = "book/absent.ipynb:10001: WARNING: something"
    assert _complaints(words, tiny.book(), read_chapters(tiny.book())) == words


def test_the_small_site_says_what_it_is(tiny):
    assert "small run" in effective_config(tiny.book("small"))
    assert "small run" not in effective_config(tiny.book())
    assert tiny.book("small").site != tiny.book().site


def test_notebooks_for_colab_install_the_library_first(tiny, tmp_path):
    tiny.chapter("one", "print(1)")
    with pytest.raises(BookError, match="make book first"):
        export_notebooks(tiny.book(), tmp_path / "out")
    tiny.execute()
    assert "pip install" not in export_notebooks(tiny.book(), tmp_path / "out")[0].read_text()
    tiny.write("pyproject.toml", '[tool.tms-book]\nrepository = "https://github.com/someone/book/"\n')
    (path,) = export_notebooks(tiny.book(), tmp_path / "out")
    first = json.loads(path.read_text())["cells"][0]["source"]
    assert '"tms-superposition[notebook] @ git+https://github.com/someone/book"' in first


def test_the_picture_is_the_figure_of_the_front_page(tiny):
    with pytest.raises(BookError, match="no figure"):
        write_picture(tiny.book(), tiny.said.append)
    tiny.chapter("front", "from IPython.display import SVG\nSVG('<svg><desc>figure</desc></svg>')")
    tiny.chapter("other", "print(1)")
    path = write_picture(tiny.book(), tiny.said.append)
    assert path == tiny.root / "book/_assets/front.svg"
    assert path.read_text() == "<svg><desc>figure</desc></svg>\n"
    assert not tiny.notebook_file("other").exists()


@pytest.mark.xdist_group("example")
def test_figures_have_number_caption_alternative_text_and_formulas(example):
    page = (example() / "book/chapter.html").read_text()
    assert 'alt="Five arrows from the origin to the corners of a regular pentagon."' in page
    assert 'id="fig-pentagon"' in page
    assert '<span class="caption-number">Figure 1.1 </span>' in page
    assert '<span class="std std-numref">Figure 1.1</span>' in page
    source = re.search(r'id="fig-pentagon">.*?src="([^"]+\.svg)"', page, re.DOTALL)
    assert source
    assert r"$\lambda_1$" in (example() / "book" / source[1]).read_text()


@pytest.mark.xdist_group("example")
def test_links_to_the_repository_appear_once_its_address_is_set(example):
    without = (example() / "book/chapter.html").read_text()
    assert "mybinder.org" not in without
    assert "github.com" not in without
    site = example("https://github.com/someone/superposition") / "book"
    chapter, front = (site / "chapter.html").read_text(), (site / "front.html").read_text()
    assert "https://github.com/someone/superposition/edit/main/book/chapter.md" in chapter
    assert "https://github.com/someone/superposition/edit/main/book/front.md" in front
    address = "someone/superposition/notebooks?urlpath=lab/tree/book/chapter.ipynb"
    assert f"https://mybinder.org/v2/gh/{address}" in chapter
    colab = "https://colab.research.google.com/github/someone/superposition/blob/notebooks/book/chapter.ipynb"
    assert colab in chapter
    assert "mybinder.org" not in front  # a page without code has nothing to launch


@pytest.mark.xdist_group("example")
def test_the_downloaded_notebook_runs_elsewhere(example, tmp_path, monkeypatch):
    from papermill.execute import execute_notebook

    shutil.copy(example() / "_sources/book/chapter.ipynb", tmp_path / "chapter.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(example().parent / "full/jupyter"))
    done = execute_notebook("chapter.ipynb", "again.ipynb", progress_bar=False)
    assert not any(o.output_type == "error" for c in done.cells for o in c.get("outputs", []))


def test_two_builds_at_once_wait_for_each_other(tiny):
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        firsts = list(pool.map(lambda _: build(tiny.book(), said.append), range(2)))
    assert firsts[0] == firsts[1]
    assert said.count("Nothing changed.") == 1
