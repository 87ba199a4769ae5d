"""A tree gives the same images from a folder and from archives of it; what is recorded stays, wherever it lies."""

import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from dicomprep.checks import viewer_worker
from dicomprep.checks.inspect import inspect_file
from dicomprep.checks.repair import repair
from dicomprep.checks.verify import verify
from dicomprep.checks.viewer import ViewFrame
from dicomprep.cli.console import count_files
from dicomprep.config import ImageOptions
from dicomprep.errors import ConfigError
from dicomprep.pipeline.rerun import due_runs
from dicomprep.pipeline.result import ProgressListener
from dicomprep.pipeline.run import run
from dicomprep.pipeline.stages import unpack
from dicomprep.storage.archives import spool
from tests.running import Place, cli, dicomprep_command, make_files, started

TREE = ("a.dcm", "s/b", "s/b.dcm", "s/c.dcm:3", "Ä ö/t/d.dcm", "s/B.dcm", "notes/x.dicom")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *TREE)
    (place.source / "s/readme.txt").write_text("none")
    (place.source / "s/broken.dcm").write_bytes(b"none either")
    return place


def pack_zip(place: Place, archive: Path) -> None:
    shutil.make_archive(str(archive.with_suffix("")), "zip", place.source)


def pack_zip_with_its_folder(place: Place, archive: Path) -> None:
    shutil.make_archive(str(archive.with_suffix("")), "zip", place.base, "in")


def pack_stored_zip(place: Place, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(place.source.rglob("*"), reverse=True):
            packed.write(path, path.relative_to(place.source))


def pack_bzip2_zip(place: Place, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as packed:
        for path in place.source.rglob("*"):
            packed.write(path, path.relative_to(place.source))


def pack_tar(place: Place, archive: Path, mode: Any = "w", form: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(archive, mode, format=form) as packed:
        packed.add(place.source, ".")


def pack_gnu_tar(place: Place, archive: Path) -> None:
    pack_tar(place, archive, form=tarfile.GNU_FORMAT)


def pack_gzip(place: Place, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(place.source, "in")


def pack_xz(place: Place, archive: Path) -> None:
    pack_tar(place, archive, "w:xz")


def pack_bzip2(place: Place, archive: Path) -> None:
    pack_tar(place, archive, "w:bz2")


def pack_zstandard(place: Place, archive: Path) -> None:
    pack_tar(place, archive)
    archive.write_bytes(zstandard.compress(archive.read_bytes()))


Pack = Callable[[Place, Path], None]
PACKED: list[tuple[str, Pack]] = [
    ("in.zip", pack_zip),
    ("in.zip", pack_zip_with_its_folder),
    ("in.zip", pack_stored_zip),
    ("in.zip", pack_bzip2_zip),
    ("in.tar", pack_tar),
    ("in.tar", pack_gnu_tar),
    ("in.tar.gz", pack_gzip),
    ("in.txz", pack_xz),
    ("in.tar.bz2", pack_bzip2),
    ("in.tar.zst", pack_zstandard),
]


def result_of(place: Place) -> dict[str, Any]:
    """What a person sees of a data set."""
    columns = "images.filename, images.split, images.patient_key, frames.digest, frames.transform, images.modality"
    return {
        "images": place.images(),
        "rows": place.rows(f"SELECT {columns} FROM images JOIN frames ON frames.id = images.id ORDER BY 1"),
        "inputs": place.rows("SELECT status, error_code, frames, count(*) FROM inputs GROUP BY 1, 2, 3 ORDER BY 1, 2"),
    }


def beside(place: Place, name: str) -> Place:
    """Another data set with the same key, whose input is `name`."""
    other = Place(place.base / "other")
    other.base.mkdir(exist_ok=True)
    shutil.copy(f"{place.db}.key", f"{other.db}.key")
    return other


@pytest.mark.parametrize(("name", "pack"), PACKED, ids=lambda value: getattr(value, "__name__", value))
def test_an_archive_is_as_the_folder_that_it_was_packed_from(place: Place, name: str, pack: Pack) -> None:
    expected = place.run()
    other = beside(place, name)
    archive = other.base / name
    pack(place, archive)
    result = other.run(dicom_dir=archive)
    assert (result.statuses, result.other_files) == (expected.statuses, expected.other_files)
    assert result_of(other) == result_of(place)
    again = other.run(dicom_dir=archive)
    assert (again.processed, again.unchanged) == (0, result.found)
    other.check()
    assert sorted(path.name for path in other.base.iterdir()) == sorted(["out", "x.db", "x.db.key", "x.db.lock", name])


def test_a_folder_in_which_one_was_packed_keeps_its_names(place: Place) -> None:
    place.run()
    other = beside(place, "")
    shutil.copytree(place.source, other.source)
    shutil.make_archive(str(other.source / "s"), "zip", other.source / "s")
    shutil.rmtree(other.source / "s")
    other.run()
    assert sorted(result_of(other)["rows"]) == sorted(result_of(place)["rows"])


def test_an_archive_in_an_archive_is_opened_too(place: Place) -> None:
    place.run()
    other = beside(place, "")
    inner = other.base / "s.tar"
    with tarfile.open(inner, "w") as packed:
        packed.add(place.source / "s", ".")
    archive = other.base / "in.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed_zip:
        packed_zip.write(inner, "s.tar")
        for path in place.source.rglob("*"):
            if not path.is_relative_to(place.source / "s"):
                packed_zip.write(path, path.relative_to(place.source))
    other.run(dicom_dir=archive)
    assert sorted(result_of(other)["rows"]) == sorted(result_of(place)["rows"])
    assert f"{archive}!/s.tar!/c.dcm" in other.rows("SELECT path FROM inputs")


def test_an_unpacked_copy_is_a_duplicate_and_takes_its_place_when_the_archive_is_gone(place: Place) -> None:
    archive = place.base / "in.zip"
    pack_zip(place, archive)
    place.run(dicom_dir=archive)
    before = place.rows("SELECT filename FROM images ORDER BY 1")
    place.run()
    assert place.rows("SELECT filename FROM images ORDER BY 1") == before
    assert place.rows("SELECT count(*) FROM inputs WHERE error_detail LIKE 'a duplicate of%.zip!/%'") == [7]


def test_an_unpacked_copy_of_an_archive_that_is_gone_moved(place: Place) -> None:
    archive = place.base / "in.zip"
    pack_zip(place, archive)
    place.run(dicom_dir=archive)
    before = result_of(place)
    archive.unlink()
    result = place.run()
    assert (result.processed, result.moved) == (0, 8)
    assert result_of(place) == before


def test_a_changed_archive_is_read_again_and_what_it_holds_still_is_not_drawn_again(place: Place) -> None:
    archive = place.base / "in.zip"
    pack_zip(place, archive)
    place.run(dicom_dir=archive)
    before = result_of(place)["images"]
    with zipfile.ZipFile(archive, "a") as packed:
        make_files(place.base / "new", "new.dcm", seed=70)
        packed.write(place.base / "new/new.dcm", "s/new.dcm")
    result = place.run(dicom_dir=archive)
    assert (result.processed, result.unchanged) == (1, 8)
    assert result_of(place)["images"].items() >= before.items()


def test_a_folder_around_an_archive_and_the_archive_are_recorded_once(place: Place) -> None:
    pack_zip(place, place.base / "packed.zip")
    shutil.move(place.base / "packed.zip", place.source / "packed.zip")
    whole = place.run()
    part = place.run(dicom_dir=place.source / "packed.zip")
    assert (part.processed, part.found) == (0, 8)
    assert whole.found == 16
    other = beside(place, "")
    first = other.run(dicom_dir=place.source / "packed.zip")
    after = other.run(dicom_dir=place.source)
    assert (first.found, after.found, after.processed) == (8, 16, 8)


def test_several_places_are_one_run_and_each_is_searched_once(place: Place) -> None:
    archive = place.base / "z.zip"
    pack_zip(place, archive)
    make_files(place.base / "more", "m.dcm", seed=50)
    given = ["in", "z.zip", "more", "in/s", "./in"]
    done = cli(place.base, "preprocess", *given, "--db", "x.db", "--output-dir", "out", "--size", "16")
    assert "Files     17 found: 15 done, 2 failed" in done.stdout
    assert "Scanning in, z.zip, more for DICOM files" in done.stdout
    assert "in/s/broken.dcm: " in done.stderr
    assert "z.zip!/s/broken.dcm: " in done.stderr
    assert place.rows("SELECT count(*) FROM runs") == [1]
    again = cli(place.base, "retry", "--db", "x.db")
    assert again.stdout.count("Retrying 1 failed file in") == 2
    status = cli(place.base, "status", "--db", "x.db")
    assert f"{place.source}, {archive}!, {place.base / 'more'}" in status.stdout
    place.check()


def test_a_place_that_is_not_there_is_said_before_any_work(place: Place) -> None:
    done = cli(place.base, "preprocess", "in", "nowhere", "--db", "x.db")
    assert done.returncode == 2
    assert "The folder or archive nowhere does not exist." in done.stderr
    assert not place.db.exists()


def test_files_beside_several_folders_must_agree(place: Place) -> None:
    make_files(place.base / "more", "m.dcm", seed=50)
    (place.source / "dicomprep.toml").write_text("size = 16")
    (place.base / "more/dicomprep.toml").write_text("size = 32")
    done = cli(place.base, "preprocess", "in", "more", "--db", "x.db")
    assert done.returncode == 2
    assert "ask for different images: give --size" in done.stderr


def test_members_are_found_by_their_names(place: Place) -> None:
    archive = place.base / "in.zip"
    pack_zip(place, archive)
    inspection = inspect_file(Path(f"{archive}!/s/c.dcm"), ImageOptions(), frame_number=1, max_bytes=2**30)
    assert inspection.thumbnail is not None
    done = cli(place.base, "inspect", "in.zip!/s/none.dcm")
    assert done.returncode == 2
    assert f"there is no such file in {archive}" in done.stderr


def test_images_of_members_are_made_again_byte_for_byte(place: Place) -> None:
    archive = place.base / "in.zip"
    pack_zip(place, archive)
    place.run(dicom_dir=archive)
    before = place.images()
    for path in list(place.output.rglob("*.png"))[:2]:
        path.unlink()
    done = cli(place.base, "verify", "--db", "x.db", "--repair")
    assert "2  restored, byte for byte" in done.stdout
    assert place.images() == before


def test_names_say_nothing_of_an_archive_where_that_is_asked_for(place: Place) -> None:
    archive = place.base / "Müller, Anna.zip"
    pack_zip(place, archive)
    place.run(dicom_dir=archive, names="hash")
    shown = "".join(place.rows("SELECT filename || study_id || thumbnail_path FROM images"))
    assert "ller" not in shown + "".join(place.images())


def test_a_part_that_is_gone_from_its_folder_is_not_gone_from_an_archive(place: Place) -> None:
    archive = place.source / "s.zip"
    shutil.make_archive(str(archive.with_suffix("")), "zip", place.source / "s")
    place.run()
    (place.source / "a.dcm").unlink()
    result = place.run(prune=True)
    assert result.pruned == 1


def test_a_stream_is_read_once_whatever_its_size_is_to_the_spool(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.run()
    monkeypatch.setattr(spool, "MAX_BYTES", 1)
    monkeypatch.setattr(unpack, "SLICE_SECONDS", 0)
    read: list[int] = []
    decode = unpack.decode_stream
    monkeypatch.setattr(unpack, "decode_stream", lambda *given: read.append(1) or decode(*given))
    other = beside(place, "")
    archive = other.base / "in.tar.gz"
    pack_gzip(place, archive)
    other.run(dicom_dir=archive)
    assert result_of(other) == result_of(place)
    assert len(read) == 1
    pack_xz(place, other.base / "in.tar.xz")
    shutil.copytree(place.source, other.source)
    assert other.run(dicom_dir=[other.base / "in.tar.xz", other.source, archive]).processed == 2 * 8 + 0
    assert not list(other.output.glob(".dicomprep-tmp/*"))


def test_members_of_a_stream_are_found_and_made_again_by_their_names(place: Place) -> None:
    archive = place.base / "in.tar.gz"
    pack_gzip(place, archive)
    place.run(dicom_dir=archive)
    before = place.images()
    inspection = inspect_file(Path(f"{archive}!/in/s/c.dcm"), ImageOptions(), frame_number=2, max_bytes=2**30)
    assert inspection.thumbnail is not None
    next(place.output.rglob("*.png")).unlink()
    assert "1  restored, byte for byte" in cli(place.base, "verify", "--db", "x.db", "--repair").stdout
    assert place.images() == before


def test_a_stream_is_read_once_for_all_that_is_retried_or_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = place.source / "inner"
    shutil.make_archive(str(inner), "zip", place.source / "s")
    archive = place.base / "in.tar.gz"
    pack_gzip(place, archive)
    place.run(dicom_dir=archive)
    before = place.images()
    for path in place.output.rglob("*.png"):
        path.unlink()
    read: list[int] = []
    decode = unpack.decode_stream
    monkeypatch.setattr(unpack, "decode_stream", lambda *given: read.append(1) or decode(*given))
    ((config, find, count),) = due_runs(place.workspace, codes=None, workers=1, changes={})
    assert count == 2
    result = run(place.workspace, config, sources=find)
    assert (result.found, len(read)) == (2, 1)
    due = verify(place.workspace).due
    assert repair(place.workspace, due, workers=1, make_listener=lambda *_: ProgressListener()).exit_code == 0
    assert len(read) == 2
    assert place.images() == before


def test_a_stream_in_which_nothing_is_due_is_not_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(place.source, "deep/x.dcm", "__MACOSX/y.dcm", seed=60)
    shutil.make_archive(str(place.source / "inner"), "zip", place.source / "deep")
    (place.source / "what.7z").write_bytes(b"anything")
    (place.source / "._z.dcm").write_bytes(b"\0\5\x16\7" + bytes(100))
    archive = place.base / "more/in.tar.gz"
    archive.parent.mkdir()
    pack_gzip(place, archive)
    given = [archive.parent, place.base / "cut.tar.gz"]
    given[1].write_bytes(archive.read_bytes()[:-4000])
    first = place.run(dicom_dir=given)
    read: list[int] = []
    decode = unpack.decode_stream
    monkeypatch.setattr(unpack, "decode_stream", lambda *given: read.append(1) or decode(*given))
    for _ in range(2):
        again = place.run(dicom_dir=given, prune=True)
        assert (again.processed, again.found, len(read), again.pruned) == (0, first.found, 0, 0)
        assert again.as_dict() == first.as_dict()
    assert place.run(dicom_dir=given, size=20).processed == first.found
    assert len(read) == 2
    place.execute("UPDATE files SET fingerprint = '' WHERE path LIKE '%/s/c.dcm'")
    assert place.run(dicom_dir=given, size=20).processed > 0
    archive.touch()
    assert place.run(dicom_dir=given, size=20).processed == 0
    assert len(read) in (4, 5)


def test_archives_within_a_stream_are_opened(place: Place) -> None:
    place.run()
    other = beside(place, "")
    inner = other.base / "s"
    shutil.make_archive(str(inner), "zip", place.source / "s")
    archive = other.base / "in.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(f"{inner}.zip", "s.zip")
        for path in sorted(place.source.iterdir()):
            if path.name != "s":
                packed.add(path, path.name)
    other.run(dicom_dir=archive)
    assert sorted(result_of(other)["rows"]) == sorted(result_of(place)["rows"])


def test_without_the_library_zstandard_is_one_sentence(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pack_zstandard(place, place.base / "in.tar.zst")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match="needs zstandard: pip install 'dicomprep\\[archives\\]'"):
        place.run(dicom_dir=place.base / "in.tar.zst")


def test_what_is_no_longer_in_an_archive_is_gone_and_damage_is_not_taken_for_that(place: Place) -> None:
    archive = place.base / "in.zip"
    pack_zip(place, archive)
    whole = archive.read_bytes()
    found = place.run(dicom_dir=archive).found
    archive.write_bytes(whole[: len(whole) // 2])
    assert place.run(dicom_dir=archive, prune=True).pruned == 0
    assert place.rows("SELECT error_code FROM inputs WHERE path LIKE '%!/.'") == ["corrupt_archive"]
    (place.source / "a.dcm").unlink()
    pack_zip(place, archive)
    result = place.run(dicom_dir=archive, prune=True)
    assert (result.found, result.processed, result.pruned) == (found - 1, 0, 2)
    assert place.rows("SELECT path FROM inputs WHERE path LIKE '%!/.' OR path LIKE '%a.dcm'") == []
    place.check()


def test_pages_show_the_originals_of_members(place: Place) -> None:
    for number, (name, pack) in enumerate((("in.zip", pack_zip), ("in.tar.gz", pack_gzip))):
        pack(place, place.base / name)
        within = "in/" if number else ""
        view = viewer_worker.answer(ViewFrame(f"{place.base / name}!/{within}s/c.dcm", 2), None, lambda: None)
        assert view.about["frames"] == 3
    refused = viewer_worker.answer(ViewFrame(f"{place.base / 'in.zip'}!/none.dcm", 0), None, lambda: None)
    assert refused.code == "unreadable"


def test_a_run_over_three_kinds_of_places_that_is_killed_goes_on_as_if_nothing_had_happened(place: Place) -> None:
    make_files(place.base / "more", *(f"m{number % 3}/{number}.dcm:9" for number in range(40)), seed=100)
    given = ["in", "z.zip", "t.tar.gz"]
    shutil.make_archive(str(place.base / "z"), "zip", place.base / "more")
    with tarfile.open(place.base / "t.tar.gz", "w:gz") as packed:
        packed.add(place.base / "more", "t/more")
    whole = beside_run(place, given)
    moments = random.Random(7)
    killed = Place(place.base / "killed")
    killed.base.mkdir()
    shutil.copy(f"{whole.db}.key", f"{killed.db}.key")
    places = [place.base / name for name in given]
    for _ in range(4):
        options = ("--db", killed.db, "--output-dir", killed.output, "--size", 16)
        with started(dicomprep_command("preprocess", *places, *options), killed.base) as run:
            with suppress(subprocess.TimeoutExpired):
                run.process.communicate(timeout=1 + 2 * moments.random())
            run.signal(signal.SIGKILL)
    killed.run(dicom_dir=places)
    assert result_of(killed) == result_of(whole)
    killed.check()
    assert not list(killed.output.glob(".dicomprep-tmp/*"))


def beside_run(place: Place, given: list[str]) -> Place:
    whole = Place(place.base / "whole")
    whole.base.mkdir()
    whole.run(dicom_dir=[place.base / name for name in given])
    return whole


def test_the_bar_has_no_end_where_archives_hold_more_than_is_known_ahead(place: Place) -> None:
    leaving = threading.Event()
    assert count_files([str(place.source)], leaving) == len(TREE) + 2
    pack_zip(place, place.base / "in.zip")
    assert count_files([f"{place.base / 'in.zip'}!"], leaving) is None
    shutil.move(place.base / "in.zip", place.source / "s")
    assert count_files([str(place.source)], leaving) is None
