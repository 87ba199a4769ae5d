"""`dicomprep audit`: what it proves, what it finds, and how it ends."""

import json
import random
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dicomprep.checks.audit.audit import audit
from dicomprep.checks.audit.hamming import MAX_DIFFERING_BITS, near_pairs
from dicomprep.cli.audit import audit as audit_command
from dicomprep.config import Splits
from dicomprep.database.writes.store import Store
from dicomprep.errors import ConfigError
from dicomprep.models import Instance, Outcome, Status, Task, Written
from dicomprep.pixels.similarity import make_overview, overview_halvings, perceptual_hash, similarity
from dicomprep.privacy.draws import keyed_draw
from dicomprep.splits import SplitRule, identify_group
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.building import make_dicom
from tests.pipeline.test_duplicates import label, many_patients, noise
from tests.running import Place, cli

KEY = b"k" * 32


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def report(place: Place, *, near: bool = True, join: bool = False, **more: Any) -> tuple[int, dict[str, Any]]:
    """The exit code and what is printed as JSON."""
    with redirect_stdout(StringIO()) as printed:
        code = audit_command(db=str(place.db), json=True, near=near, join=join, **more)
    return code, json.loads(printed.getvalue())


def picture(seed: int, size: int = 160) -> np.ndarray:
    """Smooth, with some noise: like a photograph."""
    coarse = np.random.default_rng(seed).integers(0, 3900, (9, 9)).astype(np.float32)
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 3900).astype(np.uint16)
    return smooth + (noise(seed, (size, size)) >> 5)


def divide(place: Place) -> None:
    """Put the second group on another side, as nothing of this program does."""
    place.execute("UPDATE groups SET split = 'train' WHERE id = 1")
    place.execute("UPDATE groups SET split = 'test' WHERE id = 2")


def test_a_clean_data_set(place: Place) -> None:
    many_patients(place, 12)
    make_dicom(place.source / "again.dcm", noise(3), patient_id="a3")
    make_dicom(place.source / "nobody.dcm", noise(99), patient_id="UNKNOWN")
    place.run()
    code, found = report(place)
    sections = found["sections"]
    assert (code, found["leaks"]) == (0, 0)
    assert list(sections) == ["patients", "shares", "duplicates", "near_duplicates", "classes"]
    assert sum(row["patients"] for row in sections["patients"]["rows"]) == 25
    assert sum(row["images"] for row in sections["patients"]["rows"]) == 13
    assert [row["files"] for row in sections["duplicates"]["rows"]] == [1, 12, 0, 0]
    assert sections["near_duplicates"]["rows"] == []
    assert any("1 group of 25 (4 %) without a usable Patient ID" in note for note in sections["patients"]["notes"])
    text = cli(place.base, "audit", "--db", place.db, "--no-near")
    assert (text.returncode, "No leak found." in text.stdout, "of the same patient" in text.stdout) == (0, True, True)


def test_a_duplicate_across_splits_is_a_leak(place: Place) -> None:
    many_patients(place, 1)
    place.run()
    divide(place)
    code, found = report(place)
    assert (code, [row["files"] for row in found["sections"]["duplicates"]["rows"]]) == (1, [0, 0, 1, 0])
    assert "Patients in more than one split: 1." in found["sections"]["patients"]["notes"]
    done = cli(place.base, "audit", "--db", place.db, "--no-near")
    assert (done.returncode, done.stdout.endswith(f"{found['leaks']} leaks found.\n")) == (1, True)


def test_near_duplicates_are_found_and_joined_unless_labeled(place: Place) -> None:
    pixels = picture(1)
    make_dicom(place.source / "a.dcm", pixels, patient_id="A")
    make_dicom(place.source / "b.dcm", (pixels * 0.9 + 40).astype(np.uint16)[1:, 1:], patient_id="B")
    make_dicom(place.source / "c.dcm", picture(2), patient_id="C")
    make_dicom(place.source / "d.dcm", picture(3), patient_id="D")
    place.run()
    divide(place)
    place.execute("UPDATE groups SET split = CASE WHEN id % 2 = 0 THEN 'test' ELSE 'train' END")
    place.execute(
        "UPDATE groups SET split = 'test' WHERE id IN (SELECT group_id FROM files WHERE path IN ('a.dcm', 'd.dcm'))"
    )
    place.execute("UPDATE groups SET split = 'val' WHERE id = (SELECT group_id FROM files WHERE path = 'b.dcm')")
    code, found = report(place)
    (row,) = found["sections"]["near_duplicates"]["rows"]
    assert (code, row["image"], row["near-duplicate"], row["splits"]) == (1, "in/a", "in/b", "test/val")
    assert report(place, near=False)[0] == 0

    label(place, "in/a", "x")
    code, found = report(place, join=True)
    assert (code, found["moved"]) == (1, 0)
    place.execute("DELETE FROM labels")
    code, found = report(place, join=True)
    assert (code, found["moved"]) == (0, 1)
    assert len(found["sections"]["near_duplicates"]["rows"]) == 1
    splits = dict(place.rows("SELECT path, split FROM files JOIN groups ON groups.id = group_id"))
    assert splits["a.dcm"] == splits["b.dcm"] == "val"


def alike(place: Place, seed: int, *patients: str) -> None:
    """One picture, a little brighter for each patient."""
    for number, name in enumerate(patients):
        make_dicom(place.source / f"{name}.dcm", picture(seed) + np.uint16(3 * number), patient_id=name)


def sides(place: Place) -> dict[str, str]:
    return dict(place.rows("SELECT path, split FROM files JOIN groups ON groups.id = group_id"))


def put(place: Place, side: str, *names: str) -> None:
    """Put patients on a side, as if they had drawn it."""
    for name in names:
        place.execute(
            "UPDATE groups SET split = ? WHERE id = (SELECT group_id FROM files WHERE path = ?)", side, f"{name}.dcm"
        )


def pairs_of_patients(place: Place) -> dict[str, str]:
    """Two pairs on two sides, one that is on one; splits before."""
    for seed, names in ((1, "ab"), (2, "cd"), (3, "ef"), (4, "g")):
        alike(place, seed, *names)
    place.run()
    put(place, "train", *"aceg")
    put(place, "val", "b", "f")
    put(place, "test", "d")
    put(place, "train", "f")
    put(place, "test", "g")
    put(place, "val", "e", "f")
    return sides(place)


def test_joining_can_be_tried_and_taken_back(place: Place) -> None:
    before = pairs_of_patients(place)
    tables = place.tables("groups", "links", "aliases")
    code, found = report(place, join=True, dry_run=True)
    assert (code, found["moved"], place.tables("groups", "links", "aliases")) == (1, 2, tables)
    assert {(row["before"], row["images"]) for row in found["patients_moved"]} >= {("test", 1)}
    tried = cli(place.base, "audit", "--join", "--dry-run", "--db", place.db).stdout
    assert "2 patients with 2 images would move to another split; none of them is labeled." in tried
    code, found = report(place, join=True)
    after = sides(place)
    assert (code, found["moved"]) == (0, 2)
    assert after["a.dcm"] == after["b.dcm"]
    assert after["c.dcm"] == after["d.dcm"] == "train"
    assert after["e.dcm"] == after["f.dcm"] == "val"
    assert len(place.rows("SELECT group_id FROM links WHERE reason = 'audit'")) == 2  # the third pair was on one side
    place.run(size=24)
    assert sides(place) == after
    assert report(place, unjoin=True, dry_run=True)[1]["moved"] == 2
    assert sides(place) == after
    done = cli(place.base, "audit", "--unjoin", "--db", place.db)
    assert (done.returncode, "2 patients with 2 images moved to another split" in done.stdout) == (1, True)
    assert (sides(place), place.tables("groups", "links", "aliases")) == (before, tables)


def test_what_is_labeled_since_stays_when_joining_is_taken_back(place: Place) -> None:
    pairs_of_patients(place)
    report(place, join=True)
    after = sides(place)
    label(place, "in/d", "x")
    assert report(place, unjoin=True)[1]["moved"] == 1
    assert sides(place)["d.dcm"] == after["d.dcm"] == "train"
    assert place.rows("SELECT count(*) FROM links") == [0]


def test_joining_is_bounded(place: Place) -> None:
    alike(place, 1, *"abcdef")
    alike(place, 2, "other")
    place.run()
    put(place, "train", *"abcde")
    put(place, "test", "f", "other")
    before = sides(place)
    with pytest.raises(
        ConfigError, match=r"1 patient with 1 image would move, and 6 would be merged: more than 5.*--most 6"
    ):
        report(place, join=True, most=5)
    assert sides(place) == before
    assert place.rows("SELECT count(*) FROM links") == [0]
    done = cli(place.base, "audit", "--join", "--most", 2, "--db", place.db)
    assert (done.returncode, "Nothing was changed" in done.stderr) == (2, True)
    assert report(place, join=True, most=6)[1]["moved"] == 1


def test_joining_leaves_no_split_empty(place: Place) -> None:
    alike(place, 1, *"ab")
    place.run()
    put(place, "train", "a")
    put(place, "test", "b")
    with pytest.raises(ConfigError, match=r"No images would be left in test\. Nothing was changed"):
        report(place, join=True)
    assert sides(place) == {"a.dcm": "train", "b.dcm": "test"}


@pytest.mark.parametrize("wrong", [["--dry-run"], ["--most", "3"], ["--join", "--unjoin"], ["--unjoin", "--most", "3"]])
def test_options_of_joining_go_together(place: Place, wrong: list[str]) -> None:
    make_dicom(place.source / "a.dcm", noise(1))
    place.run()
    assert cli(place.base, "audit", *wrong, "--db", place.db).returncode == 2


def test_classes_are_counted_by_split(place: Place) -> None:
    many_patients(place, 4)
    place.run(split="100/0/0")
    label(place, "a/0", "sick")
    label(place, "a/1", "well")
    label(place, "a/2", "well")
    section = report(place)[1]["sections"]["classes"]
    assert section["rows"] == [
        {"class": "sick", "train": 1, "val": 0, "test": 0},
        {"class": "well", "train": 2, "val": 0, "test": 0},
    ]
    assert "Class sick has no images in test." in section["notes"]


def test_shares_beyond_chance_are_named(place: Place) -> None:
    for number in range(40):
        make_dicom(place.source / f"{number}.dcm", noise(number), patient_id=f"P{number}")
    place.run(split="50/25/25")
    assert report(place)[1]["sections"]["shares"]["notes"] == []
    place.execute("UPDATE groups SET split = 'train'")
    (note,) = report(place)[1]["sections"]["shares"]["notes"]
    assert "train" in note


# Near by bits


def test_near_hashes_are_found_as_by_comparing_all() -> None:
    generator = np.random.default_rng(5)
    hashes = generator.integers(0, 2**64, 600, dtype=np.uint64)
    for number in range(0, 300):  # each of the second half is one of the first with some bits turned
        flips = generator.choice(64, number % 8, replace=False)
        hashes[300 + number] = hashes[number] ^ np.uint64(sum(1 << int(bit) for bit in flips))
    groups = generator.integers(0, 50, 600)
    expected = {
        (a, b)
        for a in range(600)
        for b in range(a + 1, 600)
        if groups[a] != groups[b] and np.bitwise_count(hashes[a] ^ hashes[b]) <= MAX_DIFFERING_BITS
    }
    found, complete = near_pairs(hashes, groups)
    assert complete
    assert {tuple(sorted(pair[1:])) for pair in found} == expected
    assert len(found) == len(expected) > 100


def test_no_hashes_have_no_neighbors() -> None:
    assert near_pairs(np.zeros(0, np.uint64), np.zeros(0, np.int64)) == ([], True)


def test_a_perceptual_hash_tells_pictures_apart_but_not_versions_of_one() -> None:
    def hashed(pixels: np.ndarray) -> int:
        found = perceptual_hash(make_overview(pixels, times=overview_halvings(pixels.shape)))
        assert found is not None
        return found & (2**64 - 1)

    one = picture(1, 224)
    brighter = (one * 0.8 + 300).astype(np.uint16)
    assert (hashed(one) ^ hashed(brighter)).bit_count() <= 2
    assert min((hashed(one) ^ hashed(picture(n, 224))).bit_count() for n in range(2, 40)) > 2 * MAX_DIFFERING_BITS
    assert similarity(one, brighter) > 0.999
    assert similarity(one, picture(2, 224)) < 0.5
    assert perceptual_hash(make_overview(np.zeros((224, 224), np.uint8), times=3)) is None
    assert perceptual_hash(make_overview(one, content=0.01, times=3)) is None
    assert perceptual_hash(make_overview(4095 - one, times=3), inverted=True) == perceptual_hash(
        make_overview(one, times=3)
    )


# Ten thousand patients


def outcomes(patient: int, visits: int) -> list[Outcome]:
    """What a worker says of a patient's files, one a visit; all numbers are its own."""
    made = []
    for visit in range(visits):
        name = f"p{patient}/{visit}"
        kind, key = identify_group(
            KEY, Splits(), patient_id=f"ID {patient}", study_instance_uid=f"1.{patient}.{visit}", folder=name
        )
        instance = Instance(sop_instance_uid=f"2.{patient}.{visit}", instance_number=1, modality="CT")
        instance = replace(
            instance,
            study_instance_uid=f"1.{patient}.{visit}",
            group_kind=kind,
            group_key=key,
            draw=keyed_draw(KEY, key),
        )
        digest = b"%08d%08d" % (patient, visit)
        written = Written(
            0, name, f"{name}.png", 16, 16, 9, digest, source_digest=digest, perceptual_hash=patient * 7919 + visit
        )
        task = Task(LocalSource("/in", f"{name}.dcm", Version(1, 1)), f"p{patient}", name)
        made.append(Outcome(task, Status.DONE, written=(written,), frame_count=1, instance=instance, digest=digest))
    return made


def test_ten_thousand_patients_in_five_runs_stay_apart(place: Place) -> None:
    """In random order, with other options in between, against the same in one run: 0 in two splits, 0 moved."""
    splits = Splits()
    arriving = [outcome for patient in range(10_000) for outcome in outcomes(patient, 1 + patient % 3)]
    random.Random(6).shuffle(arriving)

    def record(store: Store, batch: list[Outcome], asked: Splits) -> None:
        options = {"splits": {"split": asked.split, "group_by": "patient"}}
        run_id = store.begin_run(version="x", root="/in", options=options)
        for start in range(0, len(batch), 2000):
            store.record(
                batch[start : start + 2000],
                run_id=run_id,
                fingerprint="f",
                rule=SplitRule(KEY, asked),
            )

    before: dict[str, str] = {}
    store = Store(place.address)
    for run in range(5):
        record(store, arriving[run::5], splits)
        after = dict(place.rows("SELECT key, split FROM groups"))
        assert {key: after[key] for key in before} == before
        before = after
    record(store, arriving[:2000], Splits(split="10/10/80"))  # recorded groups stay
    store.close()
    assert dict(place.rows("SELECT key, split FROM groups")) == before
    assert len(before) == 10_000
    assert place.rows("SELECT patient_key FROM images GROUP BY 1 HAVING count(DISTINCT split) > 1") == []
    counts = Counter(before.values())
    for name, share in zip(("train", "val", "test"), splits.shares, strict=True):
        assert abs(counts[name] - 10_000 * share) <= 3 * (10_000 * share * (1 - share)) ** 0.5

    other = Place(place.base / "other")
    store = Store(other.address)
    record(store, arriving[::-1], splits)
    store.close()
    assert dict(other.rows("SELECT key, split FROM groups")) == before
    sections = {section.name: section for section in audit(other.workspace, near=False)}
    assert sum(section.leaks for section in sections.values()) == 0
    assert sections["shares"].notes == ()
