"""Two databases never share an output folder: each would overwrite, and `verify` remove, what is the other's."""

import shutil
from pathlib import Path

import pytest

import dicomprep
from dicomprep.storage.paths import MARK
from dicomprep.workspace import Workspace
from tests.running import Place, call, cli, dicomprep_command, make_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    make_files(place.source, "s/a.dcm", "s/b.dcm")
    place.run()
    return place


def test_a_second_database_is_refused_and_the_images_of_the_first_stay(place: Place, tmp_path: Path) -> None:
    before = place.images()
    make_files(tmp_path / "other", "s/a.dcm", seed=5)
    command = ["preprocess", tmp_path / "other", "--output-dir", place.output, "--db", "second.db"]
    done = call(dicomprep_command(*command), place.base)
    assert (done.returncode, str(place.db) in done.stderr, "--output-dir" in done.stderr) == (2, True, True)
    assert place.images() == before
    assert cli(place.base, "preprocess", tmp_path / "other", "--output-dir", "o2", "--db", "second.db").returncode == 0
    (place.output / MARK).unlink()
    Workspace.create(place.base / "second.db", place.output).claim(data_set="of the second")
    repaired = cli(place.base, "verify", "--repair", "--db", place.db)
    assert (repaired.returncode, "second.db" in repaired.stderr) == (2, True)
    assert place.images() == before


def test_what_is_moved_copied_or_begun_anew_is_no_second_database(place: Place, tmp_path: Path) -> None:
    moved = Place(tmp_path / "moved")
    shutil.copytree(place.base, moved.base)
    assert moved.run().exit_code == 0
    shutil.copy(place.db, place.base / "copy.db")
    shutil.copy(f"{place.db}.key", place.base / "copy.db.key")
    dicomprep.preprocess(place.source, output_dir=place.output, db=str(place.base / "copy.db"))
    for name in ("x.db", "x.db.key", "copy.db", "copy.db.key"):
        (place.base / name).unlink()
    assert place.run().processed == 2  # under the same name
    (place.base / "x.db").rename(place.base / "away.db")
    dicomprep.preprocess(place.source, output_dir=place.output, db=str(place.base / "new.db"))


def test_a_server_is_told_apart_by_its_key_and_a_cut_mark_is_none(tmp_path: Path) -> None:
    Workspace.create("postgresql://me:secret@host/one", tmp_path).claim(data_set="k1")
    assert "secret" not in (tmp_path / MARK).read_text()
    Workspace.create("postgresql://me:other@host/one", tmp_path).require_own_output(data_set="k2")
    Workspace.create("postgresql://me@elsewhere/one", tmp_path).require_own_output(data_set="k1")
    with pytest.raises(dicomprep.ConfigError, match=r"another database, postgresql://me:\*\*\*@host/one.*remove"):
        Workspace.create("postgresql://me@host/two", tmp_path).require_own_output(data_set="k2")
    (tmp_path / MARK).write_text((tmp_path / MARK).read_text()[:-9])
    Workspace.create("postgresql://me@host/two", tmp_path).require_own_output(data_set="k2")
