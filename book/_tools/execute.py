"""Run chapters with papermill, several at once, each in a process and a kernel of its own."""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .chapters import Chapter, assigned, cell_line, check_parameters, content_hash
from .claims import evidence_file, write_evidence
from .data_files import data_file, kernel_start, take_data, write_data
from .layout import Book, BookError

# Key in a notebook's metadata under which an executed notebook says what it was made from.
STAMP = "tms_book"

# Where chapters keep trained models, seen from the repository; all of them share it. A chapter that
# has a parameter `store` is given this; its page and its notebook keep the value that the author wrote.
STORE = "build/store"

# How often a kernel that dies before its first cell is started.
KERNEL_STARTS = 3

# Run at the start of every kernel. tqdm honours TQDM_DISABLE in a terminal only; its bars for notebooks are
# widgets, which would stand on the page for ever, finished.
NO_PROGRESS_BARS = """\
from functools import partialmethod

try:
    from tqdm.notebook import tqdm_notebook
except ImportError:
    pass
else:
    tqdm_notebook.__init__ = partialmethod(tqdm_notebook.__init__, disable=True)
"""

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Job:
    """One chapter to run, with all that the worker process needs."""

    chapter: Chapter
    parameters: dict[str, Any]
    size: str
    hash: str
    root: Path
    target: Path
    evidence: Path
    data: Path
    kernels: Path


@dataclass(frozen=True)
class Failure:
    """Why a chapter stopped.

    Attributes:
        chapter: its name.
        where: which cell, in words.
        source: the cell's code, empty if no cell is to blame.
        error: the exception's name and message.
        traceback: the full traceback, without colours.
    """

    chapter: str
    where: str
    source: str
    error: str
    traceback: str

    def __str__(self) -> str:
        indented = "\n".join(f"    {line}" for line in self.source.splitlines())
        return "\n".join(part for part in (f"{self.chapter}: {self.where}", indented, self.error) if part)


@dataclass(frozen=True)
class Outcome:
    chapter: str
    seconds: float
    stderr: str = ""
    failure: Failure | None = None


def executed_file(book: Book, page: str) -> Path:
    return book.executed / f"{page}.ipynb"


def stamp_of(path: Path) -> dict[str, Any]:
    """What an executed notebook says it was made from; empty if it is missing or damaged."""
    try:
        metadata = json.loads(path.read_text("utf8"))["metadata"]
        return dict(metadata.get(STAMP, {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_current(book: Book, chapter: Chapter, environment: str) -> bool:
    """Whether the chapter's executed notebook was made from exactly what lies here now."""
    stamp = stamp_of(executed_file(book, chapter.name))
    return stamp == {"size": book.size, "hash": content_hash(book, chapter, environment)}


def execute(book: Book, chapters: list[Chapter], environment: str, say: Callable[[str], None]) -> None:
    """Run those chapters whose executed notebook is missing or made from something else.

    Raises:
        BookError: a chapter failed. Chapters that were running are finished and kept; none is started any
            more.
    """
    stale = [c for c in chapters if c.is_notebook and not is_current(book, c, environment)]
    if not stale:
        return
    cores = _cores()
    workers = min(len(stale), cores if cores < 4 else cores // 2)
    kernels = _write_kernel(book, cores=cores, workers=workers)
    jobs = [
        Job(
            chapter=chapter,
            parameters=chapter.parameters(book),
            size=book.size,
            hash=content_hash(book, chapter, environment),
            root=book.root,
            target=executed_file(book, chapter.name),
            evidence=evidence_file(book, chapter.name),
            data=data_file(book, chapter.name),
            kernels=kernels,
        )
        for chapter in stale
    ]
    say(f"Executing {_count(len(jobs), 'chapter')}, {workers} at once")
    failures = []
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[Outcome], Job] = {pool.submit(_run_alone, job): job for job in jobs}
        try:
            for future in as_completed(running):
                if future.cancelled():
                    continue
                outcome = _outcome(future, running[future])
                failed = "failed after " if outcome.failure else ""
                say(f"  {outcome.chapter}: {failed}{outcome.seconds:.0f} s")
                if outcome.stderr:
                    say(_quote(outcome.stderr))
                _write_log(book, outcome)
                if outcome.failure:
                    failures.append(outcome.failure)
                    for other in running:
                        other.cancel()
        finally:
            # After an interruption too: what has not begun does not begin any more.
            for job_left in running:
                job_left.cancel()
    if failures:
        raise BookError("\n\n".join([*(f.traceback for f in failures), *map(str, failures)]))


def _run_alone(job: Job) -> Outcome:
    """Run one chapter in a process that runs nothing else, so that one that is killed takes no other with it.

    Spawned rather than forked: it starts clean, whatever this process has loaded.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, job).result()


def _outcome(future: Future[Outcome], job: Job) -> Outcome:
    """What became of a chapter, also if its process was killed or stumbled over something unforeseen."""
    try:
        return future.result()
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return Outcome(
            job.chapter.name, 0.0, failure=Failure(job.chapter.name, "could not be run", "", words, "")
        )


def run(job: Job) -> Outcome:
    """Run one chapter in this process, and keep its notebook if all of it ran."""
    # Imported here: this is slow, and a build in which nothing changed needs none of it.
    import jupytext
    import nbformat
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook

    os.environ["JUPYTER_PATH"] = str(job.kernels)
    # Text mode would have the kernel's debugger complain about frozen modules in every log.
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    started = time.monotonic()
    notebook = jupytext.reads(job.chapter.text, fmt="md:myst")
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:03}"
    tagged = [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    job.target.parent.mkdir(parents=True, exist_ok=True)
    # Papermill saves here after every cell, so that after a crash one can see how far it came.
    draft = job.target.with_suffix(".unfinished.ipynb")
    try:
        check_parameters(job.chapter, job.parameters, tagged)
        shared = {"store": STORE} if len(tagged) == 1 and "store" in assigned(tagged[0]) else {}
        for attempt in range(1, KERNEL_STARTS + 1):
            try:
                result = execute_notebook(
                    notebook,
                    str(draft),
                    parameters=job.parameters | shared,
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    cwd=str(job.root),
                    record_timing=False,
                )
                break
            except RuntimeError:
                # A kernel's ports are found free before it binds them; when another program takes one in
                # between, it dies at once. No cell has run then, so that it is safe to start again.
                if attempt == KERNEL_STARTS or _running_cell(draft):
                    raise
        _check_all_ran(job.chapter, result.cells)
        tables = take_data(result)
    except Exception as error:
        if isinstance(error, PapermillExecutionError):
            failure = _failure(job.chapter, error.source, f"{error.ename}: {error.evalue}", error.traceback)
        elif isinstance(error, BookError):
            failure = Failure(job.chapter.name, "not run", "", str(error), "")
        else:
            # The kernel died (out of memory, a crash in compiled code): no cell reports it, but papermill's
            # draft says which one was running.
            failure = _failure(job.chapter, _running_cell(draft), f"{type(error).__name__}: {error}", [])
        return Outcome(job.chapter.name, time.monotonic() - started, failure=failure)
    stderr = _clean(result, job)
    # First evidence and data, then the notebook: where the notebook is current, they are there too.
    write_evidence(job.evidence, result, {"size": job.size, "hash": job.hash})
    write_data(job.data, tables, {"size": job.size, "hash": job.hash})
    finished = job.target.with_suffix(".tmp")
    finished.write_text(nbformat.writes(result) + "\n", "utf8")
    finished.replace(job.target)
    draft.unlink(missing_ok=True)
    return Outcome(job.chapter.name, time.monotonic() - started, stderr=stderr)


def _clean(notebook: Any, job: Job) -> str:
    """Leave in a notebook what its readers need, and stamp it; return what it wrote to stderr.

    Gone are timings, paths of this machine, the shared store, and warnings (they quote paths; the build shows
    them instead). So two runs with the same result give the same file, and the file says nothing about where
    it was made.
    """
    stderr = []
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(r"^store = .*\n?", "", cell.source, flags=re.M).rstrip()
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            stderr += [o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]
            cell.outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
    notebook.cells = [
        cell
        for cell in notebook.cells
        if not ("injected-parameters" in cell.metadata.get("tags", []) and cell.source == "# Parameters")
    ]
    for key in ("papermill", "jupytext", "tms"):
        notebook.metadata.pop(key, None)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata[STAMP] = {"size": job.size, "hash": job.hash}
    return "".join(stderr)


def _check_all_ran(chapter: Chapter, cells: list[Any]) -> None:
    """``sys.exit(0)`` ends a kernel without an error; the cells after it then never ran."""
    for cell in cells:
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            raise BookError(
                f"{chapter.name}: the run ended early, this cell was not executed:\n{cell.source}"
            )


def _failure(chapter: Chapter, source: str, error: str, traceback: list[str]) -> Failure:
    return Failure(
        chapter=chapter.name,
        where=_where(chapter, source),
        source=source,
        error=_COLOUR.sub("", error).strip(),
        traceback=_COLOUR.sub("", "\n".join(traceback)),
    )


def _where(chapter: Chapter, source: str) -> str:
    """Which code cell of a chapter this is, with the line of the file on which it begins."""
    import jupytext

    cells = jupytext.reads(chapter.text, fmt="md:myst").cells
    sources = [cell.source for cell in cells]
    if source not in sources:
        return "failed in the cell of injected parameters" if source else "failed before its first cell"
    index = sources.index(source)
    number = sum(cell.cell_type == "code" for cell in cells[: index + 1])
    line = cell_line(chapter.text, sources, index)
    return f"code cell {number} failed ({chapter.name}.md, line {line})"


def _running_cell(draft: Path) -> str:
    """The code of the last cell that papermill says it started."""
    try:
        cells = json.loads(draft.read_text("utf8"))["cells"]
    except (OSError, ValueError, KeyError):
        return ""
    started = [c for c in cells if c["metadata"].get("papermill", {}).get("start_time")]
    return "".join(started[-1]["source"]) if started else ""


def _write_kernel(book: Book, cores: int, workers: int) -> Path:
    """Write a kernel specification that starts this very Python, and return the folder to search first.

    A reader may have other kernels called ``python3``; ``JUPYTER_PATH`` goes before all of them. The kernel's
    environment keeps chapters that run side by side from taking each other's cores, and keeps personal
    start-up files, progress bars and dates out of the results.

    The library's own threads are the exception: each chapter may have one on every core. Chapters differ much
    in length, and the longest would otherwise end on its share of a machine with nothing else to do. Those
    threads never wait for each other, so that a few too many of them cost little.
    """
    folder = book.work / "jupyter"
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    specification = {
        # Quiet: it would warn that its sockets on this machine are not encrypted, and of its own end.
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=50"],
        "display_name": "Python 3",
        "language": "python",
        "env": {
            **dict.fromkeys(pools, str(max(1, cores // workers))),
            "TMS_THREADS": str(cores),
            "IPYTHONDIR": str(book.work / "ipython"),
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "0",
            "TQDM_DISABLE": "1",
        },
    }
    (kernel / "kernel.json").write_text(json.dumps(specification, indent=1), "utf8")
    startup = book.work / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "00_no_progress_bars.py").write_text(NO_PROGRESS_BARS, "utf8")
    (startup / "10_show_data.py").write_text(kernel_start(), "utf8")
    return folder


def _write_log(book: Book, outcome: Outcome) -> None:
    path = book.log / f"{outcome.chapter}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    failed = f"{outcome.failure.traceback}\n{outcome.failure}\n" if outcome.failure else ""
    path.write_text(f"{outcome.seconds:.1f} s\n{outcome.stderr}{failed}", "utf8")


def _quote(text: str) -> str:
    return "\n".join(f"    | {line}" for line in _COLOUR.sub("", text).splitlines())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cores() -> int:
    """Cores that this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
