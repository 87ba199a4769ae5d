"""Labels, predictions and releases belong to pictures: whatever becomes of files, each stays with its own."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomprep.database.writes.labels import Said, add_label
from dicomprep.database.writes.predictions import Score, add_scores, summarize
from dicomprep.database.writes.releases import add_releases
from dicomprep.database.writes.store import Store
from dicomprep.models import Instance, Outcome, Status, Task, Written
from dicomprep.splits import SplitRule, Splits
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.building import make_dicom
from tests.running import Place, cli, set_labels

rng = np.random.default_rng(7)
PICTURES = [rng.integers(0, 4000, (24, 20), dtype=np.uint16) for _ in range(12)]


@pytest.fixture
def place(any_place: Place) -> Place:
    return any_place


def save(place: Place, name: str, *pictures: int, age: float = 100.0) -> Path:
    """A file with pictures by number; it looks as if it had rested for a while."""
    path = place.source / name
    pixels = np.stack([PICTURES[p] for p in pictures]) if len(pictures) > 1 else PICTURES[pictures[0]]
    uid = "1.2.3." + ".".join(str(p + 1) for p in pictures)
    make_dicom(path, pixels, patient_id=f"P{pictures[0]}", SOPInstanceUID=uid)
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


def labels_of(place: Place) -> dict[str, str | None]:
    return dict(place.rows("SELECT filename, label FROM images"))


# One store, many histories


def outcome(path: str, pictures: tuple[int, ...] | None) -> Outcome:
    """What a worker says of a file with these pictures; None: the file is cut."""
    digest = repr((path if pictures is None else "", pictures)).encode().ljust(16)[:16]
    task = Task(LocalSource("/data", path, Version(1, 1)), "s", f"s/{path}")
    if pictures is None:
        return Outcome(task, Status.FAILED, frame_count=1, digest=digest)
    written = tuple(
        Written(n, f"s/{path}_{n}", f"s/{path}_{n}.png", 9, 9, 9, b"d" * 16, source_digest=bytes([p + 1]) * 16)
        for n, p in enumerate(pictures)
    )
    return Outcome(
        task,
        Status.DONE,
        written=written,
        frame_count=len(pictures),
        instance=Instance(group_kind="patient", group_key="k", study_key="st"),
        digest=digest,
    )


RULE = SplitRule(b"k" * 32, Splits(split="100/0/0"))
PATHS = ("a", "b", "Ç", "d")
run_of_changes = st.permutations(range(8)).flatmap(
    lambda order: st.lists(st.integers(0, 3), min_size=4, max_size=4).map(lambda counts: (tuple(order), tuple(counts)))
)


@given(history=st.lists(run_of_changes, min_size=2, max_size=6), labeled=st.lists(st.integers(0, 7), max_size=8))
@settings(max_examples=30)
def test_a_label_is_where_its_picture_is(place_of_examples: Callable[[], Place], history: list, labeled: list) -> None:
    """Files are replaced, swapped, cut and restored, cines lose frames and gain others, in any order."""
    store = Store(place_of_examples().address)
    given_labels: dict[int, str] = {}
    try:
        for number, (order, counts) in enumerate(history):
            run_id = store.begin_run(version="0", root="/data", options={})
            pictures = iter(order)
            now = {
                path: tuple(next(pictures) for _ in range(c)) for path, c in zip(PATHS, _fitting(counts), strict=True)
            }
            for path in PATHS:  # each in a transaction of its own: a picture may be in two places meanwhile
                done = outcome(path, now[path] or None)
                store.record([done], run_id=run_id, fingerprint="f", rule=RULE)
            store.finish_run(run_id)
            shown = _shown(store)
            assert {p: label for p, (_, label) in shown.items()} == {p: given_labels.get(p) for p in shown}
            if number == 0 or number == len(history) // 2:
                with store.transaction() as connection:
                    for picture in (p for p in labeled if p in shown and p not in given_labels):
                        given_labels[picture] = f"Class {picture}"
                        add_label(connection, shown[picture][0], Said(given_labels[picture]), annotator="Łukasz")
    finally:
        store.close()


def _fitting(counts: tuple[int, ...]) -> list[int]:
    """At most eight pictures in all."""
    fitting: list[int] = []
    for count in counts:
        fitting.append(min(count, 8 - sum(fitting)))
    return fitting


def _shown(store: Store) -> dict[int, tuple[int, str | None]]:
    """(frame id, label) of each picture that a frame shows."""
    query = "SELECT frames.source_digest, frames.id, images.label FROM frames JOIN images ON images.id = frames.id"
    with store.transaction() as connection:
        return {row[0][0] - 1: (row[1], row[2]) for row in connection.exec_driver_sql(query)}


# Whole runs


def test_a_file_that_becomes_another_patients_is_unlabeled_and_says_so(place: Place) -> None:
    for number in range(3):
        save(place, f"p{number}/IMG.dcm", number)
    place.run()
    set_labels(place, {"p0/IMG": "Mass", "p1/IMG": "Clear"})
    save(place, "p0/IMG.dcm", 5)
    result = place.run()
    assert labels_of(place) == {"p0/IMG": None, "p1/IMG": "Clear", "p2/IMG": None}
    assert (result.waiting["label"], result.followed["label"], result.returned["label"]) == (1, 0, 0)
    assert "wait for a picture that is missing now" in cli(place.base, "status", "--db", place.db).stdout
    save(place, "p0/IMG.dcm", 0)
    result = place.run()
    assert labels_of(place)["p0/IMG"] == "Mass"
    assert (result.waiting["label"], result.returned["label"]) == (0, 1)
    assert "wait for" not in cli(place.base, "status", "--db", place.db).stdout


def test_the_summary_says_what_became_of_labels(place: Place) -> None:
    save(place, "p0/IMG.dcm", 0)
    save(place, "p1/IMG.dcm", 1)
    place.run()
    set_labels(place, {"p0/IMG": "Mass"})
    save(place, "p0/IMG.dcm", 5)
    options = ("--output-dir", place.output, "--db", place.db, "--size", "16", "--workers", "1")
    said = cli(place.base, "preprocess", place.source, *options).stdout
    assert "labels of 1 image kept without an image (replaced or missing) until it returns" in said


def test_renamed_files_of_one_size_and_time_keep_their_labels(place: Place) -> None:
    for number in range(4):
        os.utime(save(place, f"s/IMG{number}.dcm", number), (1.7e9, 1.7e9))
    place.run()
    set_labels(place, {f"s/IMG{number}": f"Class {number}" for number in range(4)})
    (place.source / "s/IMG0.dcm").unlink()
    for number in range(1, 4):
        (place.source / f"s/IMG{number}.dcm").rename(place.source / f"s/IMG{number - 1}.dcm")
    result = place.run()
    now = labels_of(place)
    assert [now[f"s/IMG{number}"] for number in range(2)] == ["Class 1", "Class 2"]
    assert sorted(filter(None, now.values())) == ["Class 1", "Class 2", "Class 3"]  # Class 0 waits
    assert result.processed == 3


def test_two_files_that_swap_their_names_swap_their_labels(place: Place) -> None:
    one, other = save(place, "s/a.dcm", 0), save(place, "s/b.dcm", 1)
    for path in (one, other):
        os.utime(path, (1.7e9, 1.7e9))
    place.run()
    set_labels(place, {"s/a": "First", "s/b": "Second"})
    one.rename(place.base / "x")
    other.rename(one)
    (place.base / "x").rename(other)
    result = place.run()
    assert labels_of(place) == {"s/a": "Second", "s/b": "First"}
    assert result.followed["label"] == 2


def test_a_file_that_was_only_touched_is_unchanged(place: Place) -> None:
    """A copy of the whole tree, a changed owner: the change time is another, and nothing else."""
    path = save(place, "s/a.dcm", 0)
    place.run()
    before = path.stat()
    shutil.copy2(path, place.base / "copy")
    os.replace(place.base / "copy", path)
    assert path.stat().st_ctime_ns != before.st_ctime_ns
    result = place.run()
    assert (result.processed, result.unchanged) == (0, 1)
    recorded = place.rows("SELECT ctime_ns FROM files")
    assert recorded == [path.stat().st_ctime_ns]


def test_a_cine_that_loses_and_reorders_frames(place: Place) -> None:
    save(place, "m/cine.dcm", 0, 1, 2, 3)
    place.run()
    set_labels(place, {f"m/cine_frame000{n}": f"View {n}" for n in range(4)})
    save(place, "m/cine.dcm", 2, 0, 3)
    place.run()
    assert labels_of(place) == {
        "m/cine_frame0000": "View 2",
        "m/cine_frame0001": "View 0",
        "m/cine_frame0002": "View 3",
    }
    save(place, "m/cine.dcm", 0, 1, 2, 3, age=50)
    place.run()
    assert labels_of(place) == {f"m/cine_frame000{n}": f"View {n}" for n in range(4)}


def test_frames_that_look_the_same_do_not_share_labels(place: Place) -> None:
    save(place, "m/cine.dcm", 0, 0, 1)
    place.run()
    set_labels(place, {"m/cine_frame0000": "Start"})
    save(place, "m/cine.dcm", 0, 0, 2)
    place.run()
    assert labels_of(place) == {"m/cine_frame0000": "Start", "m/cine_frame0001": None, "m/cine_frame0002": None}


@pytest.mark.parametrize("options", [{"size": 64}, {"fidelity": "exact"}, {"window": "100/200"}, {"depth": 16}])
def test_other_options_leave_labels_where_they_are(place: Place, options: dict[str, object]) -> None:
    save(place, "s/a.dcm", 0)
    save(place, "m/cine.dcm", 1, 2)
    place.run()
    set_labels(place, {"s/a": "A", "m/cine_frame0001": "B"})
    before = labels_of(place)
    result = place.run(**options)
    assert result.processed == 2
    assert labels_of(place) == before
    place.run(frames="first", **options)
    place.run(**options)
    assert labels_of(place) == before


def test_a_moved_file_that_is_compressed_anew_keeps_its_label(place: Place) -> None:
    path = save(place, "s/a.dcm", 0)
    place.run()
    set_labels(place, {"s/a": "A"})
    (place.source / "New Folder").mkdir()
    path.rename(place.source / "New Folder/b.dcm")
    place.run()
    assert "A" in labels_of(place).values()


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    save(place, "p0/a.dcm", 0)
    save(place, "p1/a.dcm", 1)
    place.run(split="100/0/0")
    store = Store(place.address)
    yield store
    store.close()


def test_predictions_and_releases_go_along(place: Place, store: Store) -> None:
    ids = dict(place.rows("SELECT filename, id FROM images"))
    with store.transaction() as connection:
        add_scores(connection, "m", [Score(ids["p0/a"], "Mass", 0.9), Score(ids["p0/a"], "Clear", 0.1)])
        summarize(connection)
    place.execute("UPDATE frames SET burned_in = 'high'")
    add_releases(store, [ids["p0/a"]], person="Zoë")
    save(place, "p0/a.dcm", 5)
    assert place.run(split="100/0/0").waiting == {"label": 0, "prediction": 1, "release": 1, "annotation": 0}
    attached = "SELECT count(*) FROM {} JOIN images ON images.id = frame_id"
    assert [place.rows(attached.format(t)) for t in ("predictions", "predicted", "releases")] == [[0], [0], [0]]
    save(place, "p0/a.dcm", 0, age=50)
    result = place.run(split="100/0/0")
    assert (result.returned["prediction"], result.returned["release"]) == (1, 1)
    assert [place.rows(attached.format(table)) for table in ("predictions", "releases")] == [[2], [1]]
    with store.transaction() as connection:
        summarize(connection)
    assert place.rows("SELECT label, score FROM predicted") == [("Mass", 0.9)]


def test_labels_of_before_the_pictures_were_known_are_kept_where_the_file_is_the_same(place: Place) -> None:
    for number in range(3):
        save(place, f"p{number}/a.dcm", number)
    place.run()
    set_labels(place, {"p0/a": "A", "p1/a": "B"})
    place.execute("UPDATE frames SET source_digest = NULL, stream_digest = NULL, since_run = NULL")
    place.execute("UPDATE files SET fingerprint = 'earlier rules', ctime_ns = NULL")
    save(place, "p1/a.dcm", 7)
    result = place.run()
    assert labels_of(place) == {"p0/a": "A", "p1/a": None, "p2/a": None}
    assert result.waiting["label"] == 1
    assert place.rows("SELECT count(*) FROM labels WHERE label IS NOT NULL") == [2]


EVENTS = [("Łukasz", "One"), ("李雷", "Two"), ("Łukasz", "Three"), ("Ann", "Three")]


def test_history_and_annotators_stay_with_the_picture(place: Place) -> None:
    save(place, "s/a.dcm", 0)
    place.run()
    for annotator, label in EVENTS:
        set_labels(place, {"s/a": label}, annotator=annotator)
    save(place, "s/a.dcm", 1)
    place.run()
    save(place, "s/a.dcm", 0, age=50)
    place.run()
    events = place.rows(
        "SELECT annotator, labels.label FROM labels JOIN images ON images.id = frame_id ORDER BY labels.id"
    )
    assert events == EVENTS
    assert sorted(place.rows("SELECT annotator, label FROM standing")) == [
        ("Ann", "Three"),
        ("Łukasz", "Three"),
        ("李雷", "Two"),
    ]
    assert labels_of(place) == {"s/a": "Three"}


@pytest.mark.parametrize("loss", ["replaced", "cut", "pruned"])
def test_a_copy_takes_the_label_of_an_original_that_goes(place: Place, loss: str) -> None:
    """One that was hidden as its duplicate is the image now; when the original is back, it is the duplicate."""
    save(place, "a.dcm", 1)
    save(place, "Ordner b/c.dcm", 2)
    shutil.copy2(place.source / "a.dcm", place.source / "b.dcm")
    place.run()
    assert labels_of(place) == {"in/a": None, "Ordner b/c": None}
    set_labels(place, {"in/a": "Ödem"}, annotator="李雷")
    whole = (place.source / "a.dcm").read_bytes()
    if loss == "replaced":
        save(place, "a.dcm", 3)
    elif loss == "cut":
        (place.source / "a.dcm").write_bytes(whole[:-100])
    else:
        (place.source / "a.dcm").unlink()
    result = place.run(prune=True)
    assert (result.followed["label"], result.waiting["label"]) == (1, 0)
    assert labels_of(place) == {"in/b": "Ödem", "Ordner b/c": None} | ({"in/a": None} if loss == "replaced" else {})
    (place.source / "a.dcm").write_bytes(whole)
    place.run()
    assert labels_of(place) == {"in/b": "Ödem", "Ordner b/c": None}


def test_what_was_pruned_has_its_label_again_when_it_is_back(place: Place) -> None:
    save(place, "a.dcm", 1)
    save(place, "b.dcm", 2)
    place.run()
    set_labels(place, {"in/a": "Ödem"})
    (place.source / "a.dcm").rename(place.base / "away.dcm")
    gone = place.run(prune=True)
    assert (gone.pruned, gone.waiting["label"]) == (1, 1)
    save(place, "anderswo/x.dcm", 1)
    back = place.run()
    assert back.returned["label"] == 1
    assert labels_of(place) == {"anderswo/x": "Ödem", "in/b": None}
