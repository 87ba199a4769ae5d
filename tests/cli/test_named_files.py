"""Files that a person names: there as a whole or, with one sentence that says why, as they were before."""

import contextlib
import os
import resource
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomprep.cli.app import main
from tests.running import Place, make_files, set_labels

SMALL = 700
"""Bytes that a file may grow to on the disk that is full: less than any of these files has."""

COMMANDS = {
    "report": ("report PLACE --db x.db", ".html"),
    "labels": ("labels export PLACE --db x.db", ".csv"),
    "history": ("labels export PLACE --db x.db --history", ".parquet"),
    "predictions": ("predictions export PLACE --db x.db", ".csv"),
    "unmatched": ("labels import given.csv --db x.db --unmatched PLACE", ".csv"),
    "unmatched scores": ("predictions import given.csv --db x.db --unmatched PLACE", ".parquet"),
    "inspect": ("inspect in/a/00.dcm --size 64 --png PLACE", ".png"),
}
EXPORTS = ("csv", "parquet", "webdataset", "huggingface", "folder")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with labels, predictions, and a table that speaks of images that are not there."""
    place = Place(tmp_path_factory.mktemp("named"))
    names = [f"a/{number:02d}" for number in range(40)]
    make_files(place.source, *(f"{name}.dcm" for name in names))
    place.run()
    set_labels(place, dict.fromkeys(names, "label"))
    rows = [f"{name},label,0.5\n" for name in (*names, *(f"not there {number}" for number in range(100)))]
    (place.base / "given.csv").write_text("filename,label,score\n" + "".join(rows))
    run(place.base, "predictions import given.csv --db x.db")
    run(place.base, "report first.html --db x.db")  # which counts what the pages keep
    return place.base


@pytest.fixture
def here(base: Path, tmp_path: Path) -> Path:
    return shutil.copytree(base, tmp_path / "here")


def run(folder: Path, command: str) -> int:
    with contextlib.chdir(folder), pytest.raises(SystemExit) as ended:
        main(shlex.split(command))
    return int(ended.value.code or 0)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Within the block no file can grow beyond a little."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def the_sentence(capsys: pytest.CaptureFixture[str], place: Path) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {place}"), line
    return line


Given = Callable[[Path], object]
WRONG: dict[str, Given] = {
    "a folder": lambda place: place.mkdir(parents=True),
    "below a file": lambda place: place.parent.write_text("in the way"),
    "a link that leads to itself": lambda place: (place.parent.mkdir(), place.symlink_to(place.name)),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_place_that_no_file_can_have_is_2_before_anything_is_done(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, wrong: str
) -> None:
    command, ending = COMMANDS[name]
    place = Path("there", f"x{ending}")
    WRONG[wrong](here / place)
    before = files_of(here)
    assert run(here, command.replace("PLACE", shlex.quote(str(place)))) == 2
    the_sentence(capsys, place)
    assert files_of(here) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_3_and_the_earlier_file_stays(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    command, ending = COMMANDS[name]
    for place in (here / f"earlier{ending}", here / f"new{ending}"):
        if place.stem == "earlier":
            place.write_bytes(b"of a week ago")
        run(here, command.replace("PLACE", f"other{ending}"))  # an import has its work done
        capsys.readouterr()
        before = files_of(here)
        with full_disk():
            code = run(here, command.replace("PLACE", shlex.quote(str(place))))
        assert code == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith((f"Error: {place}", "Error: The database"))  # an import may meet it there first
        assert ("Free some space and run this again." in line) == line.startswith(f"Error: {place}"), line
        assert files_of(here) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_takes_the_place_of_an_earlier_one_also_through_a_link(here: Path, name: str) -> None:
    command, ending = COMMANDS[name]
    (here / "target").write_bytes(b"of a week ago")
    (here / "target").chmod(0o600)
    (here / f"link{ending}").symlink_to("target")
    assert run(here, command.replace("PLACE", f"link{ending}")) == 0
    assert (here / f"link{ending}").is_symlink()
    assert len((here / "target").read_bytes()) > SMALL
    assert (here / "target").stat().st_mode & 0o777 == 0o600


def test_a_pipe_stays_one(here: Path) -> None:
    os.mkfifo(here / "pipe")
    reader = os.open(here / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run(here, "inspect in/a/00.dcm --size 8 --png pipe") == 0
    assert os.read(reader, 4) == b"\x89PNG"
    os.close(reader)
    assert (here / "pipe").is_fifo()


@pytest.mark.parametrize(
    "command",
    [
        "report x.db --db x.db",
        "report ./x.db --db sqlite:///x.db",
        "labels import given.csv --db x.db --unmatched given.csv",
        "inspect in/a/00.dcm --png in/a/00.dcm",
    ],
)
def test_what_is_read_is_not_written_over(here: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    before = files_of(here)
    assert run(here, command) == 2
    assert "is the file that is read. Choose another place." in capsys.readouterr().err
    assert files_of(here) == before


@pytest.mark.parametrize("kind", EXPORTS)
def test_an_export_to_a_file_or_below_one_is_2(here: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (here / "file").write_text("in the way")
    before = files_of(here)
    for place in (Path("file"), Path("file", "out")):
        assert run(here, f"export {kind} {place} --db x.db") == 2
        the_sentence(capsys, place)
    assert files_of(here) == before


@pytest.mark.parametrize("kind", EXPORTS)
def test_an_export_to_a_full_disk_is_3_and_gone_on_with(
    here: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    with full_disk():
        assert run(here, f"export {kind} new --db x.db") == 3
    assert "Free some space and run this again." in the_sentence(capsys, Path("new"))
    assert run(here, f"export {kind} new --db x.db") == 0
    assert not list((here / "new").glob(".*"))
