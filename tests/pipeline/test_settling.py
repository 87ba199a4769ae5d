"""A delivery is settled as a whole: no split that was asked for is empty, strata are balanced, folds are recorded."""

import random
from collections import Counter
from pathlib import Path

import pytest

from dicomprep.checks.audit.audit import audit
from dicomprep.config import Splits
from dicomprep.database.writes.dealing import Patient, deal_folds, deal_splits, fill_splits
from dicomprep.database.writes.settling import settle
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.privacy.draws import seeded_draw
from dicomprep.splits import SplitRule, drawn_shares
from dicomprep.training.dataset import Dataset
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.pipeline.test_one_side import File, outcome
from tests.running import Place, cli, frames_of, set_labels

KEY = b"k" * 32
DEFAULT = drawn_shares(Splits(), closed=False)
SPLITS = {"train", "val", "test"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def drawn(count: int, *, seed: object, stratum: str = "", rule: Splits | None = None) -> list[Patient]:
    """Patients as they are drawn when they arrive."""
    draws = [seeded_draw(str(seed), "patient", f"{stratum} {number}") for number in range(count)]
    split = SplitRule(KEY, rule or Splits()).split
    return [Patient((n,), split("patient", draw), draw, stratum=stratum) for n, draw in enumerate(draws)]


def after(patients: list[Patient], moved: dict[Patient, str]) -> dict[int, str]:
    return {patient.draw: moved.get(patient, patient.split) for patient in patients}


def test_no_split_of_twenty_patients_is_empty() -> None:
    """A thousand sets; one in four would lack val or test. At most one patient a split moves, in any order."""
    lacking = 0
    for seed in range(1000):
        patients = drawn(20, seed=seed)
        moved = fill_splits(patients, DEFAULT)
        now = after(patients, moved)
        assert set(now.values()) == SPLITS
        assert len(moved) == 3 - len({patient.split for patient in patients})
        assert after(patients, fill_splits(random.Random(seed).sample(patients, 20), DEFAULT)) == now
        lacking += bool(moved)
    assert lacking > 200


@pytest.mark.parametrize(("count", "filled"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_as_many_splits_as_there_are_patients(count: int, filled: int) -> None:
    for seed in range(50):
        patients = drawn(count, seed=seed)
        assert len(set(after(patients, fill_splits(patients, DEFAULT)).values())) == filled


def test_nobody_fills_test_who_may_not_be_in_it() -> None:
    patients = [Patient((n,), "train", n << 60, may_test=n < 1, is_free=n > 0, has_images=n != 3) for n in range(4)]
    assert {patient.ids: split for patient, split in fill_splits(patients, DEFAULT).items()} == {(2,): "val"}


def test_strata_are_balanced_in_any_order_also_with_those_before() -> None:
    for seed in range(20):
        first = [p for name in "abc" for p in drawn(30, seed=seed, stratum=name)]
        one = deal_splits(first, (), DEFAULT)
        assert one == deal_splits(random.Random(seed).sample(first, 90), (), DEFAULT)
        known = [Patient(p.ids, split, p.draw, stratum=p.stratum) for p, split in one.items()]
        second = [p for name in "abc" for p in drawn(20, seed=f"more {seed}", stratum=name)]
        both = Counter((p.stratum, p.split) for p in known)
        both.update((p.stratum, split) for p, split in deal_splits(second, known, DEFAULT).items())
        for name in "abc":
            for split, share in DEFAULT.items():
                assert abs(both[name, split] - 50 * share) < 2.01


def test_many_small_strata_are_not_all_in_train() -> None:
    patients = [p for stratum in range(1000) for p in drawn(1, seed=1, stratum=str(stratum))]
    counts = Counter(deal_splits(patients, (), DEFAULT).values())
    assert abs(counts["test"] - 100) <= 4 * 90**0.5
    unknown = [Patient(p.ids, p.split, p.draw, may_test=False, stratum=p.stratum) for p in patients]
    assert set(deal_splits(unknown, (), DEFAULT).values()) == {"train", "val"}


def test_folds_are_as_large_in_each_stratum_and_in_all() -> None:
    patients = [p for name, n in (("a", 23), ("b", 9), ("c", 1)) for p in drawn(n, seed=name, stratum=name)]
    dealt = deal_folds(patients, (), 5)
    assert dealt == deal_folds(patients[::-1], (), 5)
    for name in "abc":
        sizes = [sum(p.stratum == name and fold == k for p, fold in dealt.items()) for k in range(5)]
        assert max(sizes) - min(sizes) <= 1
    sizes = [sum(fold == k for fold in dealt.values()) for k in range(5)]
    assert max(sizes) - min(sizes) <= 1


def test_who_has_no_image_takes_no_place() -> None:
    patients = drawn(20, seed=1)
    alone = deal_folds(patients, (), 5)
    empty = [Patient((n + 100,), "train", n << 50, has_images=False) for n in range(50)]
    both = deal_folds([*patients, *empty], empty, 5)
    assert Counter(both[patient] for patient in patients) == Counter(alone.values()) == dict.fromkeys(range(5), 4)


def record(store: Store, files: list[tuple[int, File]], rule: SplitRule) -> None:
    run_id = store.begin_run(version="x", root="/in", options={"splits": {"split": "80/10/10"}})
    store.record([outcome(n, f) for n, f in files], run_id=run_id, fingerprint="f", rule=rule)


def test_runs_that_broke_off_are_one_delivery_with_the_next(any_place: Place) -> None:
    """And what is settled stays, whoever comes later."""
    store, rule = Store(any_place.address), SplitRule(KEY, Splits(folds=3))
    files = [(n, File(n, n, None, has_id=True)) for n in range(6)]
    for piece in (files[:2], files[2:]):
        record(store, piece, rule)
    with store.transaction() as connection:
        settle(connection, rule)
    before = dict(any_place.rows("SELECT key, split || ' ' || COALESCE(fold, -1) FROM groups"))
    assert set(any_place.rows("SELECT split FROM groups")) == SPLITS
    assert any_place.rows("SELECT count(*) FROM groups WHERE (fold IS NULL) <> (split = 'test')") == [0]
    record(store, [(n, File(n, n, None, has_id=True)) for n in range(6, 30)], rule)
    with store.transaction() as connection:
        assert settle(connection, rule) == ()
    store.close()
    now = dict(any_place.rows("SELECT key, split || ' ' || COALESCE(fold, -1) FROM groups"))
    assert {key: now[key] for key in before} == before
    sizes = [any_place.rows("SELECT count(*) FROM groups WHERE fold = ?", k)[0] for k in range(3)]
    assert max(sizes) - min(sizes) <= 1


def make_patients(place: Place, numbers: range) -> None:
    """Of two manufacturers and three years; two of them are one patient by an image."""
    for n in numbers:
        values = {"Manufacturer": "XY"[n % 4 == 0], "StudyDate": f"{2022 + n % 3}0101", "Modality": "CT"}
        pixels = noise(0) if n in (1, 2) else frames_of(1, seed=n)[0]
        make_dicom(place.source / f"P {n}.dcm", pixels, patient_id=f"Ä{n}", **values)


def test_an_external_test_has_those_who_match_and_nobody_else(place: Place) -> None:
    options = {"folds": 3, "stratify": "year", "split_seed": "s"}
    make_patients(place, range(24))
    result = place.run(test_where="manufacturer = 'Y'", **options)
    assert set(place.rows("SELECT DISTINCT manufacturer FROM tags WHERE split = 'test'")) == {"Y"}
    assert place.rows("SELECT count(*) FROM groups WHERE split = 'test'") == [6]
    assert place.rows("SELECT count(*) FROM images WHERE (fold IS NULL) <> (split = 'test')") == [0]
    assert place.rows("SELECT count(*) FROM images WHERE split <> 'test' AND fold NOT IN (0, 1, 2)") == [0]
    assert len(place.rows("SELECT patient_key FROM images GROUP BY group_key HAVING count(*) > 1")) == 0
    assert result.settled == ()
    shares = audit(place.workspace, near=False)[1]
    assert shares.rows[2][1] == 0
    assert shares.notes[0] == "6 patients in test by --test-where: not counted here."
    records = {record.filename: record for _, _, record in Dataset(place.db)}
    rows = place.rows("SELECT filename, group_key, COALESCE(fold, -1) FROM images")
    assert {name: (records[name].group_key, records[name].fold) for name, *_ in rows} == {n: (k, f) for n, k, f in rows}

    before = dict(place.rows("SELECT key, split || COALESCE(fold, -1) FROM groups"))
    make_dicom(place.source / "again.dcm", frames_of(1, seed=99)[0], patient_id="Ä5", Manufacturer="Y")
    make_patients(place, range(24, 30))
    result = place.run()  # the data set has its condition, its strata and its folds
    assert result.settled[0].startswith("1 patient with images that fulfill --test-where not in test")
    now = dict(place.rows("SELECT key, split || COALESCE(fold, -1) FROM groups"))
    assert {key: now[key] for key in before} == before
    assert place.rows("SELECT count(*) FROM groups WHERE split = 'test'") == [8]
    assert "1 patient with images that fulfill --test-where not in test, as recorded before." in (
        audit(place.workspace, near=False)[1].notes
    )
    with pytest.raises(ConfigError, match="This data set has --folds 3"):
        place.run(folds=4)
    with pytest.raises(ConfigError, match="--test-where split = 'val': there is no column split"):
        place.run(test_where="split = 'val'")


def test_joined_patients_have_one_group_key_and_one_fold(any_place: Place) -> None:
    place = any_place
    make_patients(place, range(8))
    place.run(folds=2, split="100/0/0", split_seed="s")
    keys = "SELECT count(DISTINCT key), count(DISTINCT fold) FROM groups WHERE joined_id IS NOT NULL"
    assert place.rows(keys) == [(2, 1)]
    make_dicom(place.source / "later.dcm", noise(0), patient_id="Ä7")
    place.run()
    assert place.rows(keys) == [(3, 1)]
    assert sum(section.leaks for section in audit(place.workspace, near=False)) == 0


def test_folds_of_a_data_set_that_is_labeled_are_balanced_by_label(place: Place) -> None:
    make_patients(place, range(30))
    place.run(split="100/0/0", split_seed="s")
    names = place.rows("SELECT filename FROM images ORDER BY filename")
    set_labels(place, {name: "ab"[number % 3 == 0] for number, name in enumerate(names)})
    place.run(folds=3, stratify="label", split="100/0/0")
    for label, most in (("a", 7), ("b", 4)):
        sizes = place.rows("SELECT count(DISTINCT group_key) FROM images WHERE label = ? GROUP BY fold", label)
        assert len(sizes) == 3
        assert max(sizes) <= most
        assert max(sizes) - min(sizes) <= 1


def test_unknown_patients_in_an_external_test_are_said(place: Place) -> None:
    make_patients(place, range(1, 4))
    make_dicom(place.source / "nobody.dcm", frames_of(1)[0], patient_id=None, Manufacturer="Y")
    result = place.run(test_where="manufacturer = 'Y'")
    assert result.settled[0].startswith("1 group without a usable Patient ID put into test by --test-where")
    assert place.rows("SELECT manufacturer FROM tags WHERE split = 'test'") == ["Y"]


def test_small_splits_are_said_in_percent(place: Place) -> None:
    make_patients(place, range(3, 7))
    options = ("--db", place.db, "--output-dir", place.output, "--split", "50/25/25", "--workers", 1)
    done = cli(place.base, "preprocess", place.source, *options)
    text = " ".join(done.stdout.split())
    assert "Splits with fewer than 5 patients: train" in text
    assert "(25 %, 25 % asked)" in text or "(50 %, 25 % asked)" in text
    assert "Splits with fewer than 5 patients: train" in cli(place.base, "status", "--db", place.db).stdout
