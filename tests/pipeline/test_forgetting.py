"""`forget`: a patient leaves for good, and nothing of him stays or returns."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dicomprep.errors import ConfigError
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.versions import freeze
from dicomprep.pipeline.forgetting import forget, let_return
from tests.building import make_dicom
from tests.running import Place, cli, frames_of, set_labels

PATIENT = "Müller 77"


def fill(place: Place) -> Place:
    """Four images of the patient, in two studies, and six of others."""
    for number in range(10):
        mine = number < 4
        make_dicom(
            place.source / ("Müller" if mine else "others") / f"IM{number}.dcm",
            frames_of(1, seed=number)[0],
            patient_id=PATIENT if mine else f"P{number}",
            SpecificCharacterSet="ISO_IR 192",
            StudyInstanceUID=f"1.2.3.{number // 2 if mine else number}",
        )
    place.run()
    set_labels(place, {"Müller/IM0": "a", "Müller/IM1": "b", "others/IM4": "a"}, annotator="Ann")
    place.execute(
        "INSERT INTO predictions (frame_id, model, label, score, created_at) "
        "SELECT id, 'm', 'a', 1, '' FROM frames WHERE filename = 'Müller/IM2'"
    )
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return fill(Place(tmp_path / "Daten"))


def key_of(place: Place, filename: str) -> str:
    return str(place.rows("SELECT patient_key FROM images WHERE filename = ?", filename)[0])


def everything(place: Place) -> str:
    with closing(sqlite3.connect(place.db)) as connection:
        return "\n".join(connection.iterdump())


def test_nothing_of_a_patient_stays(place: Place) -> None:
    key, others = key_of(place, "Müller/IM0"), place.rows("SELECT * FROM images WHERE filename LIKE 'others%'")
    keys = place.rows("SELECT key FROM aliases WHERE group_id IN (SELECT id FROM groups WHERE key = ?)", key)
    digests = place.rows("SELECT hex(digest) FROM files WHERE path LIKE 'Müller%'")
    place.execute(
        "INSERT INTO unit_labels (level, unit_key, label, annotator, created_at, adjudicated) "
        "SELECT DISTINCT 'study', study_key, path, 'Ann', '', 0 FROM files "
        "UNION SELECT 'patient', ?, 'ill', 'Ann', '', 0",
        key,
    )
    keys += place.rows("SELECT study_key FROM files WHERE path LIKE 'Müller%'")
    done = forget(place.workspace, patients=[key])
    assert place.rows("SELECT count(*) FROM unit_labels") == [6]
    assert (done.patients, done.images, len(done.sources)) == (1, 4, 4)
    said = everything(place)
    assert not [word for word in ("Müller", PATIENT, key, *keys, *digests) if word in said]
    assert place.rows("SELECT count(*) FROM labels") == [1]
    assert place.rows("SELECT count(*) FROM predictions") == [0]
    assert place.rows("SELECT * FROM images") == others
    assert not (place.output / "Müller").exists()
    place.check()


@pytest.mark.parametrize("by", ["key", "padded"])
def test_he_does_not_come_back(any_place: Place, by: str) -> None:
    """Neither with the files that are still there, nor with copies and new ones, nor by his study without his ID."""
    place = fill(any_place)
    name = {"key": key_of(place, "Müller/IM0"), "padded": f" {PATIENT.lower()}  "}[by]
    forget(place.workspace, patients=[name])
    make_dicom(
        place.source / "new" / "IM50.dcm", frames_of(1, seed=50)[0], patient_id=PATIENT, StudyInstanceUID="1.2.9"
    )
    make_dicom(place.source / "new" / "IM51.dcm", frames_of(1, seed=51)[0], patient_id="", StudyInstanceUID="1.2.3.0")
    (place.source / "copy.dcm").write_bytes((place.source / "Müller" / "IM1.dcm").read_bytes())
    for _ in range(2):
        result = place.run()
        assert (result.forgotten, result.processed, result.found, result.total_frames) == (7, 0, 6, 6)
        assert len(place.images()) == 6
        place.check()


def test_only_with_files_of_his_a_data_set_is_empty(tmp_path: Path) -> None:
    place = Place(tmp_path / "eins")
    make_dicom(place.source / "a.dcm", frames_of(3), patient_id=PATIENT)
    place.run()
    forget(place.workspace, patients=[PATIENT])
    assert place.run().forgotten == 1
    assert not place.images()


def test_a_file_is_forgotten_wherever_it_lies(place: Place) -> None:
    done = forget(place.workspace, paths=[str(place.source / "others" / "IM4.dcm")])
    assert (done.patients, done.images) == (0, 1)
    (place.source / "others" / "IM4.dcm").rename(place.source / "anderswo.dcm")
    result = place.run()
    assert (result.forgotten, result.total_frames) == (1, 9)
    assert forget(place.workspace, paths=[str(place.source / "Müller")]).images == 4
    assert place.rows("SELECT filename FROM images WHERE filename LIKE 'Müller%'") == []


def test_who_is_the_same_by_his_images_goes_too(place: Place) -> None:
    """Two IDs that share an image are one patient, and one that nobody else has is left."""
    make_dicom(place.source / "twin.dcm", frames_of(1, seed=0)[0], patient_id="T", StudyInstanceUID="1.2.77")
    make_dicom(place.source / "twin2.dcm", frames_of(1, seed=60)[0], patient_id="T", StudyInstanceUID="1.2.77")
    place.run()
    done = forget(place.workspace, patients=["T"])
    assert (done.patients, len(done.sources)) == (2, 6)
    assert place.run().total_frames == 6


def test_versions_and_exports_lose_him_and_say_so(place: Place, tmp_path: Path) -> None:
    freeze(place.workspace, "v1")
    export_frames(Format.CSV, tmp_path / "out", place.workspace, options=ExportOptions())
    key = key_of(place, "Müller/IM0")
    done = forget(place.workspace, patients=[PATIENT])
    assert done.versions == {"v1": 4}
    export_frames(Format.CSV, tmp_path / "out", place.workspace, options=ExportOptions())
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_file() and key in path.read_text()]
    said = cli(place.base, "verify", "--version", "v1", "--db", place.db)
    assert said.returncode == 1
    assert "4 removed by `dicomprep forget`" in said.stdout


def test_a_preview_changes_nothing_and_undo_lets_him_return(place: Place) -> None:
    before = everything(place)
    said = cli(place.base, "forget", "--patient", PATIENT, "--dry-run", "--db", place.db)
    assert "4 images of 4 files and 1 patient would be removed, with all labels and predictions." in said.stdout
    assert everything(place) == before
    said = cli(place.base, "forget", "--patient", PATIENT, "--db", place.db)
    assert "4 images of 4 files and 1 patient removed" in said.stdout
    assert let_return(place.workspace, [PATIENT]) == 1
    assert place.run().total_frames == 10
    assert place.rows("SELECT count(*) FROM tombstones") == [0]


def test_the_same_id_of_another_issuer_is_another_patient(tmp_path: Path) -> None:
    """He stays, and his new files are recorded; an ID that two patients have is no name of one."""
    place = Place(tmp_path / "zwei")
    for number, issuer in enumerate("AB"):
        pixels = frames_of(1, seed=number)[0]
        make_dicom(place.source / issuer / "a.dcm", pixels, patient_id="17", IssuerOfPatientID=issuer)
    place.run()
    with pytest.raises(ConfigError, match="is 2 patients of different issuers"):
        forget(place.workspace, patients=["17"])
    assert len(place.images()) == 2
    forget(place.workspace, patients=[key_of(place, "A/a")])
    make_dicom(place.source / "B" / "b.dcm", frames_of(1, seed=5)[0], patient_id="17", IssuerOfPatientID="B")
    result = place.run()
    assert (result.forgotten, result.total_frames) == (1, 2)


def test_a_study_that_everybody_has_is_nobodys(tmp_path: Path) -> None:
    place = Place(tmp_path / "eine Studie")
    for number in range(7):
        pixels = frames_of(1, seed=number)[0]
        make_dicom(place.source / f"{number}.dcm", pixels, patient_id=f"P{number}", StudyInstanceUID="1.2.3")
    place.run()
    assert forget(place.workspace, patients=["P0"]).patients == 1
    make_dicom(place.source / "new.dcm", frames_of(1, seed=9)[0], patient_id="P9", StudyInstanceUID="1.2.3")
    result = place.run()
    assert (result.forgotten, result.total_frames) == (1, 7)


def test_who_is_not_there_is_not_repeated(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        forget(place.workspace, patients=[PATIENT, "Schmidt, Anna"])
    assert str(caught.value) == "--patient: the patient given as number 2 is not in this data set."
    assert len(place.images()) == 10
    with pytest.raises(ConfigError, match="no file of this data set lies there"):
        forget(place.workspace, paths=[str(place.source / "nowhere")])
