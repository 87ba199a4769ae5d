"""Archives among the files, and in their place: what is opened, what is counted and named, what is refused."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.running import Place, cli, make_files

NAMES = ("b/e.7z", "b/f.rar", "g.tar.lz4", "b/h.zip")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def make_archives(place: Place) -> None:
    """A zip and a tar that hold DICOM files, and others that are only called so."""
    make_files(place.base / "packed", "x.dcm", "y.dcm", seed=7)
    for name in NAMES:
        (place.source / name).parent.mkdir(parents=True, exist_ok=True)
        (place.source / name).write_bytes(b"anything")
    with zipfile.ZipFile(place.source / "export.zip", "w") as archive:
        archive.write(place.base / "packed/x.dcm", "x.dcm")
    with tarfile.open(place.source / "b/Export 2.TAR", "w") as archive:
        archive.add(place.base / "packed/y.dcm", "y.dcm")


def test_archives_are_opened_and_those_that_cannot_be_are_counted_and_named(place: Place) -> None:
    make_files(place.source, "a.dcm", "s/b.dcm")
    make_archives(place)
    (place.source / "notes.txt").write_text("none")
    done = cli(place.base, "preprocess", "in", "--db", "x.db", "--size", "16")
    assert done.returncode == 0
    assert "Files     4 found: 4 done" in done.stdout
    assert "5 other files (not DICOM)" in done.stdout
    (line,) = [line.strip() for line in done.stdout.splitlines() if "archives not" in line]
    assert line == "4 archives not opened: unpack them first (g.tar.lz4, b/e.7z, b/f.rar, …)"
    assert set(place.statuses()) == {"a.dcm", "s/b.dcm", "export.zip!/x.dcm", "b/Export 2.TAR!/y.dcm"}
    names = place.rows("SELECT filename FROM images ORDER BY 1")
    assert names == ["b/Export 2/y", "export/x", "in/a", "s/b"]


def test_archives_are_left_alone_where_that_is_asked_for(place: Place) -> None:
    make_files(place.source, "a.dcm")
    make_archives(place)
    done = cli(place.base, "preprocess", "in", "--db", "x.db", "--size", "16", "--no-archives")
    assert "Files     1 found: 1 done" in done.stdout
    assert "6 archives not opened: unpack them first" in done.stdout
    again = cli(place.base, "preprocess", "in", "--db", "x.db", "--size", "16")
    assert "Files     3 found: 2 done, 1 unchanged" in again.stdout
    cli(place.base, "preprocess", "in", "--db", "x.db", "--size", "16", "--no-archives", "--prune")
    assert place.rows("SELECT count(*) FROM images") == [3]


def test_a_folder_of_nothing_but_archives_that_cannot_be_opened_says_so(place: Place) -> None:
    place.source.mkdir()
    (place.source / "all.7z").touch()
    done = cli(place.base, "preprocess", "in", "--db", "x.db")
    assert done.returncode == 0
    assert "1 archive not opened: unpack them first (all.7z)" in done.stdout
    assert "No DICOMs found" in done.stdout


def test_dicom_that_is_called_like_an_archive_is_dicom(place: Place) -> None:
    make_files(place.source, "a.zip", "1.2.tar")
    result = place.run()
    assert (result.statuses, result.archives) == ({"done": 2}, 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.zip", "is not an archive that can be opened. Unpack it"),
        ("x.dcm", "`dicomprep inspect` explains"),
        ("y", "The folder or archive y does not exist"),
    ],
)
def test_a_file_in_place_of_the_folder_is_2_with_a_reason(place: Place, name: str, reason: str) -> None:
    if name != "y":
        (place.base / name).touch()
    done = cli(place.base, "preprocess", name)
    assert done.returncode == 2
    assert reason in done.stderr
    assert not (place.base / "dicomprep.db").exists()
