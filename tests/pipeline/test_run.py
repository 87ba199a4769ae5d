"""Whole runs over generated trees: what is recorded, what is on disk, what the next run does."""

import ctypes
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import dicomprep
from dicomprep import ConfigError, EnvironmentFault
from dicomprep.database.connection import connect
from dicomprep.database.migrations import m0011_folded_names
from dicomprep.privacy.keys import KEY_BYTES, keyed_hash
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.naming import source_name
from dicomprep.storage.source import Version
from tests import faulty
from tests.building import make_dicom
from tests.running import PROJECT, SIZE, Place, call, cli, frames_of, make_files, started, wait_until

SETTLED = ("files", "frames", "groups")
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "x.db.key").write_text("11" * KEY_BYTES)  # so that the same patients are in test in every run of these
    return Place(tmp_path)


def truncate(file: Path, count: int) -> None:
    os.truncate(file, file.stat().st_size - count)


def times_of(place: Place) -> dict[str, int]:
    return {path: (place.output / path).stat().st_mtime_ns for path in place.images()}


# Bad files among good ones


def test_bad_files_take_nothing_along_and_are_not_tried_again(place: Place) -> None:
    good = [f"s{number % 9}/{number:03d}.dcm" for number in range(100)]
    make_files(place.source, *good, "s1/segfault.dcm", "s2/hang.dcm", "memory.dcm")
    first = place.run(work=faulty.PROCESS, timeout=2, max_memory=256)
    statuses = place.statuses()
    assert {path: statuses.pop(path) for path in ("s1/segfault.dcm", "s2/hang.dcm", "memory.dcm")} == {
        "s1/segfault.dcm": ("quarantined", "worker_crashed"),
        "s2/hang.dcm": ("failed", "timeout"),
        "memory.dcm": ("failed", "out_of_memory"),
    }
    assert statuses == dict.fromkeys(good, ("done", None))
    assert (first.found, first.processed, first.frames, first.failed, first.exit_code) == (103, 103, 100, 3, 0)
    assert first.codes == {"worker_crashed": 1, "timeout": 1, "out_of_memory": 1}
    assert len(place.images()) == 100
    place.check()

    tables, images, times = place.tables(*SETTLED), place.images(), times_of(place)
    again = place.run(work=faulty.PROCESS, timeout=2, max_memory=256)
    assert (again.found, again.processed, again.unchanged) == (103, 0, 103)
    assert place.tables(*SETTLED) == tables
    assert (place.images(), times_of(place)) == (images, times)


@pytest.mark.parametrize(
    ("fault", "code"), [("segfault", "worker_crashed"), ("sleep", "timeout"), ("memory", "out_of_memory")]
)
def test_a_file_that_kills_in_the_middle_leaves_no_image_behind(place: Place, fault: str, code: str) -> None:
    make_files(place.source, f"s/tail-{fault}.dcm:4", f"s/tail-{fault}2:4", f"s/tail-{fault}_frame0000.dcm")
    place.run(work=faulty.PROCESS, timeout=1 if fault == "sleep" else 30, max_memory=256)
    assert place.statuses()[f"s/tail-{fault}.dcm"][1] == code
    assert len(place.images()) == 5
    place.check()


def test_every_file_found_has_one_status(place: Place) -> None:
    make_files(place.source, "done.dcm", "partial.dcm:4", "segfault.dcm", "growing.dcm", "mute", "failed.IMA:2")
    truncate(place.source / "partial.dcm", 130)
    truncate(place.source / "failed.IMA", 200)
    make_dicom(place.source / "skipped.dcm", PixelData=None)
    (place.source / "false.dcm").write_text("no DICOM, but called so")
    (place.source / "notes.txt").write_text("no DICOM")
    result = place.run(work=faulty.PROCESS)
    assert place.statuses() == {
        "done.dcm": ("done", None),
        "mute": ("done", None),
        "partial.dcm": ("partial", "truncated"),
        "skipped.dcm": ("skipped", "no_pixel_data"),
        "failed.IMA": ("failed", "truncated"),
        "false.dcm": ("failed", "not_dicom"),
        "segfault.dcm": ("quarantined", "worker_crashed"),
        "growing.dcm": ("unstable", "changed"),
    }
    assert result.found == result.statuses.total() == 8
    assert result.statuses == Counter(status for status, _ in place.statuses().values())
    assert result.other_files == 1
    assert place.rows("SELECT found, processed, unchanged, other_files FROM runs") == [(8, 8, 0, 1)]
    assert place.rows("SELECT sum(frames) FROM inputs") == [len(place.images())]
    place.check()


def test_the_views_have_exactly_the_documented_columns(place: Place) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:2")
    place.run()
    columns = {view: place.rows("SELECT name FROM pragma_table_info(?)", view) for view in ("images", "inputs")}
    images = "id filename study_id thumbnail_path frame_number split modality patient_key label width height kind"
    images += " group_key fold unsure"
    inputs = "path status error_code error_detail frames attempts run_id"
    assert columns == {"images": images.split(), "inputs": inputs.split()}
    known = "filename, study_id, thumbnail_path, frame_number, modality, label, width, height"
    assert place.rows(f"SELECT {known} FROM images ORDER BY filename") == [
        ("s/a", "s", "s/a.png", 0, "CT", None, 16, 16),
        ("s/b_frame0000", "s", "s/b_frame0000.png", 0, "CT", None, 16, 16),
        ("s/b_frame0001", "s", "s/b_frame0001.png", 1, "CT", None, 16, 16),
    ]
    assert place.rows("SELECT * FROM inputs ORDER BY path") == [
        (f"{place.source}/s/a.dcm", "done", None, None, 1, 1, 1),
        (f"{place.source}/s/b.dcm", "done", None, None, 2, 1, 1),
    ]


# What the next run notices


def test_new_changed_touched_and_replaced_files_are_noticed_and_only_they(place: Place) -> None:
    make_files(place.source, "kept.dcm", "many.dcm:3", "changed.dcm", "touched.dcm", "replaced.dcm")
    place.run()
    ids = dict(place.rows("SELECT filename, id FROM images"))
    times = times_of(place)
    changed, replaced = place.source / "changed.dcm", place.source / "replaced.dcm"
    size = changed.stat().st_size
    make_dicom(changed, frames_of(1, seed=99)[0], patient_id="P2")
    assert changed.stat().st_size == size
    os.utime(place.source / "touched.dcm")
    make_dicom(place.base / "aside.dcm", frames_of(1, seed=98)[0])
    os.utime(place.base / "aside.dcm", (0, 0))  # older than what it replaces
    (place.base / "aside.dcm").replace(replaced)
    make_files(place.source, "new.dcm", seed=50)
    again = place.run()
    assert (again.found, again.processed, again.unchanged, again.moved) == (6, 4, 2, 0)
    now = times_of(place)
    kept = {path for path, time in times.items() if now[path] == time}
    assert kept == {"in/kept.png", *(f"in/many_frame000{number}.png" for number in range(3))}
    assert ids.items() <= dict(place.rows("SELECT filename, id FROM images")).items()
    assert place.rows("SELECT DISTINCT attempts FROM inputs WHERE path LIKE '%changed.dcm'") == [2]
    place.check()
    assert place.run().processed == 0


@pytest.mark.parametrize(
    "option", [{"size": 24}, {"fit": "stretch"}, {"depth": 16}, {"window": "40/80"}, {"window": "40/80,60/200,20/90"}]
)
def test_a_changed_image_option_redoes_everything_and_keeps_ids(place: Place, option: dict[str, object]) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:3")
    place.run()
    ids, before = dict(place.rows("SELECT id, filename FROM images")), place.images()
    again = place.run(**option)
    assert (again.processed, again.unchanged) == (2, 0)
    assert dict(place.rows("SELECT id, filename FROM images")) == ids
    assert all(content != before[path] for path, content in place.images().items())
    place.check()
    assert place.run(**option).processed == 0


@pytest.mark.parametrize(
    "option", [{"timeout": 99}, {"max_memory": 999}, {"split": "50/25/25"}, {"workers": 1}, {"strict": True}]
)
def test_other_options_redo_nothing(place: Place, option: dict[str, object]) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:3")
    place.run()
    tables = place.tables(*SETTLED)
    assert place.run(**option).processed == 0
    assert place.tables(*SETTLED) == tables


def test_hashed_names_replace_those_that_tell_of_the_source(place: Place) -> None:
    make_files(place.source, "smith/a.dcm", "smith/b.dcm:2")
    place.run()
    place.run(names="hash")
    told = place.rows("SELECT filename || study_id || thumbnail_path FROM images")
    assert len(told) == 3
    assert not any("smith" in text for text in [*told, *place.images()])
    place.check()


@pytest.mark.parametrize(("frames", "left"), [(2, 2), (1, 1), (None, 1), (0, 0)])
def test_frames_that_a_changed_file_has_no_more_are_gone(place: Place, frames: int | None, left: int) -> None:
    make_files(place.source, "s/a.dcm:5", "s/b.dcm:2")
    place.run()
    if frames == 0:
        (place.source / "s/a.dcm").write_text("no DICOM any more")
    else:
        make_files(place.source, f"s/a.dcm:{frames}" if frames else "s/a.dcm", seed=40)
    assert place.run().processed == 1
    assert len(place.images()) == left + 2
    place.check()


def test_fewer_frames_asked_for_leave_fewer(place: Place) -> None:
    make_files(place.source, "s/a.dcm:5")
    place.run()
    place.run(frames="every=2")
    assert sorted(place.images()) == ["s/a_frame0000.png", "s/a_frame0002.png", "s/a_frame0004.png"]
    place.check()


def test_a_deleted_output_folder_is_made_again(place: Place) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:2")
    place.run()
    ids, images = dict(place.rows("SELECT id, filename FROM images")), place.images()
    shutil.rmtree(place.output)
    assert place.run().processed == 2
    assert dict(place.rows("SELECT id, filename FROM images")) == ids
    assert place.images() == images


def test_a_deleted_output_folder_is_made_again_even_if_the_run_that_does_breaks_off(place: Place) -> None:
    make_files(place.source, *(f"s/{number}.dcm" for number in range(20)), "t/full.dcm")
    place.run()
    images = place.images()
    shutil.rmtree(place.output)
    with pytest.raises(EnvironmentFault):
        place.run(work=faulty.PROCESS, workers=1)
    assert 0 < len(place.images()) < len(images)
    place.run()
    assert place.images() == images
    place.check()


def test_a_root_with_a_hidden_name_is_not_redone(place: Place) -> None:
    source = make_files(place.base / ".hidden", "a.dcm", "b.dcm")
    place.run(dicom_dir=source)
    assert place.run(dicom_dir=source).processed == 0


# Trees that moved


def move_root(place: Place) -> Path:
    return place.source.rename(place.base / "elsewhere")


def move_subfolder(place: Place) -> Path:
    (place.source / "s").rename(place.source / "renamed")
    return place.source


def move_one_file(place: Place) -> Path:
    (place.source / "s/a.dcm").rename(place.source / "new name")
    return place.source


def copy_and_delete(place: Place) -> Path:
    shutil.copytree(place.source, place.base / "copy", copy_function=shutil.copyfile)  # with new times
    shutil.rmtree(place.source)
    return place.base / "copy"


@pytest.mark.parametrize(
    ("move", "count"), [(move_root, 6), (move_subfolder, 3), (move_one_file, 1), (copy_and_delete, 6)]
)
def test_what_moved_is_neither_redone_nor_doubled(place: Place, move: Callable[[Place], Path], count: int) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:3", "t/a.dcm")
    shutil.copyfile(place.source / "s/a.dcm", place.source / "t/twin.dcm")
    make_dicom(place.source / "t/no image.dcm", PixelData=None)
    (place.source / "s/bad.dcm").write_text("no DICOM")
    place.run()
    frames, images, times = place.tables("frames"), place.images(), times_of(place)
    source = move(place)
    again = place.run(dicom_dir=source)
    assert (again.found, again.processed, again.unchanged, again.moved) == (6, 0, 6, count)
    assert place.tables("frames") == frames
    assert (place.images(), times_of(place)) == (images, times)
    assert sorted(place.rows("SELECT path FROM inputs")) == sorted(str(p) for p in source.rglob("*") if p.is_file())
    third = place.run(dicom_dir=source)
    assert (third.unchanged, third.moved) == (6, 0)


def test_a_killer_that_moved_is_not_doubled(place: Place) -> None:
    make_files(place.source, "a.dcm", "segfault.dcm")
    place.run(work=faulty.PROCESS)
    place.run(work=faulty.PROCESS, dicom_dir=move_root(place))
    paths = place.rows("SELECT path FROM inputs ORDER BY path")
    assert paths == [f"{place.base}/elsewhere/a.dcm", f"{place.base}/elsewhere/segfault.dcm"]


def test_a_copy_of_a_tree_that_is_still_there_is_new(place: Place) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:3")
    place.run()
    images = place.images()
    shutil.copytree(place.source, place.base / "copy")
    again = place.run(dicom_dir=place.base / "copy")
    assert (again.processed, again.moved, again.total_frames) == (2, 0, 4)
    assert len(place.images()) == 8
    assert images.items() <= place.images().items()
    assert place.run().unchanged == place.run(dicom_dir=place.base / "copy").unchanged == 2
    place.check()


def test_moved_and_changed_options_are_redone_under_the_old_ids(place: Place) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm:3")
    place.run()
    ids = dict(place.rows("SELECT id, filename FROM images"))
    again = place.run(dicom_dir=move_root(place), size=24)
    assert (again.processed, again.total_frames) == (2, 4)
    assert dict(place.rows("SELECT id, filename FROM images")) == ids
    place.check()


# Names

COLLISIONS = {
    "one name in two folders": ["a/x.dcm", "b/x.dcm"],
    "with and without suffix": ["s/a", "s/a.dcm", "s/a.DCM"],
    "frame of another": ["s/img.dcm:4", "s/img_frame0003.dcm"],
    "frames of frames": ["s/img.dcm:4", "s/img_frame0003.dcm:2", "s/img_frame0003_frame0001.dcm"],
    "root against its namesake below": ["x.dcm", "in/x.dcm"],
    "folder against image": ["s/a.dcm", "s/a.png/x.dcm", "s/a.png.dcm"],
    "alike up to the cut": [f"{'n' * 220}{end}/{'m' * 220}{end}.dcm" for end in "12"],
    "composed and decomposed": ["s/\u00e9.dcm", "s/e\u0301.dcm"],
    "our own scratch folder": ["s/x.dcm", ".dicomprep-tmp/x.dcm"],
    "our own lock": ["s/x.dcm", ".dicomprep.lock/x.dcm", ".DICOMPREP-TMP/x.dcm"],
    "capitals alone": ["s/IMG.dcm", "s/img.dcm", "S/IMG.dcm", "S/Img"],
    "capitals of a frame": ["s/IMG.dcm:4", "S/img_FRAME0003.dcm"],
    "frame of another in capitals": ["s/img_frame0003.dcm", "s/IMG.dcm:4"],
    "other scripts": [
        "s/STRASSE.dcm",
        "s/stra\u00dfe.dcm",
        "\u03a3/\u0390.dcm",
        "\u03c2/\u1fd3.dcm",
        "s/\u212b",
        "s/\u00e5",
    ],
    "folder of an image in capitals": ["s/a.dcm", "s/A.PNG/x.dcm", "s/a.Png.dcm"],
    "what is refused and how it is written": ["s/a?.dcm", "s/a%3F.dcm", "s/a%3f.dcm", "s/nul.dcm", "s/%6Eul.dcm"],
}


@pytest.mark.parametrize("names", COLLISIONS.values(), ids=COLLISIONS)
def test_no_two_files_share_an_image_and_names_are_the_same_every_time(place: Place, names: Sequence[str]) -> None:
    wanted = sum(int(name.partition(":")[2] or 1) for name in names)
    seen = []
    for base in ("fresh", "again"):
        here = Place(place.base / base)
        make_files(here.source, *names)
        here.run()
        here.check()
        assert len(set(here.images().values())) == wanted
        seen.append(here.rows("SELECT path, filename FROM files JOIN frames ON file_id = files.id ORDER BY filename"))
    assert seen[0] == seen[1]
    assert here.run().processed == 0


@pytest.mark.parametrize("names", COLLISIONS.values(), ids=COLLISIONS)
def test_no_two_files_share_an_image_whichever_comes_first(place: Place, names: Sequence[str]) -> None:
    for count, name in enumerate(reversed(names), 1):
        make_files(place.source, name, seed=count)
        place.run()
        place.check()
        assert len(place.statuses()) == count
    assert len(set(place.images().values())) == sum(int(name.partition(":")[2] or 1) for name in names)


def test_names_of_new_files_do_not_depend_on_who_is_read_first(place: Place) -> None:
    make_files(place.source, "first.dcm")
    place.run()
    make_files(place.source, "s/late.dcm:2", "s/late_frame0001.dcm")
    place.run(work=faulty.PROCESS)
    assert dict(place.rows("SELECT path, name FROM files"))["s/late.dcm"] == "s/late"


def test_recorded_names_stay_for_ever_and_their_folders_are_the_same_patients(place: Place) -> None:
    """As earlier releases named them, two in one place where capitals do not count."""
    before = ("s/IMG", "s/img", "T1* 3D?/con", "s/x_frame0003")
    make_files(place.source, *(f"{name}.dcm" for name in before))
    place.run(group_by="folder")
    for name in before:
        row = (name, name.rpartition("/")[0], f"{name}.dcm")
        place.execute("UPDATE files SET name = ?, study_id = ? WHERE path = ?", *row)
    place.execute("DROP INDEX files_by_folded_name")
    place.execute("CREATE UNIQUE INDEX files_by_name ON files (name)")
    for column in ("folded_name", "group_folder"):
        place.execute(f"ALTER TABLE files DROP COLUMN {column}")
    engine = connect(place.address)
    with engine.begin() as connection:
        m0011_folded_names.upgrade(connection)
    engine.dispose()
    make_files(place.source, "s/Img.dcm", "S/X.dcm:4", "T1* 3D?/new.dcm", seed=50)
    assert place.run(group_by="folder", size=24).processed == 7
    recorded = {path.removesuffix(".dcm"): name for path, name in place.rows("SELECT path, name FROM files")}
    assert {name: recorded[name] for name in before} == {name: name for name in before}
    assert re.fullmatch(r"s/Img~[0-9a-f]{8} S/X~[0-9a-f]{8}", f"{recorded['s/Img']} {recorded['S/X']}")
    assert recorded["T1* 3D?/new"] == "T1%2A 3D%3F/new"
    assert place.rows("SELECT count(*) FROM groups") == [3]
    assert place.run(group_by="folder", size=24).unchanged == 7


@pytest.mark.parametrize("options", [{}, {"names": "hash"}])
def test_a_folder_is_one_patient_whatever_its_images_are_called(place: Place, options: dict[str, str]) -> None:
    """The keyed hash of its path is what earlier releases made of it."""
    make_files(place.source, "T1? 3D./a.dcm")
    place.run(group_by="folder", **options)
    key = bytes.fromhex(Path(f"{place.db}.key").read_text())
    folder = "T1? 3D." if not options else place.rows("SELECT study_id FROM files")[0]
    assert place.rows("SELECT key FROM groups") == [keyed_hash(key, "folder", folder)]
    moved = place.source.rename(place.base / "moved")
    place.run(dicom_dir=moved, group_by="folder", size=24, **options)
    assert place.rows("SELECT key FROM groups") == [keyed_hash(key, "folder", folder)]


def test_a_file_that_is_no_dicom_takes_no_name(place: Place) -> None:
    make_files(place.source, "s/scan.dcm")
    (place.source / "s/scan").write_text("notes on the scan")
    place.run()
    assert place.rows("SELECT filename FROM images") == ["s/scan"]


@pytest.mark.parametrize("path", ["x.dcm", "folder/x.dcm"])
def test_names_stay_below_the_output_folder_even_for_the_root_directory(path: str) -> None:
    assert not source_name("", path)[1].startswith("/")


ODD_NAMES = [
    "line\nbreak.dcm",
    "esc\x1b[2Jape.dcm",
    os.fsdecode(b"latin\xe9.dcm"),
    os.fsdecode(b"f\xfflder/x.dcm"),
    "back\\x41slash.dcm",
    "emoji \N{BRAIN}.dcm",
    "-rf.dcm",
    " spaces . dcm",
    "r\u202eevod.dcm",
    "l" * 251 + ".dcm",
    "ü" * 125 + ".dcm",
    "1.2.840.113619.2.5",
    ".hidden",
    "quote'\"`$(x)%s{}.dcm",
    "nul/con/aux.dcm",
]


def test_odd_names_are_taken_and_recorded_readably(place: Place) -> None:
    for number, name in enumerate(ODD_NAMES):
        made = make_dicom(place.base / "made.dcm", frames_of(1, seed=number)[0])
        (place.source / name).parent.mkdir(parents=True, exist_ok=True)
        made.rename(place.source / name)
    result = place.run()
    assert result.statuses == {"done": len(ODD_NAMES)}
    assert len(set(place.images().values())) == len(ODD_NAMES)
    place.check()
    recorded = place.rows("SELECT path FROM inputs") + place.rows("SELECT filename || thumbnail_path FROM images")
    assert all(text.isprintable() for text in recorded)
    assert place.run().unchanged == len(ODD_NAMES)
    moved = place.run(dicom_dir=move_root(place))
    assert (moved.processed, moved.moved) == (0, len(ODD_NAMES))


# Patients


def test_a_patient_is_in_one_split_and_strangers_are_never_in_test(place: Place) -> None:
    for number in range(120):
        patient = None if number % 4 == 3 else f"Patient {number % 4}{number % 8}"
        spelled = patient and [patient, patient.lower(), f" {patient} "][number % 3]
        make_dicom(place.source / f"s{number}/x.dcm", frames_of(1, seed=number)[0], patient_id=spelled)
    result = place.run(split="30/30/40")
    patients = place.rows("SELECT patient_key, count(DISTINCT split), count(*) FROM images GROUP BY 1 ORDER BY 3 DESC")
    assert [row[1:] for row in patients] == [(1, 15)] * 6 + [(1, 1)] * 30
    splits = set(place.rows("SELECT kind, split FROM groups"))
    assert splits == {
        ("patient", "train"),
        ("patient", "val"),
        ("patient", "test"),
        ("study", "train"),
        ("study", "val"),
    }
    assert sum(result.frames_by_split.values()) == 120
    assert sum(result.groups_by_split.values()) == 36


@pytest.mark.parametrize(("by", "groups"), [("patient", 1), ("study", 2), ("folder", 3)])
def test_groups_are_what_is_asked_for(place: Place, by: str, groups: int) -> None:
    for number, (folder, study) in enumerate((("a", "1.2"), ("b", "1.2"), ("c", "1.3"))):
        make_dicom(place.source / folder / "x.dcm", frames_of(1, seed=number)[0], StudyInstanceUID=study)
    place.run(group_by=by)
    assert len(place.rows("SELECT DISTINCT patient_key FROM images")) == groups
    assert place.rows("SELECT DISTINCT kind FROM groups") == [by]


def test_a_patient_added_later_joins_its_split(place: Place) -> None:
    make_files(place.source, *(f"{number}.dcm" for number in range(14)))
    place.run(split="34/33/33")
    before = dict(place.rows("SELECT patient_key, split FROM images"))
    make_files(place.source, *(f"new{number}.dcm" for number in range(14)), seed=100)
    place.run(split="10/10/80")
    assert dict(place.rows("SELECT patient_key, split FROM images")) == before
    assert place.rows("SELECT patient_key FROM images GROUP BY 1 HAVING count(DISTINCT split) > 1") == []


# What is no ordinary file


def test_pipes_sockets_links_and_folders_are_passed_over(place: Place) -> None:
    make_files(place.source, "a.dcm", "folder.dcm/b.dcm")
    outside = make_dicom(place.base / "outside.dcm")
    os.mkfifo(place.source / "pipe.dcm")
    (place.source / "loop").symlink_to(place.source)
    (place.source / "self.dcm").symlink_to("self.dcm")
    (place.source / "outside.dcm").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(place.source)  # a socket's path must be short
        server.bind("s.dcm")
        os.chdir(here)
        result = place.run(timeout=2)
    assert (result.found, result.statuses, result.other_files) == (2, {"done": 2}, 0)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "nothing"])
def test_what_is_no_file_any_more_when_it_is_opened_is_unreadable(place: Place, kind: str) -> None:
    path = make_files(place.source, "a.dcm") / "x.dcm"
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("a.dcm"),
        "nothing": lambda: None,
    }[kind]()
    sources = [LocalSource(str(place.source), name, Version(9, 9)) for name in ("x.dcm",)]
    place.run(sources=sources, timeout=2)
    assert place.statuses() == {"x.dcm": ("failed", "unreadable")}
    path.unlink() if kind in ("pipe", "link") else path.is_dir() and path.rmdir()
    make_files(place.source, "x.dcm", seed=9)
    assert place.run().processed == 2
    assert place.statuses()["x.dcm"] == ("done", None)


def without_privileges() -> None:
    """Run before a program, as root or not: permissions are for it as well."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.parametrize(
    ("locked", "inside", "reason"),
    [
        ("b.dcm", "b.dcm", "it cannot be opened: Permission denied"),
        ("folder", "folder/b.dcm", "folder cannot be listed: Permission denied"),
    ],
)
def test_what_may_not_be_read_is_recorded_and_tried_again(place: Place, locked: str, inside: str, reason: str) -> None:
    path = make_files(place.source, "a.dcm", inside) / locked
    mode = path.stat().st_mode
    path.chmod(0)
    command = ["preprocess", "in", "--output-dir", "out", "--db", "x.db", "--size", SIZE]
    first = cli(place.base, *command, preexec_fn=without_privileges)
    path.chmod(mode)
    assert first.returncode == 0
    assert f"Cannot read in/{locked}: {reason} [unreadable]" in first.stderr
    assert place.statuses() == {"a.dcm": ("done", None), locked: ("failed", "unreadable")}
    place.run()
    assert place.statuses() == dict.fromkeys(["a.dcm", inside], ("done", None))


def test_a_file_that_changes_while_it_is_read_is_left_to_the_next_run(place: Place) -> None:
    make_files(place.source, "a.dcm", "growing.dcm:3")
    place.run()
    os.utime(place.source / "growing.dcm")
    first = place.run(work=faulty.PROCESS)
    assert place.statuses() == {"a.dcm": ("done", None), "growing.dcm": ("unstable", "changed")}
    assert (first.failed, first.frames, sorted(place.images())) == (1, 0, ["in/a.png"])
    place.check()
    assert place.run().processed == 1
    assert place.statuses()["growing.dcm"] == ("done", None)
    place.check()


# Surroundings


def test_no_folder_no_work(place: Place) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        place.run()
    assert [path.name for path in place.base.iterdir()] == ["x.db.key"]


@pytest.mark.parametrize("name", ["out", "back\\slash", "line\nbreak", os.fsdecode(b"\xff")])
def test_another_output_folder_for_the_same_database_is_refused(place: Place, name: str) -> None:
    make_files(place.source, "a.dcm")
    place.run(output_dir=place.base / name)
    with pytest.raises(ConfigError, match="Give that --output-dir, or another --db"):
        place.run(output_dir=place.base / "other")
    assert place.run(output_dir=place.base / name).processed == 0


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm")
    place.run()
    key = place.base / "x.db.key"
    content = key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(content)) == KEY_BYTES
    place.run()
    assert key.read_text() == content
    assert content.strip() not in place.db.read_bytes().hex()
    assert bytes.fromhex(content) not in place.db.read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing"),
        ("22" * KEY_BYTES, "another data set"),
        ("1234", "is not a key of 32 bytes"),
        ("zz", "is not a dicomprep key"),
    ],
)
def test_without_its_key_a_data_set_is_not_touched(place: Place, content: str | None, reason: str) -> None:
    make_files(place.source, "a.dcm")
    place.run()
    make_files(place.source, "b.dcm")
    key = place.base / "x.db.key"
    key.unlink()
    if content is not None:
        key.write_text(content)
    with pytest.raises(ConfigError, match=reason):
        place.run()
    assert place.rows("SELECT count(*) FROM runs") == [1]
    assert key.exists() == (content is not None)


@pytest.mark.parametrize("blocked", ["out", "out/.dicomprep-tmp", "out/s", "x.db", "x.db.lock"])
def test_what_stands_in_the_way_is_a_fault_of_the_surroundings(place: Place, blocked: str) -> None:
    make_files(place.source, "s/a.dcm", "s/b.dcm")
    way = place.base / blocked
    way.parent.mkdir(exist_ok=True)
    way.mkdir() if blocked.startswith("x.db") else way.write_text("in the way")
    with pytest.raises(EnvironmentFault):
        place.run()
    assert place.images() == {}
    assert blocked == "x.db" or not place.db.exists() or place.rows("SELECT count(*) FROM inputs") == [0]
    way.rmdir() if way.is_dir() else way.unlink()
    assert place.run().frames == 2
    place.check()


def test_a_full_disk_ends_the_run_and_records_only_what_is_there(place: Place) -> None:
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(40)), "t/full.dcm", "u/last.dcm:3")
    with pytest.raises(EnvironmentFault, match=r"cannot be written: File too large"):
        place.run(work=faulty.PROCESS)
    recorded = dict(place.rows("SELECT thumbnail_path, size FROM frames"))
    images = place.images()
    assert recorded == {path: len(images[path]) for path in recorded}
    assert "t/full.png" not in images
    assert not (place.output / ".dicomprep-tmp").exists()
    place.run()
    assert len(place.images()) == 44
    place.check()


HOLDING = """
    import sys
    from pathlib import Path
    from tests import faulty
    from tests.running import Place
    Place(Path(sys.argv[1])).run(work=faulty.PROCESS)
"""


def test_a_second_run_says_so_and_the_lock_of_a_killed_one_does_not_block(place: Place) -> None:
    make_files(place.source, "sleep.dcm")
    with started([sys.executable, "-c", textwrap.dedent(HOLDING), place.base], PROJECT) as first:
        assert wait_until(lambda: (place.output / ".dicomprep-tmp").exists() or len(first.members()) > 2, 20)
        for other in ({}, {"db": str(place.base / "y.db")}, {"output_dir": place.base / "other"}):
            with pytest.raises(EnvironmentFault, match="Another run is writing"):
                place.run(**other)
        second = cli(place.base, "preprocess", "in", "--output-dir", "out", "--db", "x.db")
        assert second.returncode == 3
        assert "Another run is writing" in second.stderr
        os.kill(first.process.pid, 9)
        first.process.wait()
        assert place.run().frames == 1
        assert first.none_left(5)


INTERRUPTING = """
    import os, signal, sys
    from pathlib import Path
    from dicomprep.pipeline.stages.discover import discover
    from tests.running import Place
    place = Place(Path(sys.argv[1]))
    def sources():
        for number, source in enumerate(discover(str(place.source))):
            if number == 10:
                os.kill(os.getpid(), signal.SIGINT)
            yield source
    result = place.run(sources=sources())
    print(result.interrupted, result.exit_code)
"""


def test_an_interrupt_while_files_are_still_being_found_ends_the_run(place: Place) -> None:
    make_files(place.source, *(f"s/{number:02d}.dcm" for number in range(30)))
    try:
        done = call([sys.executable, "-c", textwrap.dedent(INTERRUPTING), str(place.base)], PROJECT, timeout=10)
    except subprocess.TimeoutExpired:
        pytest.fail("it goes on for ever")
    assert (done.stdout, done.stderr) == ("True 130\n", "")


def test_more_files_than_are_planned_at_a_time(place: Place) -> None:
    make_files(place.source, *(f"s{number % 4}/{number}.dcm" for number in range(300)))
    assert place.run().frames == 300
    place.check()
    make_files(place.source, *(f"new/{number}.dcm" for number in range(300)), seed=1000)
    again = place.run()
    assert (again.found, again.processed, again.unchanged) == (600, 300, 300)
    place.check()


def test_preprocess_is_the_same_call_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_dicom(tmp_path / "samp_ds/study_001/image_a.dcm", np.zeros((8, 8), np.uint8))
    result = dicomprep.preprocess("samp_ds", output_dir="thumbs", db="d.db", workers=1, size=32)
    assert (result.frames, result.total_frames, result.failed, result.exit_code) == (1, 1, 0, 0)
    assert (tmp_path / "thumbs/study_001/image_a.png").is_file()
    with pytest.raises(ConfigError, match="Unknown option: color"):
        dicomprep.preprocess("samp_ds", color=True)


@pytest.mark.parametrize("before", [0, 1], ids=["first run", "later run"])
def test_a_huge_file_that_is_no_dicom_is_not_read(place: Place, before: int) -> None:
    make_files(place.source, "a.dcm")
    for _ in range(before):
        place.run()
    with (place.source / "backup.img").open("wb") as file:
        file.truncate(2**40)
    result = place.run(timeout=20)
    assert (result.found, result.other_files, result.failed) == (1, 1, 0)


def test_an_input_that_is_no_dicom_any_more_is_not_done_any_more(place: Place) -> None:
    make_files(place.source, "s/1.2.840")
    place.run()
    assert place.statuses() == {"s/1.2.840": ("done", None)}
    (place.source / "s/1.2.840").write_text("moved to the archive")
    place.run()
    assert place.statuses() == {"s/1.2.840": ("failed", "not_dicom")}
    assert place.images() == {}
    assert place.run().processed == 0
