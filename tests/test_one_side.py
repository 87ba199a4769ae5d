"""One patient, one side: what else a patient is known by, whatever comes first."""

from pathlib import Path

import pytest

from dicomprep.auditing.audit import audit
from dicomprep.config import Splits
from dicomprep.database.split_store import ensure_groups
from dicomprep.database.store import Store
from dicomprep.dicom.patient import decode_identity
from dicomprep.models import Instance
from dicomprep.splits import identify_group
from tests.building import make_dicom
from tests.running import Place
from tests.test_twins import noise

SPLIT = "40/20/40"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("odd", [{"patient_id": None}, {"patient_id": "EXT"}, {"IssuerOfPatientID": "A"}])
@pytest.mark.parametrize("first", [0, 1])
def test_a_study_is_never_torn_whatever_comes_first(place: Place, odd: dict[str, str], first: int) -> None:
    for turn in (first, 1 - first):
        for number in range(12):
            more = {k: f"{v}{number}" if v == "EXT" else v for k, v in odd.items()} if turn else {}
            values = {"patient_id": f"P{number}", "StudyInstanceUID": f"1.2.{number + 1}"} | more
            make_dicom(place.source / f"{number}_{turn}.dcm", noise(2 * number + turn), **values)
        place.run(split=SPLIT)
    torn = "SELECT study_key FROM files JOIN groups ON groups.id = group_id GROUP BY 1 HAVING count(DISTINCT split) > 1"
    assert place.rows(torn) == []
    assert sum(section.leaks for section in audit(str(place.db), near=False)) == 0


def test_a_made_up_study_joins_nobody(place: Place) -> None:
    for number in range(6):
        make_dicom(place.source / f"{number}.dcm", noise(number), patient_id=f"P{number}", StudyInstanceUID="1.2.3")
    place.run(split=SPLIT)
    assert place.rows("SELECT count(*) FROM groups WHERE joined_id IS NOT NULL OR drawn_split IS NOT NULL") == [0]


def test_groups_are_numbered_as_they_came(place: Place) -> None:
    store = Store(str(place.db))
    met = [Instance(group_kind="patient", group_key=f"key {number}") for number in range(40)]
    with store.transaction() as connection:
        ensure_groups(connection, met, lambda _kind, _key: "train", 1)
    store.close()
    assert place.rows("SELECT key FROM groups ORDER BY id") == [instance.group_key for instance in met]


@pytest.mark.parametrize(
    ("content", "character_set"),
    [
        ("é7".encode("latin-1"), b"ISO_IR 100"),
        ("é7".encode(), b"ISO_IR 192"),
        ("é7".encode(), b""),
        ("é7".encode("gb18030"), b"GB18030"),
    ],
)
def test_one_id_in_any_character_set(content: bytes, character_set: bytes) -> None:
    assert decode_identity(content, character_set) == "é7"


def test_a_backslash_and_undecodable_bytes_keep_patients_apart() -> None:
    contents = [b"H\\0007", b"H\\0008", b"H\xff1", b"H\xfe1"]
    assert len({decode_identity(content, b"ISO_IR 192") for content in contents}) == 4
    assert decode_identity(b"\x83\x5c7", b"ISO_IR 13").endswith("7")


@pytest.mark.parametrize("variant", ["ＡＢ７", "\ufeffAB7", "A\u200bB\u00ad7", "ab7\\"])
def test_what_nobody_sees_makes_no_other_patient(variant: str) -> None:
    def key(text: str) -> str:
        return identify_group(b"k" * 32, Splits(), patient_id=text, study_instance_uid=None, folder="f")[1]

    assert key(variant) == key("AB7")
    assert key("AB\\7") != key("AB7")
