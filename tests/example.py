"""The example book, built with the real configuration: for tests of pages with every kind of content."""

import shutil
from pathlib import Path

import pytest

from book._tools import assets
from book._tools.build import build
from book._tools.layout import Book

ROOT = Path(__file__).parents[1]


_BUILT: dict[str, Path] = {}


def example_site(factory: pytest.TempPathFactory, repository: str = "") -> Path:
    """The example's site, with this address of the repository; built once per test process.

    Tests that use it belong to the xdist group "example", so that they share a process.
    """
    if repository not in _BUILT:
        _BUILT[repository] = _build(factory.mktemp("example"), repository)
    return _BUILT[repository]


def _build(root: Path, repository: str) -> Path:
    shutil.copytree(ROOT / "tests/book/example", root, dirs_exist_ok=True)
    shutil.copytree(ROOT / "book/_assets", root / "book/_assets")
    for name in ("_config.yml", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, root)
    (root / "pyproject.toml").write_text(f'[tool.tms-book]\nrepository = "{repository}"\n', "utf8")
    # The scripts from npm are the repository's own; no need to fetch them for every test.
    assets.fetch(Book(ROOT))
    shutil.copytree(ROOT / "build/assets", root / "build/assets")
    build(Book(root), lambda line: None)
    return Book(root).site
