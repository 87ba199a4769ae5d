"""Targets of series, studies and patients, and what images inherit from them."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import dicomprep
from dicomprep import ConfigError, Dataset
from dicomprep.exchange.labels import import_labels
from tests.building import make_dicom
from tests.running import Place, frames_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three patients, two studies each, of two series of an image each; one image of no study."""
    place = Place(tmp_path_factory.mktemp("units") / "place")
    pixels = iter(frames_of(13))
    for patient in range(3):
        for study in range(2):
            for series in range(2):
                make_dicom(
                    place.source / f"p{patient}/s{study}/{series}.dcm",
                    next(pixels),
                    patient_id=f"P{patient}",
                    StudyInstanceUID=f"1.2.{patient + 1}.{study + 1}",
                    SeriesInstanceUID=f"1.3.{patient + 1}.{study + 1}.{series + 1}",
                )
    make_dicom(place.source / "lone.dcm", next(pixels), StudyInstanceUID=None, SeriesInstanceUID=None, patient_id="P9")
    place.run()
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    copy = Place(tmp_path / "place")
    shutil.copytree(made.base, copy.base)
    return copy


def label(place: Place, *lines: str, annotator: str = "a") -> None:
    (place.base / "l.csv").write_text("\n".join(lines) + "\n")
    import_labels(place.workspace, place.base / "l.csv", annotator=annotator)


def test_a_unit_has_one_target(place: Place) -> None:
    label(place, "study_id,label", "1.2.1.1,normal", "1.2.1.2,tumor", "1.2.2.1,tumor")
    data = Dataset(place.db, unit="study", labels="any")
    assert (len(data), data.classes, data.targets.tolist()) == (3, ("normal", "tumor"), [0, 1, 1])
    arrays, target, record = data[0]
    assert (len(arrays), target, record.label, record.unit) == (2, 0, "normal", "study")
    assert {one.filename for one in record.records} == {"p0/s0/0", "p0/s0/1"}
    assert (np.stack(arrays).shape[0], data.class_weights().tolist()) == (2, [1.5, 0.75])
    assert len(pickle.loads(pickle.dumps(data))) == 3
    assert len(Dataset(place.db, unit="study")) == 7
    assert [len(Dataset(place.db, unit=unit)) for unit in ("image", "series", "patient")] == [13, 13, 4]


def test_a_label_of_a_study_is_no_label_of_its_images_unless_asked(place: Place) -> None:
    label(place, "study_id,label", "1.2.1.1,normal", "1.2.1.2,tumor")
    label(place, "patient_id,label", "P0,ill", "P1,well")
    label(place, "filename,label", "p0/s0/0,mine")
    assert [record.label for *_, record in Dataset(place.db, labels="any")] == ["mine"]
    data = Dataset(place.db, labels="any", inherit=True)
    said = {data.record(n).filename: data.classes[data.targets[n]] for n in range(len(data))}
    assert said == {
        **{"p0/s0/0": "mine", "p0/s0/1": "normal", "p0/s1/0": "tumor", "p0/s1/1": "tumor"},
        **{f"p1/s{s}/{i}": "well" for s in range(2) for i in range(2)},
    }
    studies = Dataset(place.db, unit="study", labels="any", inherit=True)
    assert [studies.classes[target] for target in studies.targets] == ["normal", "tumor", "well", "well"]
    assert place.rows("SELECT count(*) FROM labels") == [1]


def test_groups_that_are_one_patient_have_one_label(place: Place) -> None:
    label(place, "patient_id,label", "P0,ill")
    ids = place.rows("SELECT DISTINCT g.id FROM groups g JOIN files f ON f.group_id = g.id WHERE f.path LIKE 'p_/%'")
    place.execute("UPDATE groups SET joined_id = ? WHERE id IN (?, ?)", min(ids), *sorted(ids)[:2])
    data = Dataset(place.db, unit="patient", labels="any")
    assert (len(data), len(data[0][0])) == (1, 8)


def test_numbers_and_texts_are_targets(place: Place) -> None:
    label(place, "study_id,label", "1.2.1.1,0.55", '1.2.1.2,"0,6"', "1.2.2.1,unknown", '1.2.2.2,"No acute, finding."')
    numbers = Dataset(place.db, unit="study", labels="number")
    assert (numbers.targets.dtype, numbers.targets.tolist()) == (np.float32, pytest.approx([0.55, 0.6]))
    texts = Dataset(place.db, unit="study", labels="text")
    assert [target for _, target, _ in texts] == ["0.55", "0,6", "unknown", "No acute, finding."]


def test_what_is_uncertain_has_no_target(place: Place) -> None:
    label(place, "study_id,Edema,Mass", "1.2.1.1,1,0", "1.2.1.2,-1,1", "1.2.2.1,,", "1.2.2.2,0,0")
    data = Dataset(place.db, unit="study", multi=True, labels="any")
    assert data.classes == ("Edema", "Mass")
    assert data.targets.tolist() == [[1, 0], [-1, 1], [0, 0]]
    named = Dataset(place.db, unit="study", multi=True, labels=["Edema", "Edema (uncertain)"])
    assert named.targets.tolist() == [[1, 0], [-1, 1], [0, 0]]


def test_an_unknown_unit_is_refused(place: Place) -> None:
    with pytest.raises(ConfigError, match='unit="breast": choose from image, series'):
        Dataset(place.db, unit="breast")
    with pytest.raises(ConfigError, match="any number of images"):
        Dataset(place.db, unit="study").batch([0])
    assert dicomprep.UnitRecord.__name__ == "UnitRecord"
