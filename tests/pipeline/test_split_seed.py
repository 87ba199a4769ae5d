"""The seed of the splits: apart from the key, the same for good, and refused where it would divide patients anew."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomprep.config import Splits
from dicomprep.errors import ConfigError
from dicomprep.privacy.draws import reveal_draw
from dicomprep.privacy.keys import keyed_hash
from dicomprep.splits import SplitRule, draw_of, group_identity
from tests.building import make_dicom
from tests.pipeline.test_duplicates import noise
from tests.running import Place, cli, frames_of

SPLIT = "40/20/40"
SEED = "Łódź 2026"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def split_of(patient: str, *, key: bytes, splits: Splits, study: str | None = None) -> str:
    identity = group_identity(splits, patient_id=patient, study_instance_uid=study, folder="f")
    group_key = keyed_hash(key, identity.kind, identity.text)
    return SplitRule(key, splits).split(identity.kind, draw_of(key, splits, identity, group_key))


def test_two_machines_with_one_seed_divide_ten_thousand_patients_alike() -> None:
    splits = Splits(split_seed=SEED)
    mine, theirs = ([split_of(f"P{n}", key=key, splits=splits) for n in range(10_000)] for key in (b"k", b"o"))
    other = [split_of(f"P{n}", key=b"k", splits=Splits(split_seed="another")) for n in range(10_000)]
    assert mine == theirs
    assert mine != other
    for name, share in zip(("train", "val", "test"), splits.shares, strict=True):
        assert abs(Counter(mine)[name] - 10_000 * share) <= 4 * (10_000 * share * (1 - share)) ** 0.5


def make_tree(place: Place, *, order: int) -> None:
    """Patients, some of them known by two IDs for they share an image, studies and folders without an ID."""
    files = [(f"P {n}.dcm", frames_of(1, seed=n)[0], {"patient_id": f"Ä{n}"}) for n in range(30)]
    for n in range(12):
        files += [(f"twin {n}_{turn}.dcm", noise(n), {"patient_id": f"T{n} {turn}"}) for turn in (0, 1)]
    for n in range(8):
        study = {"patient_id": None, "StudyInstanceUID": f"1.2.{n + 1}"}
        files.append((f"study {n}.dcm", frames_of(1, seed=100 + n)[0], study))
        files.append(
            (f"Mappe {n}/a.dcm", frames_of(1, seed=200 + n)[0], {"patient_id": "ANON", "StudyInstanceUID": None})
        )
    random.Random(order).shuffle(files)
    for turn in (0, 1):
        for name, pixels, values in files[turn::2]:
            make_dicom(place.source / name, pixels, **values)
        place.run(split=SPLIT, split_seed=SEED)


def test_splits_depend_on_seed_and_identity_alone(new_place: Callable[[], Place]) -> None:
    """Also those of joined patients, of studies and folders, in another order of arrival, under another key."""
    places = [new_place(), new_place()]
    for order, place in enumerate(places):
        make_tree(place, order=order)
    mine, theirs = (dict(p.rows("SELECT path, split FROM files JOIN groups ON groups.id = group_id")) for p in places)
    assert mine == theirs
    assert len(mine) == 70
    assert places[0].rows("SELECT count(*) FROM groups WHERE joined_id IS NOT NULL")[0] >= 24
    assert places[0].workspace.key != places[1].workspace.key


def test_draws_cannot_be_tested_without_the_key(place: Place) -> None:
    make_dicom(place.source / "a.dcm", patient_id="P1", IssuerOfPatientID="North")
    place.run(split_seed=SEED)
    ((key, *hidden),) = place.rows("SELECT key, draw, bare_draw FROM groups")
    secret, splits = place.workspace.key, Splits(split_seed=SEED)
    identity = group_identity(splits, patient_id="P1", issuer="North", study_instance_uid=None, folder="")
    draws = [draw_of(secret, splits, identity, key)]
    draws += [draw_of(secret, splits, group_identity(splits, patient_id="P1", study_instance_uid=None, folder=""), key)]
    assert [reveal_draw(secret, key, number) for number in hidden] == draws
    assert not {number % 2**64 for number in hidden} & set(draws)


def test_a_seed_is_made_kept_and_shown(place: Place) -> None:
    make_dicom(place.source / "a.dcm", patient_id="P1")
    done = cli(place.base, "preprocess", place.source, "--db", place.db, "--output-dir", place.output)
    (seed,) = place.rows("SELECT value FROM meta WHERE key = 'split_seed'")
    assert len(seed) == 16
    assert f"seed  {seed} (--split-seed)" in done.stdout
    assert place.run().split_seed == seed
    assert f"--split-seed {seed}" in cli(place.base, "status", "--db", place.db).stdout
    out = place.base / "export"
    cli(place.base, "export", "csv", "--out", out, "--db", place.db)
    assert json.loads((out / "manifest.jsonl").read_text().splitlines()[0])["split_seed"] == seed
    assert f"`{seed}`" in (out / "README.md").read_text()


def test_another_seed_is_refused(place: Place) -> None:
    make_dicom(place.source / "a.dcm", patient_id="P1")
    place.run(split_seed=SEED)
    assert place.run(split_seed=f" {SEED} ").split_seed == SEED
    with pytest.raises(ConfigError, match=f"divided with --split-seed {SEED}: another seed"):
        place.run(split_seed="other")
    assert place.run().split_seed == SEED


@pytest.mark.parametrize("seed", ["", "  ", "a\nb", "x" * 201])
def test_a_seed_is_a_line_of_text(seed: str) -> None:
    with pytest.raises(ConfigError, match="--split-seed"):
        Splits(split_seed=seed)


def test_data_sets_without_a_seed_keep_their_rule(any_place: Place) -> None:
    """As an earlier release left it: the key decides, also for who comes now."""
    place = any_place
    make_dicom(place.source / "a.dcm", patient_id="P0")
    place.run(split=SPLIT)
    place.execute("DELETE FROM meta WHERE key = 'split_seed'")
    place.execute("UPDATE meta SET value = '1' WHERE key = 'split_rule'")
    place.execute("UPDATE groups SET draw = NULL, split_reason = NULL")
    for number in range(1, 40):
        make_dicom(place.source / f"{number}.dcm", frames_of(1, seed=number)[0], patient_id=f"P{number}")
    with pytest.raises(ConfigError, match="begun by a release without seeds"):
        place.run(split=SPLIT, split_seed=SEED)
    result = place.run(split=SPLIT)
    assert result.split_seed is None
    key = place.workspace.key
    expected = {
        keyed_hash(key, "patient", f"P{n}"): split_of(f"P{n}", key=key, splits=Splits(split=SPLIT))
        for n in range(1, 40)
    }
    groups = {row[0]: row[1:] for row in place.rows("SELECT key, split, draw FROM groups")}
    assert {group: groups[group] for group in expected} == {group: (split, None) for group, split in expected.items()}
