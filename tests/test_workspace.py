"""A data set as one object: where its parts lie, who may use it, and what it is called on a screen."""

import pickle
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from dicomprep.database.address import DatabaseAddress
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.storage.access import GROUP, OWNER
from dicomprep.storage.place import Place as Output
from dicomprep.workspace import Workspace
from tests.running import Place, make_files

NAME = "Zoë's Klinik Ü.db"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("Daten Ärzte"))
    make_files(place.source, "Studie 1/Bild A.dcm", "Studie 1/Bild B.dcm")
    place.run(db=place.base / NAME, output_dir=place.base / "Bilder 1")
    return place


@pytest.fixture
def workspace(place: Place) -> Workspace:
    return Workspace.open(place.base / NAME)


@pytest.mark.parametrize("written", ["{base}/{name}", "sqlite:///{base}/{name}", "SQLITE+pysqlite:///{base}/{name}"])
def test_a_data_set_is_one_however_its_database_is_written(place: Place, written: str) -> None:
    workspace = Workspace.open(written.format(base=place.base, name=NAME))
    assert str(workspace) == str(place.base / NAME)
    assert workspace.output.path == place.base / "Bilder 1"
    assert workspace.key_path == place.base / f"{NAME}.key"
    assert workspace.key.hex() == workspace.key_path.read_text().strip()
    assert {stat.name for stat in workspace.images.list()} == {"Studie 1/Bild A.png", "Studie 1/Bild B.png"}


def test_only_one_that_is_there_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no database .*none\.db yet; `dicomprep preprocess"):
        Workspace.open(tmp_path / "none.db")
    assert not any(tmp_path.iterdir())
    with pytest.raises(EnvironmentFault, match="it is a folder"):
        Workspace.open(tmp_path)


def test_one_of_a_run_makes_nothing_before_it_is_locked(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "a.db", tmp_path / "Bilder")
    assert not any(tmp_path.iterdir())
    with workspace.lock() as access:
        assert access == OWNER
        assert (tmp_path / "Bilder").is_dir()
    with workspace.lock(shared=True) as access:
        assert access == GROUP


def test_a_lock_is_seen_by_any_name_of_the_database(place: Place, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(place.base / NAME)
    other = Workspace.create(tmp_path / "link.db", tmp_path / "elsewhere")
    assert not workspace.is_locked()
    with workspace.lock():
        assert workspace.is_locked()
        assert other.is_locked()
        with pytest.raises(EnvironmentFault, match="Another run is writing"), other.lock():
            pass
    assert not other.is_locked()


def test_what_reads_cannot_write(workspace: Workspace) -> None:
    with workspace.reading() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("DELETE FROM frames"))
    with workspace.writing() as store, store.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM frames")).scalar() == 2


def test_it_goes_to_other_processes(workspace: Workspace) -> None:
    _ = workspace.images
    copy = pickle.loads(pickle.dumps(workspace))
    assert (str(copy), copy.output, copy.data_set) == (str(workspace), workspace.output, workspace.data_set)


def test_a_password_is_never_shown() -> None:
    address = DatabaseAddress.parse("postgres://ann:s3cret@localhost/Röntgen")
    assert "s3cret" in address.text
    assert "s3cret" not in f"{address} {address!r} {Workspace(address, Output('/out'))}"


def test_the_key_of_a_server_lies_beside_the_images(tmp_path: Path) -> None:
    workspace = Workspace(DatabaseAddress.parse("postgresql://localhost/x"), Output(str(tmp_path / "Bilder")))
    assert workspace.key_path == tmp_path / "Bilder.key"
    assert workspace.former_key_path == tmp_path / "dicomprep.key"
    assert workspace.own_paths() == {str(tmp_path / name) for name in ("Bilder", "Bilder.key", "Bilder.key.new")}


def test_own_files_are_known_where_they_lie(place: Place, workspace: Workspace) -> None:
    own = workspace.own_paths()
    there = {str(place.base / name) for entry in place.base.iterdir() if (name := entry.name) != "in"}
    assert there <= own
