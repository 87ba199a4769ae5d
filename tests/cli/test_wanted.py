"""Which studies of a PACS are wanted: options and lists, and what is wrong with some."""

from pathlib import Path
from typing import Any

import pytest

from dicomprep.cli.wanted import Wanted
from dicomprep.errors import ConfigError


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({}, "Fetch what"),
        ({"modality": ("CT",)}, "Fetch what"),
        ({"patient": ("*",)}, "without"),
        ({"patient": ("x" * 65,)}, "64 characters"),
        ({"study": ("1.2\\3.4",)}, "not a UID"),
        ({"date": "2024-01-01"}, "YYYYMMDD"),
        ({"date": "20240131-20240101"}, "YYYYMMDD"),
        ({"date": "-"}, "YYYYMMDD"),
        ({"date": "20240101", "modality": ("CT\\MR",)}, "--modality"),
        ({"list_": Path("missing.csv")}, "missing.csv"),
    ],
)
def test_what_cannot_be_wanted_is_one_sentence(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Wanted(**wanted).queries()


@pytest.mark.parametrize(
    ("content", "queries"),
    [
        ("Study Instance UID,comment\n1.2.3,x\n1.2.3,again\n,\n1.2.4,\n", ["1.2.3", "1.2.4"]),
        ("StudyInstanceUID\n1.2.3", ["1.2.3"]),
        ("\ufeffname;study_instance_uid\nMüller;1.2.3\n", ["1.2.3"]),
        ("accession_number\tstudy_instance_uid\nA\t1.2.3\n", ["1.2.3"]),
    ],
)
def test_a_list_is_read_as_spreadsheets_write_it(tmp_path: Path, content: str, queries: list[str]) -> None:
    (tmp_path / "l.csv").write_text(content)
    asked = Wanted(list_=tmp_path / "l.csv", modality=("CT",)).queries()
    assert asked == [{"StudyInstanceUID": uid, "ModalitiesInStudy": "CT"} for uid in queries]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "l.csv"),
        (b"name\nx\n", "none of the columns study_instance_uid"),
        (b"patient_id\n", "0 rows"),
        (b"patient_id\n\n ,\n", "l.csv"),
        (b"study_instance_uid\n1.2\nnonsense\n", "row 3, study_instance_uid: not a UID"),
        (b"patient_id\n1\nDOE*\n", r"row 3, patient_id: .*without \* and \?"),
        (b"accession_number\n1.23E+11\n", "rounded by a spreadsheet"),
        (b"accession_number,Accession Number\n1,2\n", "same name"),
        (b"patient_id,x\n1,2\n1,2,3\n", "row 3"),
        (b"PK\x03\x04\0\0\0", "l.csv"),
    ],
)
def test_a_list_that_is_wrong_is_one_sentence_that_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        Wanted(list_=tmp_path / "l.csv").queries()
