"""The package as others meet it: the wheel, the README, the API page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tms
import tms.plot

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the wheel was installed into."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for file in (ROOT / "tms").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            target = source / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, str(folder / "site"), str(wheel)], check=True, capture_output=True)
    return folder / "site"


def run(code, folder, cwd):
    """Run code with the wheel's folder before everything else, away from the repository."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    return subprocess.run([sys.executable, "-P", "-c", start + code], cwd=cwd, capture_output=True, text=True)


def test_wheel_holds_the_whole_library(installed, tmp_path):
    """The installed wheel imports from its own folder, types included, and trains."""
    code = """
import tms
experiment = tms.Experiment(model=tms.Autoencoder(n_features=3, n_hidden=2), inputs=tms.OneHot(), steps=2)
print(tms.__file__, tms.train(experiment).W.shape)
import tms.plot
"""
    done = run(code, installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert "(1, 3, 2)" in done.stdout
    packed = {file.relative_to(installed) for file in (installed / "tms").rglob("*.py")}
    assert packed == {file.relative_to(ROOT) for file in (ROOT / "tms").rglob("*.py")}
    assert (installed / "tms" / "py.typed").exists()
    lab = {file.name for file in (installed / "tms/_lab").iterdir()}
    assert lab == {file.name for file in (ROOT / "tms/_lab").iterdir()}


def test_the_ten_lines_of_the_readme_run(tmp_path):
    """The README's example does what it says."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import matplotlib; matplotlib.use('agg')\n" + code],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "directions.svg").read_text().lstrip().startswith("<?xml")


def test_the_commands_of_the_readme_exist():
    """Every `make` command that the README names is a target, and its picture is there."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.M))
    named = set(re.findall(r"^make (?:[A-Z_]+=\S+ )?([a-z]+)", readme, flags=re.M))
    named |= set(re.findall(r"`make (?:[A-Z_]+=\S+ )?([a-z]+)`", readme))
    assert {"book", "test", "lab"} <= named <= targets
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme):
        assert (ROOT / picture).exists()


def test_the_readme_installs_what_is_there():
    """The package is not on PyPI; once it is, README and this test name it."""
    readme = (ROOT / "README.md").read_text()
    assert re.findall(r"^pip install .*", readme, flags=re.M) == ["pip install ."]
    assert '`pip install ".[notebook]"`' in readme
    assert "pip install tms-superposition" not in readme


def test_every_public_name_is_on_the_api_page():
    """The API page lists what the package exports, and nothing else."""
    listed = re.findall(
        r"^\.\. auto(?:function|class):: (\w+)", (ROOT / "book" / "api.md").read_text(), flags=re.M
    )
    public = set(tms.__all__) | set(tms.plot.__all__) | set(tms.store.__all__)
    assert set(listed) | {"plot", "store"} == public
