"""Who may read what is made: its owner alone whatever the umask, a group where that is asked for; earlier ones stay."""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import dicomprep
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import write_meta
from dicomprep.database.writes.store import Store
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.storage.access import ANYONE, GROUP, OWNER
from dicomprep.storage.paths import MARK
from dicomprep.storage.place import Place as Output
from dicomprep.workspace import Workspace
from tests.running import SIZE, Place, cli, make_files, set_labels

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")


@contextmanager
def umask(bits: int) -> Iterator[None]:
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "new" / "place")
    with umask(0o022):
        make_files(place.source, "s/a.dcm", "s/b.dcm:3", "t/c.dcm")
    return place


def modes(folder: Path, *, but: Path | None = None) -> dict[str, int]:
    """The mode of all that lies in a folder, but for another."""
    found = [path for path in folder.rglob("*") if but is None or not path.is_relative_to(but)]
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in found}


def preprocess(place: Place, *options: object, mask: int) -> str:
    known = ("--output-dir", place.output, "--db", place.base / "db" / "x.db", "--size", SIZE, "--workers", 2)
    done = cli(place.base, "preprocess", place.source, *known, *options, umask=mask)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_a_new_data_set_is_its_owners_alone(place: Place, mask: int) -> None:
    first = preprocess(place, mask=mask)
    assert "Access    readable only by you" in first
    made = modes(place.base, but=place.source)
    assert {"out/s/a.png", f"out/{MARK}", "out/.dicomprep.lock", "db/x.db", "db/x.db.key", "db/x.db.lock"} < set(made)
    assert set(made.values()) == {0o600, 0o700}
    make_files(place.source, "s/d.dcm", "u/e.dcm", seed=8)
    assert "Access" not in preprocess(place, mask=mask)
    made = modes(place.base, but=place.source)
    assert {"out/s/d.png", "out/u/e.png"} < set(made)
    assert set(made.values()) == {0o600, 0o700}


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o640, 0o750), (0o000, 0o660, 0o770)])
def test_a_shared_one_is_for_a_group_as_far_as_the_umask_lets_it(
    place: Place, mask: int, file: int, folder: int
) -> None:
    assert "Access" not in preprocess(place, "--shared", mask=mask)
    make_files(place.source, "u/e.dcm", seed=8)
    preprocess(place, mask=mask)
    made = modes(place.base, but=place.source)
    assert made.pop("db/x.db.key") == 0o600
    assert set(made.values()) == {file, folder}
    assert made["out/u/e.png"] == file


def test_an_earlier_data_set_stays_as_readable_as_it_was(place: Place) -> None:
    with umask(0o022):
        place.run()
        for path in (place.db, place.output / MARK, *place.output.rglob("*.png")):
            path.chmod(0o644)
        for path in (place.output, place.output / "s", place.output / "t"):
            path.chmod(0o755)
        before = modes(place.base)
        make_files(place.source, "u/e.dcm", seed=8)
        place.run()
    after = modes(place.base)
    assert {path: after[path] for path in before} == before
    assert (after["out/u/e.png"], after["out/u"]) == (0o644, 0o755)


def test_who_opens_one_to_a_group_opens_what_comes_later(place: Place) -> None:
    with umask(0o022):
        place.run()
    said = preprocess_shared(place)
    assert shlex.join(["chmod", "-R", "g+rX", str(place.output), str(place.db)]) in said
    for path in (place.db, place.output, *place.output.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | (0o050 if path.is_dir() else 0o040))
    with umask(0o022):
        make_files(place.source, "u/e.dcm", seed=8)
        place.run()
    assert {modes(place.base)[path] for path in ("out/u/e.png", "out/s/a.png", "x.db")} == {0o640}
    assert modes(place.base)["out/u"] == 0o750
    assert "Access" not in preprocess_shared(place)


def preprocess_shared(place: Place) -> str:
    known = ("--output-dir", place.output, "--db", place.db, "--size", SIZE)
    done = cli(place.base, "preprocess", place.source, *known, "--shared", env=os.environ | {"COLUMNS": "500"})
    return done.stdout


def test_a_folder_that_somebody_made_keeps_its_mode_and_gets_private_files(place: Place) -> None:
    with umask(0):
        place.output.mkdir()
        place.db.touch()
        dicomprep.preprocess(place.source, output_dir=place.output, db=place.db, size=SIZE, workers=1)
        assert os.umask(0) == 0
    made = modes(place.base, but=place.source)
    assert (made.pop("out"), made.pop("x.db")) == (0o777, 0o666)
    made = {path: mode for path, mode in made.items() if path != "in"}
    assert set(made.values()) == {0o600, 0o700}


def test_what_is_made_again_is_no_more_readable(place: Place) -> None:
    with umask(0):
        place.run()
        (place.output / "s/a.png").unlink()
        (place.output / "t/c.png").write_bytes(b"")
        done = cli(place.base, "verify", "--repair", "--db", place.db, umask=0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert modes(place.output)["s/a.png"] == modes(place.output)["t/c.png"] == 0o600


def test_journals_are_as_private_as_the_database(place: Place) -> None:
    with umask(0):
        place.run()
        store = Store(place.address)
        with store.transaction() as connection:
            write_meta(connection, "x", "y" * 100_000)
            beside = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.base.glob("x.db-*")}
        store.close()
    assert beside
    assert set(beside.values()) == {0o600}


@pytest.mark.parametrize("kind", ["csv", "webdataset", "folder"])
def test_exports_are_private_unless_shared_and_earlier_ones_stay(place: Place, tmp_path: Path, kind: str) -> None:
    place.run()
    set_labels(place, dict.fromkeys(place.rows("SELECT filename FROM images LIMIT 2"), "a"))
    folder = tmp_path / "made"
    with umask(0o022):
        folder.mkdir()
        for out, shared in (("own", False), ("group", True), ("made", False)):
            export(place, kind, tmp_path / out, shared=shared)
        assert set(modes(tmp_path / "own").values()) <= {0o600, 0o700}
        assert set(modes(tmp_path / "group").values()) <= {0o640, 0o750}
        assert set(modes(folder).values()) <= {0o600, 0o700}
        assert [modes(tmp_path)[out] for out in ("own", "group", "made")] == [0o700, 0o750, 0o755]
        (folder / "manifest.jsonl").chmod(0o644)
        set_labels(place, dict.fromkeys(place.rows("SELECT filename FROM images LIMIT 4"), "b"))
        export(place, kind, folder)
    made = modes(folder)
    assert made["manifest.jsonl"] == made["README.md"] == 0o644


def export(place: Place, kind: str, out: Path, *, shared: bool = False) -> None:
    export_frames(Format(kind), out, place.workspace, options=ExportOptions(), shared=shared)


def test_a_servers_data_set_is_known_by_the_mark_in_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    workspace = Workspace(DatabaseAddress.parse("postgresql://nowhere/x"), Output(str(out)))
    assert workspace._access(shared=False) == OWNER
    assert workspace._access(shared=True) == GROUP
    (out / "s").mkdir(parents=True)
    assert workspace._access(shared=False) == ANYONE  # of before there were marks
    mark = out / MARK
    for mode, access in ((0o600, OWNER), (0o640, GROUP), (0o644, ANYONE)):
        mark.write_text("{}")
        mark.chmod(mode)
        assert workspace._access(shared=True) == access
    mark.unlink()
    mark.symlink_to(__file__)
    assert workspace._access(shared=False) == ANYONE
