"""`dicomprep audit --privacy`: whom age, sex, year and device tell from all others."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.building import make_dicom
from tests.checks.test_audit import report
from tests.running import Place, cli, frames_of

COMMON = {"PatientAge": "045Y", "PatientSex": "F", "StudyDate": "20190412", "Manufacturer": "SIEMENS"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Six patients alike, the last of whom has two images; one of another year and age; one of whom nothing is said."""
    place = Place(tmp_path_factory.mktemp("groups"))
    pixels = iter(frames_of(9, seed=3))
    for name in "aabcdef":
        number = len(list(place.source.glob("*.dcm")))
        make_dicom(place.source / f"{number}.dcm", next(pixels), patient_id=name, **COMMON)
    lonely = COMMON | {"PatientAge": "093Y", "StudyDate": "19980412", "ManufacturerModelName": "Avanto"}
    make_dicom(place.source / "lonely.dcm", next(pixels), patient_id="lonely", **lonely)
    make_dicom(place.source / "silent.dcm", next(pixels), patient_id="silent")
    place.run()
    return place


def audit(place: Place, *, k: int = 5, strict: bool = False) -> tuple[int, dict[str, Any]]:
    """The exit code, and the section."""
    code, found = report(place, near=False, privacy=True, k=k, strict=strict)
    return code, found["sections"]["small_groups"]


def small(place: Place, *, k: int = 5) -> set[tuple[str, str, int]]:
    return {(row["by"], row["value"], row["patients"]) for row in audit(place, k=k)[1]["rows"]}


ALL = "sex, study year, device"


def test_who_is_alone_is_listed_with_what_tells_them_apart(place: Place) -> None:
    assert small(place) == {
        ("study year", "1998", 1),
        ("age", "89 or more", 1),
        ("age group", "80 or more", 1),
        ("device", "SIEMENS Avanto", 1),
        (f"age, {ALL}", "89 or more · F · 1998 · SIEMENS Avanto", 1),
        (f"age group, {ALL}", "80 or more · F · 1998 · SIEMENS Avanto", 1),
    }
    notes = audit(place)[1]["notes"]
    assert "By study year: 1 of 8 patients, in 1 small group." in notes
    assert "--where" in notes[-1]


def test_patients_are_counted_not_images(place: Place) -> None:
    """Six patients have seven images alike."""
    more = small(place, k=7) - small(place)
    assert (f"age, {ALL}", "45 · F · 2019 · SIEMENS", 6) in more
    assert ("sex", "F", 7) not in more
    assert small(place, k=6) == small(place)


def test_patients_who_are_one_count_once(place: Place, tmp_path: Path) -> None:
    copy = Place(tmp_path)
    copy.db.write_bytes(place.db.read_bytes())
    copy.output.mkdir()
    one = "SELECT group_id FROM files WHERE path IN ('2.dcm', '3.dcm')"
    copy.execute(f"UPDATE groups SET joined_id = (SELECT min(group_id) FROM ({one})) WHERE id IN ({one})")
    assert ("age", "45", 5) in small(copy, k=6)


def test_the_audit_ends_with_1_for_it_only_when_asked(place: Place) -> None:
    assert audit(place)[0] == 0
    assert audit(place, strict=True)[0] == 1
    assert "small_groups" not in report(place, near=False)[1]["sections"]
    text = cli(place.base, "audit", "--db", place.db, "--no-near", "--privacy", "--strict")
    assert (text.returncode, "Groups of fewer than 5 patients" in text.stdout, "1998" in text.stdout) == (1, True, True)


@pytest.mark.parametrize("options", [["--k", "3"], ["--strict"], ["--privacy", "--k", "1"]])
def test_what_it_cannot_be_asked(place: Place, options: list[str]) -> None:
    done = cli(place.base, "audit", "--db", place.db, *options)
    assert (done.returncode, "--k" in done.stderr) == (2, True)


def test_no_small_group_is_said_so(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number, pixels in enumerate(frames_of(2)):
        make_dicom(place.source / f"{number}.dcm", pixels, patient_id=str(number), **COMMON)
    place.run()
    code, section = audit(place, strict=True, k=2)
    assert (code, section["rows"]) == (0, [])
    assert section["notes"] == ["Each group by age, sex, year and device has at least 2 patients."]


def test_a_long_list_is_cut_in_the_table_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number, pixels in enumerate(frames_of(12)):
        day = {"StudyDate": f"{2000 + number}0101"}
        make_dicom(place.source / f"{number}.dcm", pixels, patient_id=str(number), **day)
    place.run()
    assert len([row for row in small(place) if row[0] == "study year"]) == 12
    text = cli(place.base, "audit", "--db", place.db, "--no-near", "--privacy").stdout
    assert len(re.findall(r"^  study year +2", text, re.MULTILINE)) == 8
    assert "more not shown; --json lists all." in text
