"""The layout of the code in chapters."""

import pytest

from book._tools.chapters import read_chapters
from book._tools.format import check_chapters, format_chapters
from book._tools.layout import BookError

MESSY = """\
---
tags: [hide-input]
---
%config InlineBackend.figure_formats = ["svg"]
import math
x = {'a':math.pi,  'b':2}"""
TIDY = """\
---
tags: [hide-input]
---
%config InlineBackend.figure_formats = ["svg"]
import math

x = {"a": math.pi, "b": 2}"""


def test_only_the_code_of_cells_is_laid_out(tiny):
    tiny.chapter("one", ":tags: [parameters]\n\nsteps   =  10", MESSY, "x;  print( x )")
    path = tiny.root / "book/one.md"
    path.write_text(path.read_text() + "\nx   =  10 in prose\n\n```python\nx   =  10\n```\n")
    before = path.read_text()
    assert format_chapters(tiny.book()) == ["book/one"]
    expected = before.replace("parameters]\n\nsteps   =  10", "parameters]\n\nsteps = 10")
    expected = expected.replace(MESSY, TIDY).replace("x;  print( x )", "x\nprint(x)")
    assert path.read_text() == expected
    assert format_chapters(tiny.book()) == []
    assert len(read_chapters(tiny.book())) == 2


def test_the_check_says_where_and_changes_nothing(tiny):
    tiny.chapter("one", "x = 1", "import os\ny = x\nprint(z)")
    tiny.chapter("two", "x  = 1")
    before = (tiny.root / "book/two.md").read_text()
    with pytest.raises(BookError) as caught:
        check_chapters(tiny.book())
    line = (tiny.root / "book/one.md").read_text().splitlines().index("import os") + 1
    # One cell knows the names of those before it.
    complaints = str(caught.value).splitlines()
    assert [c for c in complaints if "F" in c.split(" ")[1][:1]] == [
        f"book/one.md:{line}: F401 `os` imported but unused",
        f"book/one.md:{line + 2}: F821 Undefined name `z`",
    ]
    assert any(c.startswith("book/two.md:") and "make format" in c for c in complaints)
    assert (tiny.root / "book/two.md").read_text() == before


def test_code_wider_than_the_page_is_a_mistake(tiny):
    tiny.write("pyproject.toml", '[tool.ruff.lint]\nselect = ["E"]\n')
    tiny.chapter("one", "# " + 30 * "wide " + ".")
    with pytest.raises(BookError, match="E501"):
        check_chapters(tiny.book())


def test_code_that_is_no_python_is_named(tiny):
    tiny.chapter("one", "x = (")
    with pytest.raises(BookError, match=r"book/one\.md"):
        format_chapters(tiny.book())
