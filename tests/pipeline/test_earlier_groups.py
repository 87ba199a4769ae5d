"""Data sets of earlier releases, which told patients in other ways: nothing that is labeled changes its split."""

from pathlib import Path

import pytest

from dicomprep.config import GroupBy
from dicomprep.privacy.keys import keyed_hash, load_key
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.running import Place, set_labels

PATIENTS = 12


def formerly(key: bytes, patient_id: str | None, study: str) -> str:
    """The group's key in schema 1: the Patient ID in capitals without more, whoever issued it, made up or not."""
    patient = " ".join((patient_id or "").split()).upper()
    return keyed_hash(key, GroupBy.PATIENT if patient else GroupBy.STUDY, patient or study)


KINDS = {
    "an issuer": lambda number: ({"patient_id": f"P{number}", "IssuerOfPatientID": "H"}, {"patient_id": f"P{number}"}),
    "made up": lambda number: ({"patient_id": "ANONYMOUS"}, {"patient_id": None}),
    "shared studies": lambda number: ({"patient_id": f"P{number}"}, {"patient_id": f"Q{number}"}),
    "accents": lambda number: (
        {"patient_id": f"M\u00fcller{number}", "SpecificCharacterSet": "ISO_IR 192"},
        {"patient_id": f"Mu\u0308ller{number}", "SpecificCharacterSet": "ISO_IR 192"},
    ),
    "ISO 2022": lambda number: (
        {"patient_id": f"\u5c71\u7530{number}", "SpecificCharacterSet": ["", "ISO 2022 IR 87"]},
        {"patient_id": f"\u5c71\u7530{number}", "SpecificCharacterSet": "ISO_IR 192"},
    ),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def record_formerly(place: Place, kind: str) -> None:
    """A data set whose groups are those of schema 1, each on a side of its own."""
    known: dict[str, str] = {}
    for number in range(PATIENTS):
        for turn, values in enumerate(KINDS[kind](number)):
            study = f"1.2.{number + 1}" if kind in ("made up", "shared studies") else f"1.2.{number + 1}.{turn + 1}"
            path = make_dicom(
                place.source / f"{number}_{turn}.dcm", noise(2 * number + turn), **values, StudyInstanceUID=study
            )
            known[path.name] = f"{values['patient_id']}\0{study}"
    place.run(split="50/0/50")
    key = load_key(Path(f"{place.db}.key"))
    assert key is not None
    for table in ("aliases", "links"):
        place.execute(f"DELETE FROM {table}")
    ids: dict[str, int] = {}
    for name, identity in known.items():
        patient, _, study = identity.partition("\0")
        group = formerly(key, None if patient == "None" else patient, study)
        if group not in ids:
            ids[group] = 1000 + len(ids)
            side = ("train", "test")[len(ids) % 2]
            place.execute(
                "INSERT INTO groups (id, key, kind, split) VALUES (?, ?, 'patient', ?)", ids[group], f"~{group}", side
            )
        place.execute("UPDATE files SET group_id = ? WHERE path = ?", ids[group], name)
    place.execute("DELETE FROM groups WHERE id < 1000")
    place.execute("UPDATE groups SET key = substr(key, 2)")
    place.execute("UPDATE files SET fingerprint = '', study_key = NULL")
    place.execute("INSERT OR REPLACE INTO meta (key, value) SELECT 'last_former_group', max(id) FROM groups")


@pytest.mark.parametrize("share", [3, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_labeled_keeps_its_split(place: Place, kind: str, share: int) -> None:
    record_formerly(place, kind)
    before = dict(place.rows("SELECT filename, split FROM images"))
    names = sorted(before)[::share]
    set_labels(place, dict.fromkeys(names, "x"))
    done = place.run(split="50/0/50")
    now = dict(place.rows("SELECT filename, split FROM images"))
    assert {name: now[name] for name in names} == {name: before[name] for name in names}
    assert not any("moved to another split" in said for said in done.concerns)


def test_a_patient_who_is_corrected_goes_to_the_side_of_his_own(place: Place) -> None:
    """Another content is another patient: that is a correction of the data, not of how patients are told."""
    record_formerly(place, "shared studies")
    split = dict(place.rows("SELECT filename, split FROM images"))
    name = next(name for name in split if split[name] == "train")
    set_labels(place, {name: "x"})
    place.run(split="50/0/50")
    now = dict(place.rows("SELECT filename, split FROM images"))  # what is not labeled may have moved
    other = next(name for name in now if now[name] == "test")
    ids = {f"{n}_{turn}": f"{'PQ'[turn]}{n}" for n in range(PATIENTS) for turn in (0, 1)}
    number, _, turn = Path(name).name.partition("_")
    pixels = noise(2 * int(number) + int(turn))
    study = f"1.2.{int(Path(other).name.partition('_')[0]) + 1}"
    make_dicom(
        place.source / f"{Path(name).name}.dcm", pixels, patient_id=ids[Path(other).name], StudyInstanceUID=study
    )
    assert any("1 labeled image moved to another split" in said for said in place.run(split="50/0/50").concerns)
