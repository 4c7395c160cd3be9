"""Which chapters run, with what, and what becomes of those that fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tms
from book._tools.chapters import content_hash, environment_hash, read_chapters
from book._tools.execute import KERNEL_STARTS, _write_kernel
from book._tools.layout import BookError
from tests.book.conftest import TinyBook


def outputs(notebook: dict) -> str:
    return "".join("".join(o.get("text", "")) for c in notebook["cells"] for o in c.get("outputs", []))


def test_nothing_runs_but_what_was_edited(tiny):
    tiny.chapter("one", "print(1)")
    tiny.chapter("two", "print(2)")
    assert tiny.execute() == ["one", "two"]
    for path in tiny.root.rglob("*.*"):
        os.utime(path)  # newer, but the same
    assert tiny.execute() == []
    assert tiny.said == []
    tiny.chapter("two", "print('edited')")
    assert tiny.execute() == ["two"]
    assert outputs(tiny.notebook("two")) == "edited\n"
    # A notebook that was cut short, by a full disk for example, is made again, and comes out the same.
    path = tiny.notebook_file("one")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert tiny.execute() == ["one"]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["tms/__init__.py", "tms/data/new.js", "requirements.lock"])
def test_library_and_packages_concern_every_chapter(tiny, name):
    tiny.chapter("one", "print(1)")
    book = tiny.book()
    chapter = read_chapters(book)[1]
    before = content_hash(book, chapter, environment_hash(book))
    tiny.write(name, "changed")
    assert content_hash(book, chapter, environment_hash(book)) != before


def test_measured_data_concern_the_chapter_that_reads_them(tiny):
    tiny.write("data/one.json", "1")
    tiny.chapter("draws", "print(1)", small="{}\n  reads: [data]")
    tiny.chapter("other", "print(1)")
    book = tiny.book()
    _, draws, other = read_chapters(book)
    assert draws.reads == ["data"]
    before = [content_hash(book, chapter, "same") for chapter in (draws, other)]
    tiny.write("data/one.json", "2")
    after = [content_hash(book, chapter, "same") for chapter in (draws, other)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]


def test_caches_do_not_concern_anybody(tiny):
    before = environment_hash(tiny.book())
    tiny.write("tms/__pycache__/x.pyc", "changed")
    tiny.write("tms/.hidden", "changed")
    assert environment_hash(tiny.book()) == before


def test_a_failing_chapter_is_named_and_others_are_kept(tiny):
    tiny.chapter("bad", "x = 1", "y = 2\nraise ValueError('too small')", "print('never')")
    tiny.chapter("good", "print(1)")
    with pytest.raises(BookError) as caught:
        tiny.execute()
    last = str(caught.value).splitlines()[-4:]
    line = (tiny.root / "book/bad.md").read_text().splitlines().index("y = 2") + 1
    assert last[0] == f"book/bad: code cell 2 failed (book/bad.md, line {line})"
    assert [part.strip() for part in last[1:3]] == ["y = 2", "raise ValueError('too small')"]
    assert last[3] == "ValueError: too small"
    assert not tiny.notebook_file("bad").exists()
    tiny.chapter("bad", "x = 1")
    ran = tiny.execute()
    assert "bad" in ran
    assert tiny.notebook_file("good").exists()


def test_chapters_started_before_a_failure_are_kept(tiny, monkeypatch):
    monkeypatch.setattr("book._tools.execute._cores", lambda: 2)
    tiny.chapter("bad", "raise ValueError('too small')")
    tiny.chapter("slow", "import time; time.sleep(3)")
    with pytest.raises(BookError, match="too small"):
        tiny.execute()
    tiny.chapter("bad", "pass")
    assert tiny.execute() == ["bad"]


def test_a_dead_kernel_is_a_failure_of_its_cell(tiny):
    tiny.chapter("dead", "x = 1", "import os; os._exit(1)")
    with pytest.raises(BookError) as caught:
        tiny.execute()
    message = str(caught.value)
    assert "book/dead: code cell 2 failed" in message
    assert message.splitlines()[-1].startswith("DeadKernelError")


@pytest.mark.parametrize("deaths", [KERNEL_STARTS - 1, KERNEL_STARTS])
def test_a_kernel_that_dies_at_its_start_is_started_again(tiny, monkeypatch, tmp_path, deaths):
    """As when another program takes one of its ports."""
    lives = tmp_path / "lives"
    lives.write_text("x" * deaths, "utf8")
    mortal = f"""\
import os, pathlib, sys
lives = pathlib.Path({str(lives)!r})
left = lives.read_text("utf8")
if left:
    lives.write_text(left[1:], "utf8")
    sys.exit(1)
os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *sys.argv[1:]])
"""

    def write_kernel(*arguments, **settings):
        folder = _write_kernel(*arguments, **settings)
        kernel = folder / "kernels" / "python3" / "kernel.json"
        specification = json.loads(kernel.read_text("utf8"))
        specification["argv"][1:3] = ["-c", mortal]
        kernel.write_text(json.dumps(specification), "utf8")
        return folder

    monkeypatch.setattr("book._tools.execute._write_kernel", write_kernel)
    tiny.chapter("one", "print('alive')")
    if deaths < KERNEL_STARTS:
        assert tiny.execute() == ["one"]
        assert outputs(tiny.notebook("one")) == "alive\n"
    else:
        with pytest.raises(BookError, match="book/one: failed before its first cell"):
            tiny.execute()


def test_a_killed_worker_is_a_failure_of_its_chapter_and_of_no_other(tiny, monkeypatch):
    monkeypatch.setattr("book._tools.execute._cores", lambda: 2)
    tiny.chapter("dead", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    tiny.chapter("innocent", "import time; time.sleep(2)")
    with pytest.raises(BookError, match=r"book/dead: could not be run\nBrokenProcessPool") as caught:
        tiny.execute()
    assert "innocent" not in str(caught.value)
    assert tiny.notebook_file("innocent").exists()


def test_chapters_share_the_cores_but_the_library_may_use_them_all(tiny, monkeypatch):
    monkeypatch.setattr("book._tools.execute._cores", lambda: 6)
    monkeypatch.setenv("TMS_THREADS", "1")  # as in the tests
    for name in ("one", "two"):
        tiny.chapter(name, "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['TMS_THREADS'])")
    tiny.execute()
    assert outputs(tiny.notebook("one")) == outputs(tiny.notebook("two")) == "3 6\n"
    tiny.chapter("two", "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['TMS_THREADS'], 'alone')")
    tiny.execute()
    assert outputs(tiny.notebook("two")) == "6 6 alone\n"


def test_a_chapter_that_ends_early_is_a_failure(tiny):
    tiny.chapter("early", "import sys; sys.exit(0)", "print('never')")
    with pytest.raises(BookError, match="never"):
        tiny.execute()


def test_small_size_gets_its_parameters_and_never_counts_as_full(tiny):
    tiny.chapter("one", ":tags: [parameters]\n\nsteps = 1000", "print(steps)", small="{steps: 10}")
    tiny.chapter("same", "print('nothing to make smaller: the very same code')")
    tiny.execute("small")
    assert outputs(tiny.notebook("one", "small")) == "10\n"
    assert not tiny.notebook_file("one").exists()
    tiny.notebook_file("same").parent.mkdir(parents=True)
    tiny.notebook_file("same", "small").rename(tiny.notebook_file("same"))
    assert tiny.execute() == ["one", "same"]
    assert outputs(tiny.notebook("one")) == "1000\n"
    tags = [c["metadata"].get("tags", []) for c in tiny.notebook("one")["cells"]]
    assert ["injected-parameters"] not in tags


@pytest.mark.parametrize(
    ("cell", "small", "complaint"),
    [
        (":tags: [parameters]\n\nsteps = 1000", "{step: 10}", "step, but its parameters cell assigns steps"),
        ("steps = 1000", "{steps: 10}", "exactly one cell with the tag 'parameters'"),
        (":tags: [parameters]\n\nsteps = 1000", "10", "must be a mapping"),
    ],
)
def test_small_size_must_fit_the_chapter(tiny, cell, small, complaint):
    tiny.chapter("one", cell, small=small)
    with pytest.raises(BookError, match=complaint):
        tiny.execute("small")


def test_the_kernel_is_this_python_whatever_kernels_there_are(tiny, tmp_path, monkeypatch):
    other = tmp_path / "other/kernels/python3/kernel.json"
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps({"argv": ["/no/such/python"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "other"))
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny.chapter("one", f"import sys; print(sys.executable == {sys.executable!r})")
    tiny.execute()
    assert outputs(tiny.notebook("one")) == "True\n"


def test_a_chapter_starts_in_the_repository_and_its_notebook_does_not_say_where_that_is(tiny):
    tiny.chapter(
        "one",
        "import os, sys, warnings, tms",
        "print(os.path.exists('_toc.yml'), 'OMP_NUM_THREADS' in os.environ, os.environ['TQDM_DISABLE'])",
        "warnings.warn('careful')",
        "print('raw', file=sys.stderr)",
        "from tqdm.auto import tqdm; done = list(tqdm(range(3)))",
    )
    tiny.execute()
    assert outputs(tiny.notebook("one")) == "True True 1\n"
    assert tiny.notebook("one")["cells"][-1]["outputs"] == []  # a progress bar has no place in a book
    # What goes to stderr, often with paths in it, is for the author: the build shows it, the page does not.
    assert any("careful" in line for line in tiny.said)
    assert any("raw" in line for line in tiny.said)
    text = tiny.notebook_file("one").read_text()
    assert str(tiny.root) not in text
    assert str(Path.home()) not in text
    assert "papermill" not in text
    assert tiny.notebook("one")["metadata"]["kernelspec"]["name"] == "python3"


def test_the_command_ends_with_chapter_cell_and_error(tiny):
    tiny.chapter("bad", "raise ValueError('too small')")
    done = subprocess.run(
        [sys.executable, "-m", "book._tools", "--root", str(tiny.root), "build"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [line.strip() for line in done.stderr.splitlines()[-3:]] == [
        "book/bad: code cell 1 failed (book/bad.md, line 9)",
        "raise ValueError('too small')",
        "ValueError: too small",
    ]


TRAIN = """import tms
experiment = tms.Experiment(
    model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=5
)
print(store, float(tms.train(experiment, seeds=seeds, store=store).loss.sum()))"""


@pytest.mark.parametrize("size", ["full", "small"])
def test_chapters_share_a_store_and_readers_are_not_told(tmp_path, size):
    """A chapter with a parameter of that name; its notebook keeps what the author wrote."""
    tiny = TinyBook(tmp_path, library=False)
    for name in ("one", "two"):
        tiny.chapter(name, ":tags: [parameters]\n\nstore = None\nseeds = 4", TRAIN, small="{seeds: 3}")
    tiny.execute(size)
    found = tms.store.info(tmp_path / "build/store")
    assert found.models.tolist() == [4 if size == "full" else 3]
    for name in ("one", "two"):
        notebook = tiny.notebook(name, size)
        (output,) = (cell["outputs"][0]["text"] for cell in notebook["cells"] if cell.get("outputs"))
        assert "".join(output).startswith("build/store ")
        sources = ["".join(cell["source"]) for cell in notebook["cells"]]
        assert not any("build/store" in source for source in sources)
        assert any("store = None" in source for source in sources)
        assert sum("# Parameters" in source for source in sources) == (size == "small")
