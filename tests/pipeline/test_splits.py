"""Which split a patient belongs to: fair, the same for ever, and never test where a patient is not known."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.config import Splits
from dicomprep.privacy.draws import hide_draw, keyed_draw, reveal_draw, seeded_draw
from dicomprep.privacy.patient_ids import is_placeholder
from dicomprep.splits import SplitRule, identify_group

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
PATIENTS = [f"P{number}" for number in range(10_000)]


def identify(
    patient: str | None, *, study: str | None = "1.2.3", folder: str = "f", by: str = "patient", key: bytes = KEY
) -> tuple[str, str]:
    splits = Splits(group_by=by)  # type: ignore[arg-type]
    return identify_group(key, splits, patient_id=patient, study_instance_uid=study, folder=folder)


def assign(splits: Splits, kind: str, group_key: str, *, key: bytes = KEY) -> str:
    """By the rule of data sets without a seed."""
    return SplitRule(key, splits).split(kind, keyed_draw(key, group_key))


def splits_of(patients: list[str], splits: Splits, *, key: bytes = KEY) -> dict[str, str]:
    return {p: assign(splits, "patient", identify(p, key=key)[1], key=key) for p in patients}


@pytest.mark.parametrize("shares", ["80/10/10", "70/15/15", "50/0/50", "33.3/33.3/33.4", "100/0/0", "0/0/100"])
def test_shares_are_kept(shares: str) -> None:
    splits = Splits(split=shares)
    counts = Counter(splits_of(PATIENTS, splits).values())
    for name, share in zip(("train", "val", "test"), splits.shares, strict=True):
        deviation = (len(PATIENTS) * share * (1 - share)) ** 0.5
        assert abs(counts[name] - len(PATIENTS) * share) <= 4 * deviation


@pytest.mark.parametrize("kind", ["study", "folder"])
def test_unidentified_groups_never_enter_test(kind: str) -> None:
    splits = Splits(split="60/20/20")
    keys = [identify(None, study=name if kind == "study" else None, folder=name)[1] for name in PATIENTS]
    counts = Counter(assign(splits, kind, key) for key in keys)
    assert set(counts) == {"train", "val"}
    assert abs(counts["val"] - 2_500) <= 4 * (10_000 * 0.25 * 0.75) ** 0.5  # 20 of 80


@pytest.mark.parametrize("by", ["study", "folder"])
def test_groups_that_were_asked_for_do_enter_test(by: str) -> None:
    splits = Splits(split="50/0/50", group_by=by)  # type: ignore[arg-type]
    keys = [identify("P", study=name, folder=name, by=by) for name in PATIENTS[:200]]
    assert {kind for kind, _ in keys} == {by}
    assert {assign(splits, kind, key) for kind, key in keys} == {"train", "test"}


def test_the_order_of_arrival_does_not_matter() -> None:
    shuffled = PATIENTS[:2000]
    random.Random(1).shuffle(shuffled)
    assert splits_of(shuffled, Splits()) == splits_of(PATIENTS[:2000], Splits())


def test_splits_do_not_change_with_the_release() -> None:
    """These were assigned by the first release: data sets in the world depend on them."""
    assigned = " ".join(splits_of(PATIENTS[:12], Splits(split="50/25/25")).values())
    assert assigned == "train train train train train val train train train val test train"


def test_seeded_splits_do_not_change_with_the_release() -> None:
    rule = SplitRule(KEY, Splits(split="50/25/25", split_seed="2026"))
    draws = [seeded_draw("2026", "patient", patient) for patient in PATIENTS[:12]]
    assigned = " ".join(rule.split("patient", draw) for draw in draws)
    assert assigned == "train train train val train test val val train train train train"


@given(st.integers(0, 2**64 - 1), st.text(min_size=1))
def test_a_draw_is_recorded_under_the_key(draw: int, group_key: str) -> None:
    hidden = hide_draw(KEY, group_key, draw)
    assert -(2**63) <= hidden < 2**63
    assert reveal_draw(KEY, group_key, hidden) == draw
    assert reveal_draw(OTHER_KEY, group_key, hidden) != draw


def test_another_key_changes_all() -> None:
    mine, theirs = ([identify(p, key=key)[1] for p in PATIENTS] for key in (KEY, OTHER_KEY))
    assert not set(mine) & set(theirs)
    assert len(set(mine)) == len(PATIENTS)
    first, second = (splits_of(PATIENTS, Splits(split="50/0/50"), key=key) for key in (KEY, OTHER_KEY))
    changed = sum(first[patient] != second[patient] for patient in PATIENTS)
    assert abs(changed - 5_000) <= 4 * (10_000 * 0.25) ** 0.5


def test_a_larger_share_takes_from_its_neighbor_alone() -> None:
    small, large = splits_of(PATIENTS, Splits(split="60/20/20")), splits_of(PATIENTS, Splits(split="80/10/10"))
    assert {large[patient] for patient, split in small.items() if split == "train"} == {"train"}
    assert {small[patient] for patient, split in large.items() if split == "test"} == {"test"}


@pytest.mark.parametrize("variant", ["abc 7", "ABC 7", "  abc 7 ", "Abc  7", "abc\t7"])
def test_case_and_white_space_make_no_other_patient(variant: str) -> None:
    assert identify(variant) == identify("ABC 7")


@given(st.text(min_size=1), st.text(min_size=1))
def test_other_patients_have_other_keys(one: str, other: str) -> None:
    folded = [" ".join(text.replace("\0", " ").split()).upper() for text in (one, other)]
    nobody = [is_placeholder(text) for text in (one, other)]
    same = folded[0] == folded[1] or all(nobody)
    assert (identify(one) == identify(other)) == same


@pytest.mark.parametrize(
    ("patient", "study", "by", "kind"),
    [
        ("P1", "1.2.3", "patient", "patient"),
        ("", "1.2.3", "patient", "study"),
        (None, "1.2.3", "patient", "study"),
        ("   ", None, "patient", "folder"),
        ("\0\0", "1.2.3 ", "patient", "study"),
        ("ANONYMOUS", "1.2.3", "patient", "study"),
        ("Unknown", None, "patient", "folder"),
        ("000", "1.2.3", "patient", "study"),
        ("N/A", "1.2.3", "patient", "study"),
        ("n.a.", "1.2.3", "patient", "study"),
        ("TEST", "1.2.3", "patient", "study"),
        ("XXXX", "1.2.3", "patient", "study"),
        ("-", "1.2.3", "patient", "study"),
        ("ANON0017", "1.2.3", "patient", "patient"),
        ("10", "1.2.3", "patient", "patient"),
        ("患者", "1.2.3", "patient", "patient"),
        ("P1", "1.2.3", "study", "study"),
        ("P1", None, "study", "folder"),
        ("P1", "1.2.3", "folder", "folder"),
    ],
)
def test_what_identifies_a_group(patient: str | None, study: str | None, by: str, kind: str) -> None:
    assert identify(patient, study=study, by=by)[0] == kind


def test_a_patient_is_no_folder_of_that_name() -> None:
    keys = {
        identify("SAME")[1],
        identify(None, study="SAME")[1],
        identify(None, study=None, folder="SAME")[1],
    }
    assert len(keys) == 3
    assert all(len(key) == 32 and "SAME" not in key for key in keys)


def test_a_folder_that_is_no_text_has_a_key_too() -> None:
    assert identify(None, study=None, folder="caf\udce9") != identify(None, study=None, folder="café")


def test_the_issuer_makes_another_patient() -> None:
    def issued(issuer: str | None, patient: str = "7") -> str:
        kwargs = {"study_instance_uid": None, "folder": "f"}
        return identify_group(KEY, Splits(), patient_id=patient, issuer=issuer, **kwargs)[1]

    assert len({issued("North"), issued("South"), issued(None)}) == 3
    assert issued(" north\0") == issued("NORTH")
    assert issued(" ") == issued(None)
    assert issued(None, "7 NORTH") != issued("NORTH") != issued(None, "7^NORTH")


def test_unidentified_groups_enter_test_when_asked() -> None:
    splits = Splits(split="0/50/50", test_unidentified=True)
    keys = [identify(None, study=name)[1] for name in PATIENTS[:200]]
    assert {assign(splits, "study", key) for key in keys} == {"val", "test"}
