"""Segmentations become label maps of the volumes that they were drawn on, as nnU-Net trains on them."""

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from dicomprep.exchange.options import ExportOptions, Format, VolumeOptions
from dicomprep.volumetric.export.run import ExportedVolumes, export_volumes
from tests.building import make_dicom
from tests.running import Place
from tests.volumes.scenes import AXIAL, SHAPE, SPACING, even, make_stack, uid_of

STRAIGHT = even(4, (0, 0, 3))
NAMES = {1: ("Liver", "10200004"), 2: ("Kidney", "64033007")}
SLICES = [(1, 0), (1, 1), (1, 2), (2, 1), (2, 3)]
"""Of each frame of a segmentation the segment, and the slice that it was drawn on."""


def masks() -> np.ndarray:
    drawn = np.zeros((len(SLICES), *SHAPE), bool)
    for number in range(len(SLICES)):
        drawn[number, 2 : 4 + number, 1:3] = True
        drawn[number, 0, number] = True
    return drawn


def draw(place: Place, name: str, on: str, *, shift: float = 0.0, **attributes: Any) -> Path:
    """A segmentation of the slices of a series."""
    concept = {"CodingSchemeDesignator": "SCT"}
    segments = [
        {
            "SegmentNumber": number,
            "SegmentLabel": meaning.lower(),
            "SegmentedPropertyTypeCodeSequence": [concept | {"CodeValue": code, "CodeMeaning": meaning}],
        }
        for number, (meaning, code) in NAMES.items()
    ]
    groups = [
        {
            "SegmentIdentificationSequence": [{"ReferencedSegmentNumber": segment}],
            "PlanePositionSequence": [{"ImagePositionPatient": [*STRAIGHT[at][:2], STRAIGHT[at][2] + shift]}],
            "DerivationImageSequence": [
                {"SourceImageSequence": [{"ReferencedSOPInstanceUID": uid_of(f"{on} {at}")}]},
            ],
        }
        for segment, at in SLICES
    ]
    shared = {
        "PlaneOrientationSequence": [{"ImageOrientationPatient": list(AXIAL)}],
        "PixelMeasuresSequence": [{"PixelSpacing": list(SPACING), "SliceThickness": 3}],
    }
    said = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4",
        "Modality": "SEG",
        "SegmentationType": "BINARY",
        "SeriesInstanceUID": uid_of(name),
        "StudyInstanceUID": uid_of("study"),
        "SegmentSequence": segments,
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": groups,
    }
    return make_dicom(place.source / name / "seg.dcm", masks(), **(said | attributes))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for name in ("one", "other", "third"):
        make_stack(place.source, name, STRAIGHT, patient_id="P1")
    draw(place, "drawn", "one", patient_id="P1")
    draw(place, "elsewhere", "other", patient_id="P1", shift=1.5)
    draw(place, "shares", "third", patient_id="P1", SegmentationType="FRACTIONAL")
    place.run(split="100/0/0")
    return place


def export(place: Place) -> ExportedVolumes:
    options = ExportOptions(with_uids=True)
    return export_volumes(
        Format.NIFTI, place.base / "nii", place.workspace, options=options, volumes=VolumeOptions(workers=2)
    )


def expected() -> np.ndarray:
    """Kidney is 1 and liver 2, in alphabetical order; liver is drawn over kidney."""
    labels = np.zeros((len(STRAIGHT), *SHAPE), np.uint8)
    for number, classes in ((2, 1), (1, 2)):
        for (segment, at), mask in zip(SLICES, masks(), strict=True):
            if segment == number:
                labels[at][mask] = classes
    return labels


def rows(place: Place) -> dict[str, dict[str, str]]:
    with (place.base / "nii" / "volumes.csv").open(newline="") as file:
        names = {uid_of(name): name for name in ("one", "other", "third")}
        return {names[row["series_instance_uid"]]: row for row in csv.DictReader(file)}


def test_a_segmentation_is_a_label_map(place: Place) -> None:
    assert export(place).volumes == 3
    out = place.base / "nii"
    assert {name: bool(row["label_map"]) for name, row in rows(place).items()} == {
        "one": True,
        "other": False,
        "third": False,
    }
    row = rows(place)["one"]
    image, drawn = nibabel.load(out / row["file"]), nibabel.load(out / row["label_map"])
    assert (np.asarray(drawn.dataobj) == expected().transpose(2, 1, 0)).all()
    assert drawn.get_data_dtype() == np.uint8
    assert (drawn.affine == image.affine).all()
    about = json.loads((out / "dataset.json").read_text())
    case = row["file"].partition("/")[2].removesuffix("_0000.nii.gz")
    assert about["labels"] == {"background": 0, "Kidney": 1, "Liver": 2}
    assert about["dataset"] == {case: {"images": [row["file"]], "label": f"labelsTr/{case}.nii.gz"}}
    assert about["numTraining"] == 1
    assert json.loads((out / "splits_final.json").read_text()) == [{"train": [case], "val": []}]
    listed = json.loads((out / "datalist.json").read_text())["training"]
    assert [entry["label_map"] for entry in listed if "label_map" in entry] == [row["label_map"]]
    assert export(place).kept == 3


def test_a_label_map_follows_its_segmentation(place: Place) -> None:
    export(place)
    before = rows(place)
    draw(place, "elsewhere", "other", patient_id="P1")
    place.run(split="100/0/0")
    done = export(place)
    assert (done.kept, done.changed) == (2, 1)
    assert rows(place)["other"]["label_map"]
    (place.base / "nii" / before["one"]["label_map"]).unlink()
    assert export(place).changed == 1
    assert rows(place)["one"] == before["one"]
    (place.source / "drawn" / "seg.dcm").unlink()
    place.run(split="100/0/0", prune=True)
    assert export(place).changed == 1
    assert not rows(place)["one"]["label_map"]
    assert not (place.base / "nii" / before["one"]["label_map"]).exists()


@pytest.mark.filterwarnings("ignore")
def test_nnunet_reads_it(place: Place) -> None:
    utilities = pytest.importorskip("nnunetv2.utilities.utils", reason="nnunetv2 is not installed: group peers")
    registry = pytest.importorskip("nnunetv2.imageio.reader_writer_registry")
    verify = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    export(place)
    out = place.base / "nii"
    about = json.loads((out / "dataset.json").read_text())
    (case,) = utilities.get_filenames_of_train_images_and_targets(str(out), about).values()
    reader = registry.determine_reader_writer_from_dataset_json(about, case["images"][0], verbose=False)
    assert verify.check_cases(case["images"], case["label"], 1, reader)
    assert verify.verify_labels(case["label"], reader, [0, 1, 2])
