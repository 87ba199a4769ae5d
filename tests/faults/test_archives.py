"""Archives are not opened: they are counted, named, and it is said what to do."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.running import Place, cli, make_files

NAMES = ("export.zip", "b/Export 2.TAR", "b/c.tar.gz", "b/d.tgz", "b/e.7z", "b/f.dcm.gz", "g.rar")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def make_archives(place: Place) -> None:
    """A zip and a tar that hold DICOM files, and others that are only called so."""
    make_files(place.base / "packed", "x.dcm", "y.dcm", seed=7)
    for name in NAMES:
        (place.source / name).parent.mkdir(parents=True, exist_ok=True)
        (place.source / name).write_bytes(b"anything")
    with zipfile.ZipFile(place.source / NAMES[0], "w") as archive:
        archive.write(place.base / "packed/x.dcm", "../../x.dcm")
    with tarfile.open(place.source / NAMES[1], "w") as archive:
        archive.add(place.base / "packed/y.dcm", "y.dcm")


def test_archives_among_the_files_are_counted_and_named(place: Place) -> None:
    make_files(place.source, "a.dcm", "s/b.dcm")
    make_archives(place)
    (place.source / "notes.txt").write_text("none")
    done = cli(place.base, "preprocess", "in", "--db", "x.db", "--size", "16")
    assert done.returncode == 0
    assert "Files     2 found: 2 done" in done.stdout
    assert "8 other files (not DICOM)" in done.stdout
    (line,) = [line.strip() for line in done.stdout.splitlines() if "archive" in line]
    assert line.startswith("7 archives not opened: unpack them first (")
    assert line.endswith(", …)")
    assert line.count(", ") == 3
    assert place.rows("SELECT count(*) FROM files") == [2]


def test_a_folder_of_nothing_but_archives_says_so(place: Place) -> None:
    place.source.mkdir()
    (place.source / "all.zip").touch()
    done = cli(place.base, "preprocess", "in", "--db", "x.db")
    assert done.returncode == 0
    assert "1 archive not opened: unpack them first (all.zip)" in done.stdout
    assert "No DICOMs found" in done.stdout


def test_dicom_that_is_called_like_an_archive_is_dicom(place: Place) -> None:
    make_files(place.source, "a.zip", "1.2.tar")
    result = place.run()
    assert (result.statuses, result.archives) == ({"done": 2}, 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("x.zip", "is an archive, and archives are not opened. Unpack it"), ("x.dcm", "`dicomprep inspect` looks at")],
)
def test_a_file_in_place_of_the_folder_is_2_with_a_reason(place: Place, name: str, reason: str) -> None:
    (place.base / name).touch()
    done = cli(place.base, "preprocess", name)
    assert done.returncode == 2
    assert reason in done.stderr
    assert not (place.base / "dicomprep.db").exists()
