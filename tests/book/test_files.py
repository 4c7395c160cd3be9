"""The files around the book agree with each other. Nothing is run or installed here."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from book._tools.chapters import Chapter, check_parameters, read_chapters
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
    found = [Requirement(text) for group in groups for text in group]
    return [requirement for requirement in found if requirement.name != PROJECT["project"]["name"]]


@pytest.mark.parametrize("requirement", declared(), ids=lambda r: r.name)
def test_the_lock_file_satisfies_the_project(requirement):
    if requirement.name == "torch":
        assert str(requirement.specifier).startswith("=="), "another torch may pull gigabytes of GPU packages"
        assert "torch" not in locked()
        return
    pins = locked().get(canonicalize_name(requirement.name))
    assert pins, f"{requirement} is not in requirements.lock; run make lock"
    here = [version for version, pin in pins if not pin.marker or pin.marker.evaluate(default_environment())]
    assert here, f"no pin of {requirement.name} is for this Python"
    assert all(version in requirement.specifier for version in here)


def needed(names: list[Requirement]) -> set[str]:
    """The packages that come with these, and those that come with them in turn."""
    found: set[tuple[str, str]] = set()
    left = [(canonicalize_name(r.name), extra) for r in names for extra in ("", *r.extras)]
    while left:
        name, extra = left.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            requirements = map(Requirement, importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError:
            continue  # torch asks for GPU packages that a build without GPU support leaves out
        for r in requirements:
            if r.marker is None or r.marker.evaluate({**default_environment(), "extra": extra}):
                left += [(canonicalize_name(r.name), wanted) for wanted in ("", *r.extras)]
    return {name for name, _ in found}


def imported(chapter: Chapter) -> set[str]:
    """The packages that a chapter's code names."""
    import jupytext

    cells = jupytext.reads(chapter.text, fmt="md:myst").cells if chapter.is_notebook else []
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    names: set[str] = set()
    for node in ast.walk(ast.parse(re.sub(r"^[%!].*", "", code, flags=re.MULTILINE))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_a_downloaded_chapter_needs_nothing_but_the_extra_for_notebooks():
    project = PROJECT["project"]
    own = [*project["dependencies"], *project["optional-dependencies"]["notebook"]]
    packages = needed([Requirement(text) for text in own])
    assert "ipykernel" in packages
    homes = importlib.metadata.packages_distributions()
    for chapter in read_chapters(Book(ROOT)):
        for top in imported(chapter) - sys.stdlib_module_names - {"tms"}:
            known = {canonicalize_name(home) for home in homes.get(top, [])}
            assert known & packages, f"{chapter.name} imports {top}; add it to the extra 'notebook'"


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


def test_each_push_is_built_once_and_what_main_started_is_finished():
    (path,) = WORKFLOWS
    workflow = yaml.safe_load(path.read_text("utf8"))
    assert workflow["concurrency"]["cancel-in-progress"] == "${{ github.ref != 'refs/heads/main' }}"
    outside = "github.event.pull_request.head.repo.full_name != github.repository"
    assert workflow["jobs"]["build"]["if"] == f"github.event_name != 'pull_request' || {outside}"
    # A workflow's token may not push workflows.
    script = workflow["jobs"]["notebooks"]["steps"][-1]["run"]
    assert script.index("git rm -r --quiet --cached .github") < script.index("git commit")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_make_replaces_no_folder_that_it_has_not_made(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = make(f"VENV={tmp_path}", "install")
    assert done.returncode != 0
    assert "make has not made it" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_make_replaces_an_environment_with_another_torch(tmp_path):
    def planned(torch: str) -> str:
        return make("--dry-run", f"VENV={tmp_path}", f"TORCH={torch}", "install").stdout

    (tmp_path / ".packages-torch-2.13.0").touch()
    assert "requirements.lock" not in planned("torch==2.13.0")
    assert "install  torch==2.14.0" in planned("torch==2.14.0")


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
