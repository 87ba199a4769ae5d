"""The wheel, installed where nothing else is: no checkout, no git, no compiler."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.pages import Pages, free_port, wait_for_port
from tests.running import PROJECT, Place, call, make_files, started


@pytest.fixture(scope="session")
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    if not request.config.getoption("--thorough"):
        pytest.skip("needs the package index, and half a minute; --thorough")
    folder = tmp_path_factory.mktemp("wheel")
    done = call([sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(PROJECT)], folder)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Variables of an environment that has the wheel and its requirements; PATH leads to nothing else."""
    folder = tmp_path_factory.mktemp("ein Ordner é") / "venv"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/pip"), "install", "--only-binary=:all:", str(wheel)],
    ):
        done = call(command, folder.parent, timeout=300)
        assert done.returncode == 0, done.stderr
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": str(folder / "bin")}


def run(bare: Mapping[str, str], cwd: Path, program: str, *arguments: str) -> str:
    """What a program of the bare environment prints."""
    done = call([str(Path(bare["PATH"]) / program), *arguments], cwd, env=bare)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_the_package_and_the_examples(wheel: Path) -> None:
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("dicomprep/")}
    package = PROJECT / "src"
    source = {path.relative_to(package).as_posix() for path in (package / "dicomprep").rglob("*.*")}
    examples = {f"dicomprep/{path.relative_to(PROJECT).as_posix()}" for path in (PROJECT / "examples").rglob("*.*")}
    assert packed == {name for name in source | examples if not name.endswith(".pyc")}


def test_an_installed_wheel_preprocesses_and_reports(bare: Mapping[str, str], tmp_path: Path) -> None:
    make_files(tmp_path / "in", "s/a.dcm", "s/b.dcm:3")
    assert "4 frames ready" in run(bare, tmp_path, "dicomprep", "preprocess", "in", "--size", "32")
    assert "done" in run(bare, tmp_path, "python", "-m", "dicomprep", "status")
    run(bare, tmp_path, "dicomprep", "verify")
    run(bare, tmp_path, "dicomprep", "report", "report.html")
    assert b"<html" in (tmp_path / "report.html").read_bytes()


def test_an_installed_wheel_serves_its_pages(bare: Mapping[str, str], tmp_path: Path) -> None:
    make_files(tmp_path / "in", "s/a.dcm")
    run(bare, tmp_path, "dicomprep", "preprocess", "in", "--size", "32")
    port = free_port()
    command = [str(Path(bare["PATH"]) / "dicomprep"), "label", "--classes", "a,b", "--port", str(port)]
    with started(command, tmp_path, env=bare):
        wait_for_port(port)
        pages = Pages(Place(tmp_path), port)
        for path in ("/", "/static/label.js", "/static/pages.css", "/gallery", "/image/1"):
            assert pages.ask("GET", path)[0] == 200, path
