"""The lab in a real JupyterLab: it runs beside a kernel, and the kernel sees what it learns."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from .conftest import ROOT

# A busy machine takes its time to start a server, a page and a kernel.
WAIT = 120_000

FIRST = """\
import numpy as np
import tms

lab = tms.Lab("pentagon", seeds=2)
lab"""

# The kernel hears the browser only between cells, and so the two looks are two cells.
BEFORE = """\
before, at = lab.W, lab.steps
print("first look", before.shape, at > 0)"""

AFTER = """\
moved = lab.steps > at and not np.array_equal(before, lab.W)
runs = tms.train(lab.experiment.replace(steps=5), seeds=2)
lab.pause()
print("second look", moved, lab.W.shape, runs.W.shape, np.isfinite(lab.loss))"""

LOAD = """\
lab.load(tms.train(lab.experiment.replace(steps=40), seeds=3, snapshot_steps=[0, 10, 40]))
print("loaded", lab.experiment.steps)"""

SET = """\
lab.replay = None
lab.settings = {**lab.settings, "n_features": 7}
lab.play()
print("set")"""

LAST = 'print("third look", lab.W.shape, lab.experiment.model.n_features)'


@pytest.fixture
def jupyter(tmp_path: Path) -> Iterator[str]:
    """The address of a server with one notebook, `lab.ipynb`; it ends with the test."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (FIRST, BEFORE, AFTER, LOAD, SET, LAST)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / "lab.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    # Nothing of the user's own settings, nothing left in the user's folders.
    own = {name: str(tmp_path / name) for name in ("config", "data", "runtime", "ipython", "settings")}
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": own["config"],
        "JUPYTER_DATA_DIR": own["data"],
        "JUPYTER_RUNTIME_DIR": own["runtime"],
        "IPYTHONDIR": own["ipython"],
        "JUPYTERLAB_SETTINGS_DIR": own["settings"],
        "JUPYTERLAB_WORKSPACES_DIR": own["settings"],
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
        *(f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
        # It would ask other hosts for extensions and for news.
        *("--LabApp.extension_manager=readonly", "--LabApp.news_url=None"),
        # The test asks for commands by name: keys that come while the page settles are lost.
        "--LabApp.expose_app_in_browser=True",
    ]
    log = tmp_path / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + WAIT / 1000
        while True:
            try:
                with urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=5) as answer:
                    json.load(answer)
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.5)
        yield f"{address}/lab/tree/lab.ipynb?token={token}&reset"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_kernel_sees_what_the_page_learns(browser, jupyter):
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(jupyter)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    # A kernel that is starting takes no cells yet.
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()

    def run_cell() -> None:
        page.evaluate("() => void jupyterapp.commands.execute('notebook:run-cell-and-select-next')")

    def run_next(words: str) -> str:
        run_cell()
        output = page.locator(".jp-OutputArea-output pre", has_text=words)
        output.wait_for()
        return output.inner_text().strip()

    # "Idle" is said a little too early: what comes before the kernel has answered once is lost.
    first = page.locator(".jp-Cell").first
    for _ in range(20):
        first.locator(".cm-content").click()
        run_cell()
        page.wait_for_timeout(2000)
        if first.locator(".jp-InputPrompt").first.inner_text().strip() not in ("", "[ ]:"):
            break
    lab = page.locator(".lab")
    lab.wait_for()
    status = lab.locator(".lab-status")

    def shown(script: str) -> None:
        page.wait_for_function(script, timeout=WAIT)

    # In sight, it starts by itself.
    lab.scroll_into_view_if_needed()
    shown("parseInt(document.querySelector('.lab-status')?.textContent.replaceAll(',', '') ?? '0') > 200")
    page.wait_for_timeout(1000)  # so that reports have come in
    assert run_next("first look") == "first look (5, 2) True"
    lab.scroll_into_view_if_needed()
    page.wait_for_timeout(2000)
    assert run_next("second look") == "second look True (5, 2) (2, 5, 2) True"
    # Python paused it.
    lab.scroll_into_view_if_needed()
    lab.get_by_role("button", name="Play", exact=True).wait_for()
    # A run of Python's is shown.
    assert run_next("loaded") == "loaded 40"
    page.locator(".lab-replays").wait_for()
    # Python changes settings, and the page follows.
    assert run_next("set") == "set"
    lab.scroll_into_view_if_needed()
    shown("document.querySelector('.lab output[for$=n_features]').textContent === '7'")
    shown("!/^0 steps/.test(document.querySelector('.lab-status').textContent)")
    page.wait_for_timeout(2000)
    assert run_next("third look") == "third look (7, 2) 7"
    assert "steps" in status.inner_text()
    assert problems == []
    context.close()
