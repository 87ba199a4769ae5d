"""Recorded files that no longer exist: said in runs, `status`, `audit` and `verify`, and dropped by `--prune`."""

import os
import shutil
from pathlib import Path

import pytest

from dicomprep.checks.audit.audit import audit
from dicomprep.checks.verify import verify
from dicomprep.pipeline import absence
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.running import Place, cli, make_files, set_labels

NAMES = ("Ä b/A/a.dcm", "Ä b/A/b.dcm", "p1/a.dcm:3", "p2/a", "loose.dcm")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    make_files(place.source, *NAMES)
    place.run()
    return place


def absent(place: Place) -> list[str]:
    return place.rows("SELECT path FROM files WHERE absent_since IS NOT NULL ORDER BY path")


def test_what_is_gone_is_said_by_all_and_pruned_where_that_is_asked_for(place: Place) -> None:
    shutil.rmtree(place.source / "Ä b")
    result = place.run()
    assert absent(place) == ["Ä b/A/a.dcm", "Ä b/A/b.dcm"]
    said = "Gone since an earlier run: 2 recorded files"
    assert any(said in sentence for sentence in result.concerns)
    assert any(said in note for section in audit(place.workspace, near=False) for note in section.notes)
    assert any(said in note for note in verify(place.workspace).notes)
    for command in ("status", "audit", "verify"):
        assert said in cli(place.base, command, "--db", place.db).stdout
    pruned = place.run(prune=True)
    assert (pruned.pruned, pruned.total_frames) == (2, 5)
    assert not any(sentence.startswith("Gone") for sentence in pruned.concerns)
    assert place.rows("SELECT path FROM files ORDER BY path") == ["loose.dcm", "p1/a.dcm", "p2/a"]
    assert not (place.output / "Ä b").exists()
    place.check()


def test_single_files_and_those_of_many_batches(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "PRUNE_BATCH_FILES", 1)
    monkeypatch.setattr(absence, "CHECK_BATCH_FILES", 2)
    for name in ("Ä b/A/b.dcm", "p1/a.dcm", "p2/a"):
        (place.source / name).unlink()
    place.run(prune=True)
    assert sorted(place.statuses()) == ["loose.dcm", "Ä b/A/a.dcm"]
    place.check()


def test_what_comes_back_is_no_longer_gone(place: Place) -> None:
    (place.source / "p2").rename(place.base / "p2")
    place.run()
    assert absent(place) == ["p2/a"]
    place.run()  # as many as expected, and still gone
    assert absent(place) == ["p2/a"]
    (place.base / "p2").rename(place.source / "p2")
    place.run(prune=True)
    assert absent(place) == []
    assert len(place.statuses()) == 5


def test_one_gone_and_one_back_make_the_same_number(place: Place) -> None:
    (place.source / "p2").rename(place.base / "p2")
    place.run()
    (place.base / "p2").rename(place.source / "p2")
    (place.source / "p1").rename(place.base / "p1")
    place.run()
    assert absent(place) == ["p1/a.dcm"]


def test_what_moved_is_not_gone(place: Place) -> None:
    (place.source / "p1").rename(place.source / "P 1 neu")
    result = place.run(prune=True)
    assert (result.moved, result.pruned, absent(place)) == (1, 0, [])


@pytest.mark.parametrize("whole", [True, False])
def test_a_disk_that_is_not_mounted_loses_nothing(place: Place, whole: bool) -> None:
    other = make_files(place.base / "andere Klinik", "x/a.dcm", "x/b.dcm", seed=50)
    place.run(dicom_dir=other)
    shutil.rmtree(other)
    other.mkdir(exist_ok=True)
    result = place.run(dicom_dir=other if whole else place.base, prune=True)
    assert (result.pruned, absent(place)) == (0, [])
    assert "is empty. Is its disk mounted?" in cli(place.base, "status", "--db", place.db).stdout
    other.rmdir()
    assert "is missing. Is its disk mounted?" in cli(place.base, "audit", "--no-near", "--db", place.db).stdout


def test_other_roots_and_runs_that_did_not_see_all_mark_nothing(place: Place) -> None:
    other = make_files(place.base / "other", "x/a.dcm", seed=50)
    shutil.rmtree(place.source / "p1")
    place.run(dicom_dir=other, prune=True)
    place.run(sources=iter(()), prune=True)
    assert absent(place) == []
    assert len(place.rows("SELECT id FROM files")) == 6


def test_roots_within_and_around_the_folder_that_is_searched(place: Place) -> None:
    shutil.rmtree(place.source / "Ä b" / "A")
    make_files(place.source / "Ä b", "new.dcm", seed=70)
    place.run(dicom_dir=place.source / "Ä b")  # recorded below the folder around it
    assert absent(place) == ["Ä b/A/a.dcm", "Ä b/A/b.dcm"]
    shutil.rmtree(place.source / "p1")
    place.run(dicom_dir=place.base, prune=True)  # recorded below a folder within
    assert "p1/a.dcm" not in place.rows("SELECT path FROM files")


def test_what_cannot_be_looked_at_is_not_gone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.source / "loose.dcm").unlink()
    look = os.lstat

    def refuse(path: str) -> os.stat_result:
        if "p2" in path or "p1" in path:
            raise PermissionError(13, "Permission denied", path)
        return look(path)

    shutil.rmtree(place.source / "p1")
    monkeypatch.setattr(absence.os, "lstat", refuse)
    place.run(prune=True)
    assert "p1/a.dcm" in place.rows("SELECT path FROM files")
    assert "loose.dcm" not in place.rows("SELECT path FROM files")


def test_a_duplicate_takes_over_and_labels_wait(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("a", "b", "c"):
        make_dicom(place.source / f"{name}.dcm", noise(1), patient_id="P")
    make_dicom(place.source / "d.dcm", noise(2), patient_id="Q")
    place.run()
    set_labels(place, {"in/a": "x", "in/d": "y"})
    (place.source / "a.dcm").unlink()
    (place.source / "d.dcm").unlink()
    place.run(prune=True)
    assert place.rows("SELECT filename FROM images") == ["in/b"]
    assert place.rows("SELECT count(*) FROM files WHERE duplicate_of IS NOT NULL") == [1]
    assert sorted(place.rows("SELECT label FROM labels")) == ["x", "y"]
    assert place.rows("SELECT count(*) FROM groups") == [1]
    place.check()


def test_a_run_that_is_killed_while_it_prunes_leaves_no_image_without_a_row(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    (place.source / "loose.dcm").unlink()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("dicomprep.storage.local_images.LocalImages.remove_emptied", die)
        patched.setattr("dicomprep.storage.local_images.LocalImages.remove", lambda _, names: die() if names else None)
        place.run(prune=True)
    place.run()
    place.check()
