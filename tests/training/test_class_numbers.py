"""The numbers of classes: one order in the database, which only grows at its end."""

from pathlib import Path

import pytest

import dicomprep
from dicomprep.database.migrations import m0031_class_numbers
from dicomprep.database.queries.classes import numbered_classes
from dicomprep.database.writes.store import Store
from dicomprep.exchange.labels import LabelsImported, import_labels
from dicomprep.exchange.options import ExportOptions
from dicomprep.exchange.predictions import import_predictions
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.exchange.rows import read_rows
from tests.running import Place, make_files, set_labels


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Images of which some are labeled by an import."""
    place = Place(tmp_path)
    make_files(place.source, *(f"g{number}.dcm" for number in range(6)))
    place.run()
    _give(place, {"g0": "nodule", "g1": "clear", "g2": "nodule"})
    return place


def _give(place: Place, labels: dict[str, str]) -> LabelsImported:
    table = place.base / "labels.csv"
    table.write_text("filename,label\n" + "".join(f'in/{name},"{label}"\n' for name, label in labels.items()))
    return import_labels(place.workspace, table, annotator="t")


def test_a_class_that_comes_takes_no_number_of_others(place: Place) -> None:
    assert dicomprep.Dataset(place.db).classes == ("clear", "nodule")
    done = _give(place, {"g3": "artifact", "g4": "nodul"})
    assert done.new_classes == ("artifact", "nodul (like nodule)")
    assert dicomprep.Dataset(place.db).classes == ("clear", "nodule", "artifact", "nodul")
    assert dicomprep.Dataset(place.db, multi=True).classes == ("clear", "nodule", "artifact", "nodul")
    assert dicomprep.Dataset(place.db, unit="image", inherit=True).classes[:2] == ("clear", "nodule")
    rows = read_rows(place.workspace, ExportOptions(), Pseudonyms(place.workspace.key))
    assert rows.selection.classes == ("clear", "nodule", "artifact", "nodul")


def test_a_class_that_no_image_has_any_more_keeps_its_number(place: Place) -> None:
    _give(place, {"g3": "artifact"})
    _give(place, {"g1": "nodule"})
    data = dicomprep.Dataset(place.db, labels="any")
    assert data.classes == ("clear", "nodule", "artifact")
    assert sorted(data.targets.tolist()) == [1, 1, 1, 2]


def test_classes_keep_the_numbers_that_they_had_before_they_had_any(place: Place) -> None:
    set_labels(place, {"in/g3": "artifact"})
    store = Store(place.address)
    with store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM classes")
        connection.exec_driver_sql("ALTER TABLE classes DROP COLUMN number")
        connection.exec_driver_sql("INSERT INTO classes (name, created_at) VALUES ('unused', ''), ('nodule', '')")
        m0031_class_numbers.upgrade(connection)
        assert numbered_classes(connection) == ("artifact", "clear", "nodule", "unused")
    store.close()
    assert dicomprep.Dataset(place.db).classes == ("artifact", "clear", "nodule")


def test_scores_of_a_misspelled_class_are_named(place: Place) -> None:
    table = place.base / "scores.csv"
    table.write_text("filename,nodul,clear,epoch\nin/g0,0.9,0.1,3\nin/g1,0.2,0.8,3\n")
    done = import_predictions(place.workspace, table, model="m")
    assert (done.unknown, done.left_out) == (("nodul (like nodule)",), ("epoch",))


def test_a_misspelled_label_is_named(place: Place) -> None:
    with pytest.raises(dicomprep.ConfigError, match=r"nodul \(like nodule\).*clear, nodule"):
        dicomprep.Dataset(place.db, labels=["clear", "nodul"])
    with pytest.raises(dicomprep.ConfigError, match=r"nodul \(like nodule\)"):
        dicomprep.Dataset(place.db, multi=True, labels=["nodul"])
    with pytest.raises(dicomprep.ConfigError, match=r"nodul \(like nodule\)"):
        dicomprep.Dataset(place.db, labels={"nodul": 1.0})
    with pytest.raises(dicomprep.ConfigError, match=r"tarin \(like train\)"):
        dicomprep.Dataset(place.db, split="tarin")
