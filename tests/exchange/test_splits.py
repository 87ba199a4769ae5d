"""Official splits imported from tables, splits exported, and patients in common found without showing them."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dicomprep.checks.audit.audit import audit
from dicomprep.database.queries.patients import recorded_groups
from dicomprep.errors import ConfigError
from dicomprep.exchange.commitments import commit, find_overlap, load_commitments, new_code
from dicomprep.exchange.patients import RowUnit
from dicomprep.exchange.splits import committable_groups, export_splits, import_splits
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.running import Place, cli, frames_of, set_labels

CANARY = "KANARI7743"
PATIENTS = 24
FAST = 2**4
"""Cost of a hash in tests, where nobody attacks it."""


def name_of(number: int) -> str:
    return f"{CANARY}{number:03}"


def make_patients(place: Place, numbers: Sequence[int]) -> None:
    """With a study and an image each; 1 and 2 share an image, so they are one patient."""
    for n in numbers:
        pixels = noise(0) if n in (1, 2) else frames_of(1, seed=n)[0]
        ids = {"StudyInstanceUID": f"1.2.7743.{n + 1}", "SeriesInstanceUID": f"1.2.7743.{n + 1}.1"}
        make_dicom(place.source / f"f{n}.dcm", pixels, patient_id=name_of(n), **ids)


@pytest.fixture
def place(any_place: Place) -> Place:
    make_patients(any_place, range(PATIENTS))
    any_place.run(split_seed="s")
    return any_place


def write(path: Path, *rows: Sequence[object]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def official(n: int) -> str:
    return ("Test", "training", "VALID")[min(n % 4, 2)]


SPELLED = {"Test": "test", "training": "train", "VALID": "val"}


def splits_of(place: Place) -> Mapping[int, str]:
    """By the number of the patient's file."""
    rows = place.rows("SELECT path, split FROM files JOIN groups ON groups.id = group_id")
    return {int(re.sub(r"\D", "", path)): split for path, split in rows}


@pytest.mark.parametrize(
    ("heading", "identity"),
    [
        ("PatientID", name_of),
        ("subject_id", lambda n: f" {name_of(n).lower()}"),
        ("Study Instance UID", lambda n: f"1.2.7743.{n + 1}"),
        ("series_uid", lambda n: f"1.2.7743.{n + 1}.1"),
        ("image_path", lambda n: f"f{n}.dcm"),
    ],
)
def test_an_official_split_by_any_identifier(place: Place, heading: str, identity: object) -> None:
    rows = [(identity(n), n, official(n)) for n in range(PATIENTS) if n != 2]  # type: ignore[operator]
    done = import_splits(place.workspace, write(place.base / "t.csv", (heading, "age", "Set"), *rows, ("", "", "")))
    assert (done.unmatched, done.conflicts, done.has_no_match) == ((), (), False)
    now = splits_of(place)
    assert {n: now[n] for n in range(PATIENTS) if n != 2} == {
        n: SPELLED[official(n)] for n in range(PATIENTS) if n != 2
    }
    assert now[2] == now[1]
    assert done.patients == {"test": 6, "train": 6, "val": 11}


def test_nobody_else_is_in_an_imported_test_unless_that_is_asked_for(place: Place) -> None:
    table = write(place.base / "t.csv", ("patient", "split"), *((name_of(n), "test") for n in range(3, 9)))
    others = sum(split == "test" for n, split in splits_of(place).items() if n not in range(3, 9))
    assert import_splits(place.workspace, table).assigned.left_test == others
    assert {n for n, split in splits_of(place).items() if split == "test"} == set(range(3, 9))
    make_patients(place, range(PATIENTS, PATIENTS + 16))
    result = place.run(split="10/10/80")
    assert {n for n, split in splits_of(place).items() if split == "test"} == set(range(3, 9))
    assert result.settled == ()
    shares = audit(place.workspace, near=False)[1]
    assert shares.rows[2][1] == 0
    assert "6 patients in the split that an imported table names: not counted here." in shares.notes
    import_splits(place.workspace, table, new_in_test=True)
    make_patients(place, range(40, 60))
    place.run(split="10/10/80")
    assert sum(n >= 40 and split == "test" for n, split in splits_of(place).items()) > 8


def test_one_patient_in_two_splits_is_reported_by_row_and_not_in_test(place: Place) -> None:
    table = write(place.base / "t.csv", ("patient_id", "split"), (name_of(1), "test"), (name_of(2), "dev"))
    done = import_splits(place.workspace, table, dry_run=True)
    before = splits_of(place)
    assert done.conflicts == ("Rows 2 (test), 3 (val) are of one patient: now val.",)
    import_splits(place.workspace, table)
    assert splits_of(place) != before or before[1] == "val"
    assert (splits_of(place)[1], splits_of(place)[2]) == ("val", "val")
    place.run()
    assert (splits_of(place)[1], splits_of(place)[2]) == ("val", "val")


def test_labeled_patients_move_and_that_is_said(place: Place) -> None:
    set_labels(place, dict.fromkeys(place.rows("SELECT filename FROM images"), "a"))
    before = splits_of(place)
    table = write(place.base / "t.csv", ("patient_id", "split"), *((name_of(n), "validation") for n in range(PATIENTS)))
    done = import_splits(place.workspace, table)
    assert set(splits_of(place).values()) == {"val"}
    assert done.assigned.labeled_groups >= sum(split != "val" for split in before.values()) - 1
    assert done.assigned.labeled_images == done.assigned.labeled_groups


@pytest.mark.parametrize(
    ("rows", "by", "message"),
    [
        ([("patient_id", "split"), ("A", "train"), ("A", "test")], None, "rows 2 and 3 name the same patient"),
        ([("patient_id", "split"), ("A", "never")], None, "row 2, split: this is not a split"),
        ([("patient_id", "x"), ("A", "B")], None, "no column has splits"),
        ([("age", "split", "sex"), ("7", "train", "F")], None, "no column identifies patients"),
        ([("age", "split", "sex"), ("7", "train", "F")], RowUnit.STUDY, "no column names a study"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, rows: list[tuple[str, ...]], by: RowUnit | None, message: str) -> None:
    place = Place(tmp_path)
    make_patients(place, [0])
    place.run()
    with pytest.raises(ConfigError, match=message):
        import_splits(place.workspace, write(tmp_path / "t.csv", *rows), by=by)


def test_an_export_of_splits_goes_into_another_copy(place: Place) -> None:
    table = place.base / "splits.csv"
    before = splits_of(place)
    assert export_splits(place.workspace, table) == PATIENTS
    place.execute("UPDATE groups SET split = 'train', drawn_split = NULL")
    done = import_splits(place.workspace, table)
    assert done.matched.unit is RowUnit.KEY
    assert splits_of(place) == before
    assert export_splits(place.workspace, table, splits=["test"]) == sum(s == "test" for s in before.values())


def test_patients_in_common_are_found_and_nothing_without_the_code(tmp_path: Path) -> None:
    """All that are in both are found, however they are written; of guesses nothing, with another code."""
    place = Place(tmp_path)
    make_patients(place, range(PATIENTS))
    make_dicom(place.source / "issued.dcm", frames_of(1, seed=90)[0], patient_id="0017", IssuerOfPatientID="North")
    make_dicom(place.source / "nobody.dcm", frames_of(1, seed=91)[0], patient_id="ANON", StudyInstanceUID="1.2.3")
    place.run(split_seed="s")
    key, seed, groups, left_out = committable_groups(place.workspace, ())
    assert (len(groups), left_out) == (PATIENTS + 1, 1)
    code, file = new_code(), tmp_path / "c.json"
    commit(groups, key=key, seed=seed, code=code, cost=FAST).write(file)
    mine = [name_of(n).lower() if n % 2 else f" {name_of(n)}" for n in range(10, 40)]
    table = write(tmp_path / "mine.csv", ("n", "Patient ID"), *enumerate([*mine, "0017", "17", "ANON", ""]))
    found = find_overlap(load_commitments(file), table, code.lower().replace("-", " "))
    assert found.lines == (*range(2, 2 + PATIENTS - 10), 32)
    assert (found.patients, found.unusable, found.committed) == (32, 2, PATIENTS + 1)
    assert find_overlap(load_commitments(file), table, new_code()).lines == ()
    with pytest.raises(ConfigError, match="This is not a code"):
        find_overlap(load_commitments(file), table, "ABCD")
    content = file.read_text()
    hidden = {str(g.draw) for g in recorded_groups_of(place)} | {g.key for g in recorded_groups_of(place)}
    assert CANARY not in content
    assert not [text for text in hidden if text in content]


def recorded_groups_of(place: Place) -> list[object]:
    with place.workspace.reading() as connection:
        return list(recorded_groups(connection, ()))


@pytest.mark.parametrize(
    "change", [{"format": "x"}, {"scrypt": {"n": 2**40, "r": 8, "p": 1}}, {"patients": ["zz"]}, None]
)
def test_files_of_others_are_checked(tmp_path: Path, change: dict[str, object] | None) -> None:
    commit([], key=b"k", seed="s", code=new_code()).write(tmp_path / "c.json")
    content = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text("[]" if change is None else json.dumps(content | change))
    with pytest.raises(ConfigError, match="is not a file of commitments"):
        load_commitments(tmp_path / "c.json")


def test_the_commands_say_rows_and_no_identifiers(tmp_path: Path) -> None:
    """The whole way, with the slow hash; what was in the tables is nowhere."""
    place = Place(tmp_path)
    make_patients(place, range(6))
    place.run(split_seed="s")
    table = write(tmp_path / "t.csv", ("patient_id", "split"), *((name_of(n), official(n)) for n in range(3, 9)))
    said = [cli(tmp_path, "splits", "import", table, "--db", place.db)]
    assert "3 rows matched no patient of this data set: 5, 6, 7." in said[0].stdout
    said.append(cli(tmp_path, "splits", "export", tmp_path / "s.csv", "--db", place.db))
    options = ("--commit", "--code-file", tmp_path / "code", "--db", place.db)
    said.append(cli(tmp_path, "splits", "export", tmp_path / "c.json", *options))
    found = cli(tmp_path, "splits", "overlap", tmp_path / "c.json", table, "--code-file", tmp_path / "code")
    assert found.stdout.splitlines()[-1] == "Rows: 2, 3, 4"
    assert [done.returncode for done in (*said, found)] == [0, 0, 0, 1]
    texts = [done.stdout + done.stderr for done in (*said, found)]
    texts += [(tmp_path / name).read_text() for name in ("s.csv", "c.json")]
    assert not [text for text in texts if CANARY in text]
    assert CANARY.encode() not in place.db.read_bytes()
    absent = write(tmp_path / "t.csv", ("patient_id", "split"), ("nobody here", "train"))
    assert cli(tmp_path, "splits", "import", absent, "--db", place.db).returncode == 1
