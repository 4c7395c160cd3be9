"""The lab: its trainer in Node and in Chromium's worker, one thread, and the built page. Four minutes.

The page is that of the built book, or else of the small one; without Chromium only Node is measured.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import _measure

FOLDER = Path(__file__).parents[1] / "tms/_lab"
# Features, hidden dimensions, batch, feature probability.
SETTINGS = ((5, 2, 256, 0.05), (5, 2, 256, 1.0), (20, 5, 1024, 0.05), (20, 5, 1024, 1.0))

MEASURE = """
const measure = (Trainer, settings) => settings.map((given) => {
  const [n_features, n_hidden, batch_size, feature_probability] = given;
  const trainer = new Trainer({ n_features, n_hidden, batch_size, feature_probability });
  trainer.run(200);
  const rates = [];
  for (let turn = 0; turn < 5; turn++) {
    const begin = performance.now();
    let steps = 0;
    for (; performance.now() - begin < 1000; steps += 20) trainer.run(20);
    rates.push((1000 * steps) / (performance.now() - begin));
  }
  return { n_features, n_hidden, batch_size, feature_probability, rates };
});
"""
CODE = """
const { Trainer } = await import(process.argv[1]);
console.log(JSON.stringify(measure(Trainer, JSON.parse(process.argv[2]))));
"""
IN_WORKER = """(code) => new Promise((done, failed) => {
  const worker = new Worker(URL.createObjectURL(new Blob([code])));
  worker.onmessage = ({ data }) => { worker.terminate(); done(data); };
  worker.onerror = ({ message }) => failed(new Error(message));
})"""
# From a press of the button to the change of its words, as the page sees it.
ANSWERS = """async () => {
  const buttons = [...document.querySelectorAll(".lab button")];
  const button = buttons.find((one) => /^(Play|Pause)$/.test(one.textContent));
  const times = [];
  for (let k = 0; k < 50; k++) {
    await new Promise((done) => setTimeout(done, 60 + 7 * (k % 9)));
    const asked = performance.now(); // the event waits its turn from here
    await new Promise((done) => {
      new MutationObserver((_, observer) => { observer.disconnect(); done(); })
        .observe(button, { childList: true, characterData: true, subtree: true });
      setTimeout(() => button.click());
    });
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - asked);
  }
  return times;
}"""
PENTAGON = "document.querySelector('.lab-directions')?.getAttribute('aria-label')?.startsWith('5 of 5')"
RUNNING = "/^[1-9]/.test(document.querySelector('.lab-status')?.textContent ?? '')"
ROOT = Path(__file__).parents[1]


def summary(results: list[dict[str, Any]], where: str) -> None:
    for one in results:
        one["median"] = statistics.median(one["rates"])
        print(
            f"  {where}, {one['n_features']}→{one['n_hidden']}, batch {one['batch_size']}, "
            f"p = {one['feature_probability']}: {one['median']:,.0f} steps a second",
            flush=True,
        )


def in_chromium() -> dict[str, Any] | None:
    """The same in a worker of the page, and what a reader waits for."""
    from playwright.sync_api import sync_playwright

    from tms import lab

    sites = [ROOT / "build" / part / "book/reproduction.html" for part in ("html", "small/html")]
    page_file = next((site for site in sites if site.exists()), None)
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = own if Path(own).exists() else shutil.which("chromium")
        if path is None or page_file is None:
            print("  no Chromium, or no built book: the page is not measured")
            return None
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        opening, pentagon = [], []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            begin = time.perf_counter()
            page.goto(page_file.as_uri() + "#lab=pentagon&settings=", wait_until="commit")
            page.wait_for_function(RUNNING)
            opening.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            page.wait_for_function(PENTAGON)
            pentagon.append(time.perf_counter() - begin)
            page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(page_file.as_uri() + "#lab=pentagon&settings=")
        page.wait_for_function(RUNNING)
        answers = page.evaluate(ANSWERS)
        client = page.context.new_cdp_session(page)
        heap = []
        for _ in range(13):
            client.send("HeapProfiler.collectGarbage")
            heap.append(client.send("Runtime.getHeapUsage")["usedSize"])
            page.wait_for_timeout(10_000)
        page.goto("about:blank")
        worker = "".join(map(lab._plain, ("trainer.js",)))
        settings = f"const SETTINGS = {json.dumps(lab._data('settings.json'))};"
        code = f"{settings}{worker}{MEASURE}postMessage(measure(Trainer, {json.dumps(SETTINGS)}));"
        steps = page.evaluate(IN_WORKER, code)
        browser.close()
    summary(steps, "Chromium's worker")
    found = {
        "opening to running, s": opening,
        "running to pentagon in words, s": pentagon,
        "answer to a click, median, ms": statistics.median(answers),
        "answer to a click, worst, ms": max(answers),
        "heap after collection, bytes, every 10 s": heap,
    }
    for name, value in found.items():
        print(f"  {name}: {value}", flush=True)
    return {"page": str(page_file.relative_to(ROOT)), "settings": steps, **found}


def main() -> None:
    program = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    arguments = [(FOLDER / "trainer.js").as_uri(), json.dumps(SETTINGS)]
    command = [program, "--no-warnings", "--input-type=module", "--eval", MEASURE + CODE, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    results = json.loads(done.stdout)
    summary(results, "Node")
    browser = in_chromium()
    _measure.write("lab", {"settings": results, "browser": browser})


if __name__ == "__main__":
    main()
