"""Sites and a real browser to look at them with."""

import os
import shutil
import threading
from collections.abc import Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from book._tools.build import build
from book._tools.layout import Book, BookError
from book._tools.locks import hold
from tests.example import example_site

ROOT = Path(__file__).parents[2]
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

# The book in full size is the one that readers see; here it is looked at if it has been built.
SITES = ("small", "full")
PAGES = (*Book(ROOT).pages, "index", "search", "genindex")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Build the small book first and look at its pages last.

    The build takes longest by far, and its lock makes others that need it wait. So one process builds, the
    other tests run beside it, and the pages are shared out once they are there.
    """

    def place(item: pytest.Item) -> int:
        values = (
            item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        )
        if item.path.parent != Path(__file__).parent or values.get("name") != "small":
            return 1
        return 0 if item.get_closest_marker("builds") else 2

    items.sort(key=place)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "builds: the test that builds the small book, before all others")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium: the one that Playwright has downloaded, which fits it, or else the machine's own."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = own if Path(own).exists() else shutil.which("chromium")
        if path is None:
            message = (
                "there is no Chromium; on Debian: apt-get install chromium, or: playwright install chromium"
            )
            pytest.fail(message) if IN_CI else pytest.skip(message)
        # As few requests of its own as possible, so that what is seen are the page's.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        arguments += ["--disable-component-update", "--no-first-run"]
        instance = playwright.chromium.launch(executable_path=path, args=arguments)
        yield instance
        instance.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory):
    """A function from a site's name to its folder; what is missing is built, once.

    A build that fails is not tried again for the next test: it fails them all with the same message.
    """

    @cache
    def attempt(name: str) -> Path | BookError:
        try:
            return find(name)
        except BookError as error:
            return error

    def find(name: str) -> Path:
        if name == "small":
            return build_small_once()
        if name == "example":
            return example_site(tmp_path_factory)
        full = Book(ROOT).site
        if not (full / "index.html").exists():
            message = "the book has not been built; run make book first"
            pytest.fail(message) if IN_CI else pytest.skip(message)
        return full

    def folder(name: str) -> Path:
        found = attempt(name)
        if isinstance(found, BookError):
            pytest.fail(f"the {name} book cannot be built:\n{found}", pytrace=False)
        return found

    return folder


@pytest.fixture(scope="session")
def address(site) -> Iterator:
    """A function from a site's name and http or file to the address of its folder."""
    servers = []

    @cache
    def serve(name: str) -> str:
        server = _Server(("127.0.0.1", 0), partial(_Quiet, directory=str(site(name))))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield lambda name, protocol: serve(name) if protocol == "http" else site(name).as_uri()
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def build_small_once() -> Path:
    """Build the small book, unless a process of this very run of the tests has done so, or has failed to.

    Building again would mostly find that nothing changed; but if a file did change meanwhile, it would take
    the site away from those who look at it.
    """
    book = Book(ROOT, "small")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"alone {os.getpid()}")
    record = book.work / ".tested"
    with hold(book.work / ".tested.lock"):
        known, _, failure = record.read_text("utf8").partition("\n") if record.exists() else ("", "", "")
        if known != run:
            failure = ""
            try:
                build(book, lambda line: None)
            except BookError as error:
                failure = str(error)
            record.write_text(f"{run}\n{failure}", "utf8")
    if failure:
        raise BookError(failure)
    return book.site


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A window that is closed in the middle of an answer is no error."""


class _Quiet(SimpleHTTPRequestHandler):
    # One connection per file would be slow, and waiting ones would be cut off at the end.
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass


class Reader:
    """A page that writes down everything that goes wrong on it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.problems: list[str] = []
        page.on("console", lambda m: self._note("console", m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self._note("script", str(error)))
        page.on("requestfailed", lambda request: self._note("failed", request.url))
        page.on("response", lambda answer: self._note("failed", answer.url) if answer.status >= 400 else None)
        page.on("request", lambda request: self._check_host(request.url))

    def open(self, path: str) -> None:
        self.page.goto(f"{self.base}/{path}", wait_until="load")
        # index.html sends its reader on to the first page.
        self.page.wait_for_function("!document.querySelector('meta[http-equiv=refresh]')")
        self.page.wait_for_load_state("load")
        self.page.evaluate("async () => { await window.MathJax?.startup?.promise }")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('script[type$=\"widget-view+json\"]')]"
            ".every(view => view.parentElement.querySelector('.jupyter-widgets, .lm-Widget'))"
            " && [...document.querySelectorAll('.lab-place')]"
            ".every(place => place.querySelector('.lab, .solid'))"
        )
        # Let scripts that start late have their say.
        self.page.wait_for_timeout(100)

    def _note(self, kind: str, text: str) -> None:
        self.problems.append(f"{kind}: {text}")

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self._note("another host", url)


@pytest.fixture
def read(browser: Browser, address) -> Iterator:
    """A function that opens a window on a site: ``read("small", "http", width=375, mode="dark")``."""
    contexts = []

    def start(name: str, protocol: str, width: int = 1280, mode: str = "light") -> Reader:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)
        contexts.append(context)
        return Reader(context.new_page(), address(name, protocol))

    yield start
    for context in contexts:
        context.close()
