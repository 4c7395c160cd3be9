"""The files around the book agree with each other. Nothing is run or installed here."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from book._tools.chapters import check_parameters, read_chapters
from book._tools.layout import Book

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))


def locked() -> dict[str, list[tuple[Version, Requirement]]]:
    """What requirements.lock pins; a package can be there several times, for several Pythons."""
    pins: dict[str, list[tuple[Version, Requirement]]] = {}
    for line in (ROOT / "requirements.lock").read_text("utf8").splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.removesuffix("\\").strip())
            (pin,) = requirement.specifier
            pins.setdefault(canonicalize_name(requirement.name), []).append(
                (Version(pin.version), requirement)
            )
    return pins


def declared() -> list[Requirement]:
    groups = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


@pytest.mark.parametrize("requirement", declared(), ids=lambda r: r.name)
def test_the_lock_file_satisfies_the_project(requirement):
    if requirement.name == "torch":
        assert str(requirement.specifier).startswith("=="), "another torch may pull gigabytes of GPU packages"
        assert "torch" not in locked()
        return
    pins = locked().get(canonicalize_name(requirement.name))
    assert pins, f"{requirement} is not in requirements.lock; run make lock"
    for version, pin in pins:
        if pin.marker is None or pin.marker.evaluate(default_environment()):
            assert version in requirement.specifier


def test_the_lock_file_has_checksums_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text("utf8")
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", text)
    assert all("--hash=sha256:" in block for block in blocks if block[:1].isalnum())
    packages = json.loads((ROOT / "package-lock.json").read_text("utf8"))["packages"]
    wanted = json.loads((ROOT / "package.json").read_text("utf8"))["dependencies"]
    assert packages[""]["dependencies"] == wanted
    for name, package in packages.items():
        assert "resolved" not in package
        assert name == "" or package["integrity"].startswith("sha512-")
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version


def test_conda_gets_the_same_environment():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))
    python, pip, packages = environment["dependencies"]
    assert environment["name"] == PROJECT["project"]["name"]
    assert pip == "pip"
    assert packages == {"pip": ["--requirement requirements.lock"]}
    name, version = python.split("=")
    assert name == "python"
    assert Version(f"{version}.99") in Requirement(f"x{PROJECT['project']['requires-python']}").specifier
    # Torch comes after it, from the one place that names its version.
    script = (ROOT / "postBuild").read_text("utf8")
    assert "pyproject.toml" in script
    assert not re.search(r"torch==\d", script + (ROOT / "Makefile").read_text("utf8"))
    (torch,) = [r for r in declared() if r.name == "torch"]
    pattern = re.compile(r'^ *"(torch==[^"]*)"', re.MULTILINE)
    assert pattern.findall((ROOT / "pyproject.toml").read_text("utf8")) == [str(torch)]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    assert citation["version"] == PROJECT["project"]["version"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_few_rights_and_name_actions_by_tag(path):
    workflow = yaml.safe_load(path.read_text("utf8"))
    assert workflow["permissions"] == {"contents": "read"}
    # What a job may do beyond reading the code, and why.
    allowed = {
        "pages": {"pages": "write", "id-token": "write"},  # to publish the site
        "notebooks": {"contents": "write"},  # to replace the branch of executed notebooks
    }
    for name, job in workflow["jobs"].items():
        assert job.get("permissions", {}) == allowed.get(name, {})
        if name in allowed:
            assert job["if"] == "github.ref == 'refs/heads/main'"
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step["uses"]
    assert "by version tag and not by commit hash" in path.read_text("utf8").replace("\n# ", " ")


def test_workflows_do_what_the_readme_says():
    (path,) = WORKFLOWS
    workflow = yaml.safe_load(path.read_text("utf8"))
    commands = [step.get("run") for step in workflow["jobs"]["build"]["steps"]]
    assert [c for c in commands if c in ("make book", "make test")] == ["make book", "make test"]
    local = [line for line in (ROOT / ".ci/run").read_text("utf8").splitlines() if line.startswith("make ")]
    assert local == ["make book", "make test"]


@pytest.mark.parametrize("name", [".ci/run", "postBuild"])
def test_scripts_stop_at_the_first_error(name):
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text("utf8")


def test_chapters_can_be_made_smaller():
    import jupytext

    for chapter in read_chapters(Book(ROOT, "small")):
        if chapter.is_notebook:
            cells = jupytext.reads(chapter.text, fmt="md:myst").cells
            tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
            assert len(tagged) == 1, f"{chapter.name} needs one cell with the tag 'parameters'"
            check_parameters(chapter, chapter.parameters(Book(ROOT, "small")), tagged)


def test_chapters_are_committed_without_results():
    ignored = (ROOT / ".gitignore").read_text("utf8")
    assert "/book/**/*.ipynb" in ignored
    assert not [path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
