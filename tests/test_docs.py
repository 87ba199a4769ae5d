"""What the documentation shows is run, from top to bottom, in a folder of its own."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dicomprep.cli import app
from dicomprep.cli.samples import make_samples
from tests.building import make_dicom
from tests.command_reference import PAGE, command_reference
from tests.running import PROJECT, Place, frames_of, set_labels

DOCS = PROJECT / "docs"
PAGES = ["tutorial.md", "training.md", "exports.md", "labels-and-predictions.md"]


def snippets(page: str) -> list[tuple[str, str]]:
    """(language, text) of the blocks that are run; those in `py` need what tests do not have."""
    return re.findall(r"```(python|bash)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def run_line(line: str) -> None:
    """A command as the page shows it."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "pip":
        return
    if program == "python":
        assert arguments[:2] == ["-m", "dicomprep.cli.samples"]
        make_samples(Path(arguments[2]))
        return
    assert program == "dicomprep"
    with pytest.raises(SystemExit) as ended:
        app.main(arguments)
    assert not ended.value.code, line


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as the guides take it for granted, in the current folder."""
    place = Place(tmp_path)
    for number in range(12):
        facts = {"InstanceNumber": number, "WindowCenter": 128, "WindowWidth": 256}
        pixels = frames_of(1, seed=number)[0]
        make_dicom(place.source / f"study/{number}.dcm", pixels, patient_id=f"P{number % 6}", **facts)
    place.run(output_dir=tmp_path / "thumbnails", db=str(tmp_path / "dicomprep.db"), size=64)
    (tmp_path / "x.db").symlink_to(tmp_path / "dicomprep.db")
    set_labels(place, {f"study/{number}": "ab"[number % 2] for number in range(12)})
    (tmp_path / "x.db").unlink()
    names = [f"study/{number},a" for number in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(["filename,label", *names]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_works(page: str, folder: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    if page == "tutorial.md":
        for made in ("dicomprep.db", "dicomprep.db.key", "labels.csv"):
            (folder / made).unlink()
        (folder / "thumbnails").rename(folder / "other")
    names: dict[str, Any] = {}
    for language, text in snippets(page):
        if language == "python":
            exec(compile(text, page, "exec"), names)
        else:
            for line in text.splitlines():
                if line and not line.startswith("#"):
                    run_line(line)
    assert snippets(page)


def test_every_public_name_is_in_the_reference() -> None:
    import dicomprep

    told = set(re.findall(r"auto(?:function|class):: (\w+)$", (DOCS / "python.md").read_text(), re.MULTILINE))
    errors = {name for name in dicomprep.__all__ if getattr(dicomprep, name).__module__ == "dicomprep.errors"}
    assert told == set(dicomprep.__all__) - errors


def test_the_command_reference_is_up_to_date() -> None:
    message = "a command or its help has changed: run `python -m tests.command_reference`"
    assert PAGE.read_text(encoding="utf-8") == command_reference(), message


def anchors(page: Path) -> set[str]:
    """The headings of a page, as a link names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PROJECT.glob("*.md"), *DOCS.glob("*.md")], ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://", "mailto:")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_that_the_code_names_exists() -> None:
    """Docstrings, messages and the lists of the other documents name pages by their paths."""
    for path in [
        PROJECT / "Makefile",
        *PROJECT.glob("*.md"),
        *(PROJECT / "src").rglob("*.py"),
        *(PROJECT / "tests").rglob("*.py"),
    ]:
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8")):
            assert (PROJECT / name).exists(), f"{path}: {name}"


def test_the_design_names_every_package_and_module_at_the_top() -> None:
    layout = (DOCS / "design.md").read_text(encoding="utf-8").partition("## 4.")[2].split("```")[1]
    told = set(re.findall(r"^  ([\w/.]+)", layout, re.MULTILINE))
    house = PROJECT / "src" / "dicomprep"
    packages = {f"{path.parent.relative_to(house)}/" for path in house.rglob("*/__init__.py")}
    modules = {path.name for path in house.glob("*.py") if not path.name.startswith("__")}
    assert told == packages | modules


def test_changes_stand_in_their_sections_once() -> None:
    """Merges that keep both sides of a conflict bring entries back, before the first section."""
    unreleased = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8").partition("## Unreleased")[2]
    assert "\n- " not in unreleased.partition("\n### ")[0]
    entries = re.findall(r"^- (.{40})", unreleased, re.MULTILINE)
    assert len(set(entries)) == len(entries)
