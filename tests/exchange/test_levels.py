"""Tables as data sets and hospitals hand them out, each imported by one command over a small tree of the same shape."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomprep.errors import ConfigError
from dicomprep.exchange.agreeing import Rule
from dicomprep.exchange.kinds import Kind, Level
from dicomprep.exchange.label_columns import Uncertain
from dicomprep.exchange.label_export import export_labels
from dicomprep.exchange.labels import ImportOptions, LabelsImported, import_labels
from dicomprep.exchange.pseudonyms import Shown
from dicomprep.exchange.row_report import report_rows
from dicomprep.exchange.tables import read_table
from tests.building import make_dicom
from tests.running import Place, cli, frames_of

CANARY = "CANARY"


def make_images(place: Place, images: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for (name, attributes), pixels in zip(images, frames_of(len(images)), strict=True):
        make_dicom(place.source / name, pixels, **attributes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One tree with the shapes of all: eight patients, two studies each, two images a study."""
    place = Place(tmp_path_factory.mktemp("levels") / "place")
    images = []
    for patient in range(4):
        for study in range(2):
            for image in range(2):
                number = f"{patient}{study}{image}"
                attributes = {
                    "patient_id": f"{CANARY}{patient:04}",
                    "StudyInstanceUID": f"1.2.{patient + 1}.{study + 1}",
                    "SeriesInstanceUID": f"1.3.{patient + 1}.{study + 1}.{image + 1}",
                    "SOPInstanceUID": f"1.4.{patient + 1}.{study + 1}.{image + 1}",
                    "StudyID": f"5041{patient}{study}",
                    "AccessionNumber": f"{CANARY}00{patient}{study}",
                }
                images.append((f"patient{patient:05}/study{study + 1}/ID_{number}.dcm", attributes))
    make_images(place, images)
    place.run()
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    copy = Place(tmp_path / "place")
    shutil.copytree(made.base, copy.base)
    copy.execute("UPDATE files SET root = ?", str(copy.source))
    return copy


def imported(place: Place, lines: Sequence[str], **options: Any) -> LabelsImported:
    file = place.base / "l.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    rule = Rule(options.pop("multi", False), options.pop("latest", False))
    return import_labels(place.workspace, file, options=ImportOptions(rule=rule, **options))


def labels_of(place: Place) -> dict[str, str]:
    rows = place.rows("SELECT filename, label FROM images WHERE label IS NOT NULL")
    return {name.rpartition("_")[2]: label for name, label in rows}


def of_units(place: Place, level: str) -> list[str]:
    return sorted(place.rows("SELECT label FROM unit_labels WHERE level = ?", level))


def test_a_screening_table_with_ids_of_patients_and_images(place: Place) -> None:
    """As RSNA's of breast cancer: ids, facts of acquisition, and columns of 0 and 1."""
    done = imported(
        place,
        [
            "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,implant,machine_id,difficult_negative_case",
            *(f"2,9{n},ID_{n}0{i},L,CC,61,{n % 2},1,0,29,False" for n in range(4) for i in range(2)),
        ],
    )
    assert (done.recorded, done.left_out, done.matched.level, done.matched.by) == (8, 8, Level.FRAME, "image_id")
    assert set(labels_of(place).values()) == {"biopsy", "cancer,biopsy"}
    assert place.rows("SELECT name FROM classes ORDER BY id")[:2] == ["cancer", "biopsy"]
    assert "site_id" not in " ".join(done.matched.notes).partition("Not read")[0]
    again = imported(place, ["image_id,cancer", "ID_000,1"], label=("cancer",), annotator="B")
    assert (again.recorded, "000" in labels_of(place)) == (1, False)


def test_a_row_for_each_image_and_class(place: Place) -> None:
    """As RSNA's of intracranial hemorrhage: `ID_x_class`."""
    classes = ("epidural", "subdural", "any")
    rows = [
        f"ID_{n}00_{name},{int(name == 'any' or (name == 'subdural' and n == 1))}" for n in range(2) for name in classes
    ]
    rows += [f"ID_200_{name},0" for name in classes]
    done = imported(place, ["ID,Label", *rows])
    assert (done.recorded, done.matched.has_no_match) == (3, False)
    assert labels_of(place) == {"000": "any", "100": "subdural,any", "200": ""}


def test_several_findings_of_an_image_with_boxes(place: Place) -> None:
    """As VinDr's: a row for each finding, lists as Python writes them, and labels of the breast beside them."""
    rows = [
        "image_id,study_id,finding_categories,xmin,ymin,breast_birads",
        "ID_000,1.2.1.1,\"['Mass', 'Suspicious Calcification']\",1,2,BI-RADS 4",
        "ID_000,1.2.1.1,['Mass'],3,4,BI-RADS 4",
        "ID_001,1.2.1.1,['No Finding'],,,BI-RADS 1",
    ]
    with pytest.raises(ConfigError, match="rows 2 and 3 contradict each other: the same image is Mass,Suspicious"):
        imported(place, rows, label=("finding_categories",))
    assert imported(place, rows, label=("finding_categories",), multi=True).recorded == 2
    assert labels_of(place) == {"000": "Mass,Suspicious Calcification", "001": "No Finding"}
    assert imported(place, rows, label=("breast_birads",), annotator="birads").recorded == 2
    assert imported(place, rows, label=("finding_categories",), latest=True).recorded == 1


def test_labels_of_studies_by_study_id(place: Place) -> None:
    """As MIMIC-CXR's: subject_id and study_id, 1.0, 0.0, -1.0 and blanks."""
    rows = ["subject_id,study_id,Atelectasis,Edema,No Finding"]
    rows += ["10000032,504100,1.0,-1.0,", "10000032,504101.0,,0.0,", "10000764,504110,,,1.0", "10000764,504111,,,"]
    done = imported(place, rows)
    assert (done.matched.kind, done.matched.level, done.recorded, done.empty) == (Kind.STUDY_NUMBER, Level.STUDY, 3, 1)
    assert of_units(place, "study") == ["", "Atelectasis,Edema (uncertain)", "No Finding"]
    assert (labels_of(place), done.left_out) == ({}, 4)
    assert "1 uncertain values" in " ".join(done.matched.notes)
    imported(place, rows, uncertain=Uncertain.POSITIVE)
    assert "Atelectasis,Edema" in of_units(place, "study")


def test_paths_of_another_machine_and_ending(place: Place) -> None:
    """As CheXpert's: a path below folders that are not here, of a JPEG."""
    rows = ["Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Fracture"]
    names = [
        f"CheXpert-v1.0/train/patient{p:05}/study{s}/ID_{p}{s - 1}{i}.jpg"
        for p in range(4)
        for s in (1, 2)
        for i in (0, 1)
    ]
    rows += [f"{name},Female,68,Frontal,AP,{n % 2}.0,{'' if n % 3 else '-1.0'}" for n, name in enumerate(names)]
    done = imported(place, rows)
    assert (done.recorded, done.left_out, done.matched.by) == (16, 0, "Path")
    assert "CheXpert-v1.0/train/" in report_rows(done.matched, None)
    assert sorted(set(labels_of(place).values())) == [
        "",
        "Fracture (uncertain)",
        "No Finding",
        "No Finding,Fracture (uncertain)",
    ]


def test_a_hospital_by_accession_number(place: Place) -> None:
    done = imported(
        place,
        [
            ";Accession Number;Patient;BI-RADS",
            f"1;{CANARY}0000;{CANARY}0000;2",
            f"2; {CANARY.lower()}0001;{CANARY}0000;4a",
            f"3;{CANARY}10;{CANARY}0001;1",
            "4;unknown;unknown;1",
        ],
        label=("BI-RADS",),
    )
    assert (done.matched.kind, done.recorded, of_units(place, "study")) == (Kind.ACCESSION, 2, ["2", "4a"])
    report = report_rows(done.matched, None, done.candidates)
    assert "Rows are about studies" in report
    assert "2 of 4 rows match no study" in report
    assert CANARY not in report


@pytest.mark.parametrize(
    ("head", "cell", "level", "kind"),
    [
        ("SOPInstanceUID", "1.4.1.1.1", Level.FRAME, Kind.SOP_INSTANCE_UID),
        ("dicom_id", "1.4.1.1.1", Level.FRAME, Kind.FILENAME),
        ("SeriesInstanceUID", "1.3.1.1.1", Level.SERIES, Kind.SERIES),
        ("series id", "1.3.1.1.1", Level.SERIES, Kind.SERIES),
        ("StudyInstanceUID", "1.2.1.1", Level.STUDY, Kind.STUDY),
        ("study_id", "1.2.1.1", Level.STUDY, Kind.STUDY),
        ("Study ID", "504100", Level.STUDY, Kind.STUDY_NUMBER),
        ("study_id", f"{CANARY}0000", Level.STUDY, Kind.ACCESSION),
        ("AccessionNumber", f"{CANARY}0000", Level.STUDY, Kind.ACCESSION),
        ("patient_id", f"{CANARY}0000", Level.PATIENT, Kind.PATIENT),
        ("PatientID", f" {CANARY.lower()}0000", Level.PATIENT, Kind.PATIENT),
        ("subject_id", f"{CANARY}0000", Level.PATIENT, Kind.PATIENT),
    ],
)
def test_what_rows_name_is_recognized(place: Place, head: str, cell: str, level: Level, kind: Kind) -> None:
    done = imported(place, [f"{head},Label", f"{cell},Ödem"])
    assert (done.matched.level, done.matched.kind, done.recorded) == (level, kind, 1)


def test_a_column_without_a_telling_heading_is_found_by_its_cells(place: Place) -> None:
    done = imported(place, ["Untersuchung,label", *(f"{CANARY}00{p}0,x" for p in range(4))])
    assert (done.matched.kind, done.recorded) == (Kind.ACCESSION, 4)
    assert "No heading tells" in report_rows(done.matched, None)


def test_by_decides_where_it_is_in_doubt(place: Place) -> None:
    rows = ["image_id,patient_id,label", f"x1,{CANARY}0000,a", f"x2,{CANARY}0000,a", f"x3,{CANARY}0001,b"]
    with pytest.raises(ConfigError, match="give --by patient_id"):
        imported(place, rows)
    for number, by in enumerate(("patient_id", "patient", "patient_id=patient")):
        done = imported(place, rows, by=by, annotator=str(number))
        assert (done.matched.level, done.recorded, done.left_out) == (Level.PATIENT, 2, 2)
    with pytest.raises(ConfigError, match="--by nothing: give a column"):
        imported(place, rows, by="nothing")


@pytest.mark.parametrize(
    ("head", "cell", "how"),
    [
        ("patient_id", f"{CANARY}0000x", ""),
        ("study_id", "0504100", "without its leading zeros"),
        ("study_id", "s504100", "without the letters"),
        ("filename", "id_0000", "leading zero"),
        ("filename", "other/ID_000.dcm", "in another folder"),
        ("filename", "ID-000", "punctuation"),
    ],
)
def test_what_comes_nearest_is_said(place: Place, head: str, cell: str, how: str) -> None:
    done = imported(place, [f"{head},label", f"{cell},x"])
    report = report_rows(done.matched, None, done.candidates)
    assert (done.matched.has_no_match, how in report) == (True, True)
    assert ("What comes nearest" in report) == bool(how)


def test_numbers_of_people_are_nowhere(place: Place, tmp_path: Path) -> None:
    lines = [f"{CANARY}00{p}0,x{p},{CANARY} was here" for p in range(4)]
    (place.base / "l.csv").write_text("\n".join(["accession,label,remark", *lines, f"{CANARY}9,y,z"]) + "\n")
    done = cli(place.base, "labels", "import", "l.csv", "--db", place.db)
    assert (done.returncode, CANARY in done.stdout + done.stderr) == (0, False)
    (place.base / "l.csv").unlink()
    for level in ("study", "frame"):
        assert cli(place.base, "labels", "export", f"{level}.csv", "--db", place.db, "--level", level).returncode == 0
    assert cli(place.base, "export", "csv", "export", "--db", place.db).returncode == 0
    for path in place.base.rglob("*"):
        if path.is_file() and not path.is_relative_to(place.source):
            assert CANARY.encode() not in path.read_bytes(), path


def test_labels_of_units_come_back_as_they_went(place: Place, tmp_path: Path) -> None:
    imported(place, ["patient_id,label", f"{CANARY}0000,a", f"{CANARY}0001,b"])
    out = tmp_path / "o.csv"
    done = export_labels(place.workspace, out, shown=Shown(), history=False, level=Level.PATIENT)
    assert (done.rows, read_table(out).names) == (2, ("patient_key", "label"))
    assert import_labels(place.workspace, out, annotator="imported").unchanged == 2
    assert export_labels(place.workspace, out, shown=Shown(), history=False).elsewhere == ((Level.PATIENT, 2),)
    with out.open() as file:
        assert list(csv.reader(file)) == [["key", "label"]]


def test_rows_of_r_with_names_of_their_own(place: Place) -> None:
    done = imported(place, ["filename,label", '"1","ID_000",x', '"2","ID_001",y'])
    assert (done.recorded, "row numbers" in done.matched.table.note) == (2, True)
