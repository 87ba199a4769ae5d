"""Annotations belong to pictures as labels do: through runs, undo, duplicates, versions and forgetting."""

import os
from pathlib import Path

import numpy as np
import pytest

from dicomprep.database.queries.annotations import Drawn, all_annotations
from dicomprep.database.writes.annotations import GivenAnnotation, add_annotation, add_annotations, new_key
from dicomprep.database.writes.commands import ANNOTATE, Command, note_command, undo_last
from dicomprep.database.writes.labels import Said, add_label, pass_image
from dicomprep.database.writes.store import Store
from dicomprep.exchange.versions import compare, freeze
from dicomprep.pipeline.forgetting import forget
from dicomprep.pixels.shapes import Shape, ShapeKind
from tests.building import make_dicom
from tests.running import Place, cli

PICTURES = [np.random.default_rng(seed).integers(0, 4000, (24, 20), dtype=np.uint16) for seed in range(6)]
BOX = Drawn(shape=Shape.box(2, 3.25, 10.5, 8), label="Nodule", note="smooth")
POINT = Drawn(shape=Shape(ShapeKind.POINT, ((5.0, 6.5),)), label="Nodule")


def save(place: Place, name: str, picture: int) -> Path:
    path = place.source / name
    make_dicom(path, PICTURES[picture], patient_id=f"P{picture}", SOPInstanceUID=f"1.2.3.{picture + 1}")
    os.utime(path, (1.7e9 + picture, 1.7e9 + picture))
    return path


def draw(place: Place, name: str, *drawn: Drawn, annotator: str = "Łukasz") -> int:
    store = Store(place.address)
    ids = dict(place.rows("SELECT filename, id FROM images"))
    with store.transaction() as connection:
        added = add_annotations(connection, [GivenAnnotation(ids[name], one, annotator) for one in drawn])
    store.close()
    return added


def stands(place: Place) -> list[tuple[str, str, str, str | None]]:
    return sorted(place.rows("SELECT filename, kind, label, note FROM annotations"))


@pytest.fixture
def place(any_place: Place) -> Place:
    for number in range(3):
        save(any_place, f"Ä p{number}/IMG.dcm", number)
    any_place.run()
    assert draw(any_place, "Ä p0/IMG", BOX, POINT) == 2
    return any_place


def test_they_wait_for_their_picture_and_keep_their_patient_in_his_split(place: Place) -> None:
    before = stands(place)
    assert before == [("Ä p0/IMG", "box", "Nodule", "smooth"), ("Ä p0/IMG", "point", "Nodule", None)]
    view = place.rows("SELECT row_min, column_min, row_max, column_max FROM annotations WHERE kind = 'box'")
    assert view == [(2.0, 3.25, 10.5, 8.0)]
    assert draw(place, "Ä p0/IMG", BOX) == 0  # it stands already
    save(place, "Ä p0/IMG.dcm", 5)
    result = place.run()
    assert stands(place) == []
    assert result.waiting["annotation"] == 1
    assert "Annotations of 1 image wait for a picture" in cli(place.base, "status", "--db", place.db).stdout
    (place.source / "Ä p2/IMG.dcm").rename(place.source / "elsewhere.dcm")
    save(place, "Ä p0/IMG.dcm", 0)
    assert place.run().returned["annotation"] == 1
    assert stands(place) == before


def test_of_duplicates_the_one_that_is_drawn_on_stays(place: Place) -> None:
    make_dicom(place.source / "A first.dcm", PICTURES[0], patient_id="P0", SOPInstanceUID="1.2.3.99")
    place.run()
    assert stands(place)[0][0] == "Ä p0/IMG"
    (place.source / "Ä p0/IMG.dcm").unlink()
    assert place.run(prune=True).followed["annotation"] == 1
    assert [row[0] for row in stands(place)] == ["in/A first", "in/A first"]


def test_an_undo_is_of_the_last_thing_done_whatever_it_was(place: Place) -> None:
    store = Store(place.address)
    frame_id = place.rows("SELECT id FROM images WHERE filename = 'Ä p1/IMG'")[0]
    key, moved = new_key(), Drawn(shape=Shape.box(3, 4, 11, 9), label="Mass")

    def annotate(drawn: Drawn | None, command: str) -> None:
        with store.transaction() as connection:
            event = add_annotation(connection, frame_id, key, drawn, annotator="Ann")
            note_command(connection, Command(ANNOTATE, frame_id, event), annotator="Ann", key=command)

    annotate(BOX, "c1")
    with store.transaction() as connection:
        add_label(connection, frame_id, Said("normal"), annotator="Ann")
    annotate(moved, "c2")
    with store.transaction() as connection:
        pass_image(connection, frame_id, annotator="Ann")
        note_command(connection, Command("skip", frame_id), annotator="Ann", key="c3")
    annotate(None, "c4")
    undone, shown = [], []
    for _ in range(6):
        with store.transaction() as connection:
            done = undo_last(connection, "Ann")
            undone.append(done.kind if done else None)
            shown.append([one.drawn for one in all_annotations(connection) if one.frame_id == frame_id])
    store.close()
    assert undone == ["annotate", "skip", "annotate", "label", "annotate", None]
    assert shown == [[moved], [moved], [BOX], [BOX], [], []]


def test_versions_have_them_and_forgetting_removes_them(place: Place) -> None:
    freeze(place.workspace, "v1")
    draw(place, "Ä p1/IMG", POINT)
    change = compare(place.workspace, "v1", None)
    assert (len(change.redrawn), change.relabeled, change.is_one) == (1, [], True)
    freeze(place.workspace, "v2")
    assert len(compare(place.workspace, "v1", "v2").redrawn) == 1
    assert not compare(place.workspace, "v2", None).is_one
    forget(place.workspace, patients=["P0"])
    assert place.rows("SELECT count(*) FROM annotation_events") == [1]
    assert place.rows("SELECT count(*) FROM version_annotations") == [1]
