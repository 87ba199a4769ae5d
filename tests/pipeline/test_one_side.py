"""One patient, one side: what else a patient is known by, whatever comes first."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomprep.checks.audit.audit import audit
from dicomprep.config import Splits
from dicomprep.database.kinship import MAX_STUDY_GROUPS
from dicomprep.database.writes.groups import ensure_groups
from dicomprep.database.writes.store import Store
from dicomprep.dicom.patient import decode_identity
from dicomprep.models import Instance, Outcome, Status, Task, Written
from dicomprep.privacy.keys import keyed_hash
from dicomprep.splits import SplitRule, draw_of, group_identity, key_without_issuer
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.running import Place, frames_of

SPLIT = "40/20/40"


@pytest.fixture
def place(any_place: Place) -> Place:
    return any_place


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
    assert sum(section.leaks for section in audit(place.workspace, near=False)) == 0


def test_a_made_up_study_joins_nobody(place: Place) -> None:
    for number in range(6):
        make_dicom(place.source / f"{number}.dcm", noise(number), patient_id=f"P{number}", StudyInstanceUID="1.2.3")
    place.run(split=SPLIT)
    assert place.rows("SELECT count(*) FROM groups WHERE joined_id IS NOT NULL OR drawn_split IS NOT NULL") == [0]


@pytest.mark.parametrize(
    ("patients", "leaks", "note"),
    [
        (4, 2, "Studies in more than one split: 1;"),
        (5, 1, "Studies in more than one split, each of 5 to 20 patients (too many to join): 1."),
        (20, 1, "Studies in more than one split, each of 5 to 20 patients (too many to join): 1."),
        (21, 0, "Study Instance UIDs shared by more than 20 patients each, across splits: 1."),
    ],
)
def test_a_torn_study_is_a_leak_unless_its_uid_is_made_up(place: Place, patients: int, leaks: int, note: str) -> None:
    store = Store(place.address)
    deliver(store, [File(number, 0, None, has_id=True) for number in range(patients)])
    store.close()
    place.execute("UPDATE groups SET split = CASE id % 2 WHEN 0 THEN 'test' ELSE 'train' END")
    found = audit(place.workspace, near=False)[0]
    assert found.leaks == leaks
    assert any(text.startswith(note) for text in found.notes), found.notes


class File(NamedTuple):
    """What the header of a file says of who it is of."""

    patient: int
    study: int
    issuer: str | None
    has_id: bool


KEY = b"k" * 32
ASKED = Splits(split="40/20/40")
FILES = st.builds(
    File, st.integers(0, 4), st.integers(0, 3), st.sampled_from([None, "A", "B"]), st.sampled_from([True, True, False])
)
RUNS = st.lists(st.tuples(st.lists(FILES, min_size=1, max_size=6), st.integers(0, 30)), min_size=1, max_size=4)


def outcome(number: int, file: File) -> Outcome:
    """What a worker says of the file."""
    patient = f"P{file.patient}" if file.has_id else None
    study, name = f"1.2.{file.study + 1}", f"s/{number}"
    issued = {"patient_id": patient, "issuer": file.issuer}
    identity = group_identity(ASKED, **issued, study_instance_uid=study, folder="s")
    key = keyed_hash(KEY, identity.kind, identity.text)
    instance = Instance(
        study_instance_uid=study,
        group_kind=identity.kind,
        group_key=key,
        draw=draw_of(KEY, ASKED, identity, key),
        issuerless_key=key_without_issuer(KEY, ASKED, **issued),
        study_key=keyed_hash(KEY, "study", study),
    )
    digest = b"%016d" % number
    written = Written(0, name, f"{name}.png", 16, 16, 9, digest, source_digest=digest, perceptual_hash=None)
    task = Task(LocalSource("/in", f"{name}.dcm", Version(1, 1)), "s", name)
    return Outcome(task, Status.DONE, written=(written,), frame_count=1, instance=instance, digest=digest)


def deliver(store: Store, files: Sequence[File], *, first: int = 0) -> None:
    """Record a run of files."""
    run_id = store.begin_run(version="x", root="/in", options={"splits": {"split": ASKED.split, "group_by": "patient"}})
    store.record(
        [outcome(first + number, file) for number, file in enumerate(files)],
        run_id=run_id,
        fingerprint="f",
        rule=SplitRule(KEY, ASKED),
    )


_STUDIES = (
    "SELECT study_key, count(DISTINCT group_id), count(DISTINCT split) FROM files "
    "JOIN groups ON groups.id = group_id GROUP BY study_key"
)
_LABEL = (
    "INSERT INTO labels (frame_id, label, annotator, created_at) "
    "SELECT id, 'Läsion', 'Łukasz', 'now' FROM frames ORDER BY id LIMIT 1 OFFSET ?"
)
_LABELED = (
    "SELECT frames.id, split FROM frames JOIN files ON files.id = file_id JOIN groups ON groups.id = group_id "
    "WHERE frames.id IN (SELECT frame_id FROM labels) ORDER BY frames.id"
)


@settings(max_examples=25)
@given(RUNS)
def test_whatever_is_delivered_no_study_is_torn_and_nothing_labeled_moves(
    place_of_examples: Callable[[], Place], runs: list[tuple[list[File], int]]
) -> None:
    """Patients, studies, issuers that are stated or not, IDs that are missing, in any order; some are labeled."""
    place = place_of_examples()
    store = Store(place.address)
    count, before = 0, dict[int, str]()
    for files, labeled in runs:
        deliver(store, files, first=count)
        count += len(files)
        sides = dict(place.rows(_LABELED))
        assert {frame_id: sides[frame_id] for frame_id in before} == before
        studies = place.rows(_STUDIES)
        torn = [study for study, _, splits in studies if splits > 1]
        assert not torn or audit(place.workspace, near=False)[0].leaks
        assert before or not [study for study, groups, splits in studies if splits > 1 and groups <= MAX_STUDY_GROUPS]
        if labeled < count:
            place.execute(_LABEL, labeled)
        before = dict(place.rows(_LABELED))
    store.close()


def test_a_run_says_how_many_patients_of_earlier_runs_it_moved(place: Place) -> None:
    """A second delivery has an issuer: the same patients by another key, whose sides were drawn anew."""
    for number in range(12):
        make_dicom(place.source / f"First/P {number}.dcm", frames_of(1, seed=number)[0], patient_id=f"Ä{number}")
    place.run(split="50/25/25", split_seed="5")
    before = dict(place.rows("SELECT filename, split FROM images"))
    for number in range(12):
        issued = {"patient_id": f"Ä{number}", "IssuerOfPatientID": "HOSP"}
        make_dicom(place.source / f"Second/P {number}.dcm", frames_of(1, seed=90 + number)[0], **issued)
    result = place.run(split="50/25/25")
    now = dict(place.rows("SELECT filename, split FROM images"))
    moved = sum(now[name] != split for name, split in before.items())
    assert result.moved_groups == moved
    assert moved > 0
    assert place.run(split="50/25/25").moved_groups == 0


def test_groups_are_numbered_as_they_came(place: Place) -> None:
    store = Store(place.address)
    met = [Instance(group_kind="patient", group_key=f"key {number}") for number in range(40)]
    with store.transaction() as connection:
        ensure_groups(connection, met, SplitRule(KEY, ASKED), 1)
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
        return group_identity(Splits(), patient_id=text, study_instance_uid=None, folder="f").text

    assert key(variant) == key("AB7")
    assert key("AB\\7") != key("AB7")
