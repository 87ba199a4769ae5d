"""What is said more than once (versions, requirements, folders, Pythons) is said the same everywhere."""

import re
import tomllib
from pathlib import Path

import dicomprep
from dicomprep.version import VERSION
from tests.running import PROJECT

CONDA_NAMES = {"opencv-python-headless": "py-opencv", "xxhash": "python-xxhash"}
"""Packages that conda calls otherwise."""


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


PYPROJECT = tomllib.loads(read("pyproject.toml"))


def locked(name: str) -> set[tuple[str, str]]:
    """(package, version and marker) of a lock."""
    return set(re.findall(r"^([\w.-]+)(==.+?) \\$", read(name), re.MULTILINE))


def split_requirement(requirement: str) -> tuple[str, str]:
    """Name, in lower case, and condition of `name>=1.0`."""
    name, condition = re.fullmatch(r"([\w.-]+) ?(.*)", requirement).groups()  # type: ignore[union-attr]
    return name.lower(), condition


def test_the_version_is_the_same_everywhere() -> None:
    assert dicomprep.__version__ == VERSION
    assert re.findall(r"^version: (.+)$", read("CITATION.cff"), re.MULTILINE) == [VERSION]
    assert re.findall(r'set version = "(.+?)"', read("recipe/meta.yaml")) == [VERSION]


def test_running_needs_packages_that_developing_has_in_the_same_version() -> None:
    assert locked("requirements-run.lock") <= locked("requirements.lock")


def test_the_lock_for_running_has_what_the_project_names() -> None:
    named = {split_requirement(requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]}
    assert named <= {name for name, _ in locked("requirements-run.lock")}
    assert "pytest" not in {name for name, _ in locked("requirements-run.lock")}


def test_the_recipe_asks_for_what_the_project_asks_for() -> None:
    asked = dict(split_requirement(requirement) for requirement in PYPROJECT["project"]["dependencies"])
    section = read("recipe/meta.yaml").partition("  run:\n")[2].partition("\n\n")[0]
    told = dict(split_requirement(line.strip(" -")) for line in section.splitlines())
    assert told.pop("python") == PYPROJECT["project"]["requires-python"]
    assert told == {CONDA_NAMES.get(name, name): condition for name, condition in asked.items()}


def test_the_sdist_has_all_folders_and_files_that_are_named() -> None:
    for pattern in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]:
        assert list(PROJECT.glob(pattern.lstrip("/"))), pattern


def test_the_container_is_given_what_it_copies() -> None:
    copied = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", read("Dockerfile"), re.MULTILINE)
        for word in line.split()
    }
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    assert copied == let_in
    assert all(Path(PROJECT, name).exists() for name in copied)
    assert re.search(r"^USER (?!root)", read("Dockerfile"), re.MULTILINE)


def test_every_python_that_is_promised_is_tried() -> None:
    classifiers = " ".join(PYPROJECT["project"]["classifiers"])
    promised = re.findall(r"Python :: (3\.\d+)", classifiers)
    for workflow in ("tests", "release"):
        matrix = re.findall(r"^ +python: \[(.+)\]$", read(f".github/workflows/{workflow}.yml"), re.MULTILINE)
        assert [re.findall(r"3\.\d+", line) for line in matrix] == [promised]


def test_the_page_on_installing_names_every_extra() -> None:
    table = read("docs/install.md").partition("## Extras")[2].partition("\n## ")[0]
    told = {name for cell in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    assert told == set(PYPROJECT["project"]["optional-dependencies"])


def test_the_page_on_installing_counts_the_packages() -> None:
    count = len({name for name, _ in locked("requirements-run.lock")})
    assert f"{count} packages" in read("docs/install.md")
