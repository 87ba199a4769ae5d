"""Outcomes as rows: all of them, once, and each value in its own column."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import String, bindparam, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from dicomprep.database import bulk
from dicomprep.database.bulk import BATCH_VALUES, any_of, look_up
from dicomprep.database.queries import counts
from dicomprep.database.schema import files, frames
from dicomprep.database.writes.rows import InputRow
from dicomprep.database.writes.store import Store
from dicomprep.errors import ErrorCode
from dicomprep.models import Instance, Outcome, Status, Task, Written
from dicomprep.privacy.allow_list import Position, Tags
from dicomprep.privacy.burned_in import Reason
from dicomprep.splits import SplitRule, Splits
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.running import Place


def value_for(name: str, number: int) -> Any:
    """What the column takes, and no other column has."""
    kind = files.c[name].type
    return chr(64 + number)[: kind.length] if isinstance(kind, String) else number


INSTANCE = Instance(
    transfer_syntax="1.2",
    sop_class_uid="1.3",
    sop_instance_uid="1.4",
    study_instance_uid="1.5",
    series_instance_uid="1.6",
    frame_of_reference_key=5,
    instance_number=7,
    modality="CT",
    group_kind="patient",
    group_key="key of P",
    accession_key="a" * 32,
)

KEY = b"k" * 32
RULE = SplitRule(KEY, Splits(split="100/0/0"))

TAGS = Tags(**{name: value_for(name, number) for number, name in enumerate(Tags._fields, 2)})


@pytest.fixture
def place(any_place: Place) -> Place:
    return any_place


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    opened = Store(place.address)
    opened.begin_run(version="x", root="/in", options={})
    yield opened
    opened.close()


def written(name: str, number: int, **transform: Any) -> Written:
    place = f"{name}_frame{number:04d}"
    return Written(number, place, f"{place}.png", 16, 17, 100 + number, bytes([number] * 16), json.dumps(transform))


def outcome(number: int, frame_count: int = 1, *, instance: Instance = INSTANCE) -> Outcome:
    task = Task(LocalSource("/in", f"s/{number}.dcm", Version(1000 + number, 2000 + number)), "s", f"s/{number}")
    images = tuple(written(task.name, index) for index in range(frame_count))
    return Outcome(
        task, Status.DONE, written=images, frame_count=frame_count, instance=instance, digest=b"%016d" % number
    )


def record(store: Store, *outcomes: Outcome, run_id: int = 1) -> set[str]:
    return store.record(outcomes, run_id=run_id, fingerprint="f1", rule=RULE)


def test_every_value_is_in_its_column(place: Place, store: Store) -> None:
    full = replace(
        outcome(1, frame_count=2),
        status=Status.PARTIAL,
        error_code=ErrorCode.TRUNCATED,
        error_detail="short\0",
        frame_count=3,
        instance=replace(
            INSTANCE,
            series_key="k" * 32,
            tags=TAGS,
            extra_tags="{}",
            reasons=(Reason.MODALITY,),
        ),
    )
    marked = replace(full.written[1], position=Position(1.5, "1\\0\\0\\0\\1\\0", 2, 3, "4.0\\5.0\\1.5"), text=True)
    full = replace(full, written=(full.written[0], marked))
    record(store, replace(full, task=replace(full.task, name="s/1_frame0001")))
    with store.transaction() as connection:
        (file,) = connection.execute(select(files)).mappings().all()
        last = connection.execute(select(frames)).mappings().all()[-1]
    assert dict(file) == {
        "id": 1,
        "root": "/in",
        "path": "s/1.dcm",
        "size": 1001,
        "mtime_ns": 2001,
        "digest": b"0000000000000001",
        "fingerprint": "f1",
        "study_id": "s",
        "name": "s/1_frame0001",
        "frame_stem": "s/1",
        "status": "partial",
        "error_code": "truncated",
        "error_detail": "short\\0",
        "frame_count": 3,
        "frames": 2,
        "attempts": 1,
        "run_id": 1,
        "group_id": 1,
        "transfer_syntax": "1.2",
        "sop_class_uid": "1.3",
        "sop_instance_uid": "1.4",
        "study_instance_uid": "1.5",
        "series_instance_uid": "1.6",
        "frame_of_reference_key": 5,
        "instance_number": 7,
        "modality": "CT",
        "accession_key": "a" * 32,
        "study_number_key": None,
        "study_key": None,
        "series_key": "k" * 32,
        **TAGS._asdict(),
        "extra_tags": "{}",
        "pixel_key": None,
        "instance_key": None,
        "duplicate_of": None,
        "ctime_ns": None,
        "version_tag": None,
        "absent_since": None,
        "folded_name": "s/1_frame0001",
        "group_folder": None,
        "is_lossy": 0,
        "header_due": None,
    }
    assert dict(last) == {
        "id": 2,
        "file_id": 1,
        "frame_number": 1,
        "filename": "s/1_frame0001",
        "thumbnail_path": "s/1_frame0001.png",
        "width": 16,
        "height": 17,
        "size": 101,
        "digest": bytes([1] * 16),
        "transform": "{}",
        "slice_position_mm": 1.5,
        "stack_position": 2,
        "temporal_position": 3,
        "burned_in": "high",
        "burned_in_reasons": "text,modality",
        "likeness": None,
        "image_orientation": "1\\0\\0\\0\\1\\0",
        "source_digest": None,
        "stream_digest": None,
        "since_run": 1,
        "image_position": "4.0\\5.0\\1.5",
    }
    assert place.rows("SELECT key, kind, split FROM groups") == [("key of P", "patient", "train")]


def test_what_is_recorded_again_keeps_its_ids_and_loses_what_it_had(place: Place, store: Store) -> None:
    record(store, outcome(1, 3), outcome(2, 2))
    before = place.rows("SELECT id, filename FROM frames")
    renamed = replace(outcome(2, 2), written=(written("s/new", 0), written("s/2", 1)))
    assert record(store, outcome(1, 1), renamed, outcome(3)) == {
        "s/1_frame0001.png",
        "s/1_frame0002.png",
        "s/2_frame0000.png",
    }
    assert place.rows("SELECT path, id < 3, attempts, frames FROM files ORDER BY id") == [
        ("s/1.dcm", True, 2, 1),
        ("s/2.dcm", True, 2, 2),
        ("s/3.dcm", False, 1, 1),
    ]
    assert place.rows("SELECT id, filename FROM frames ORDER BY id")[:3] == [
        before[0],
        (before[3][0], "s/new_frame0000"),
        before[4],
    ]


def test_a_file_that_comes_twice_in_a_batch_is_one_row(place: Place, store: Store) -> None:
    record(store, outcome(1, 3), outcome(1, 1))
    assert place.rows("SELECT attempts, frames FROM files") == [(2, 1)]


def test_each_frame_keeps_its_own_transform(place: Place, store: Store) -> None:
    transforms: list[dict[str, Any]] = [{"a": (1, 2)}, {"a": (1, 2)}, {"a": (1, 3)}, {}, {"a": (1, 2)}]
    images = tuple(written("s/1", number, **transform) for number, transform in enumerate(transforms))
    record(store, replace(outcome(1), written=images), replace(outcome(2), written=(written("s/2", 0, a=(1, 2)),)))
    recorded = [json.loads(text) for text in place.rows("SELECT transform FROM frames ORDER BY id")]
    assert recorded == json.loads(json.dumps([*transforms, {"a": (1, 2)}]))


def test_a_split_that_was_assigned_stays(place: Place, store: Store) -> None:
    record(store, outcome(1))
    other = replace(INSTANCE, group_key="another")
    only_test = SplitRule(KEY, Splits(split="0/0/100"))
    store.record([outcome(2), outcome(3, instance=other)], run_id=1, fingerprint="f1", rule=only_test)
    assert place.rows("SELECT key, split FROM groups ORDER BY id") == [("key of P", "train"), ("another", "test")]
    assert place.rows("SELECT group_id FROM files ORDER BY id") == [1, 1, 2]


@pytest.mark.parametrize("count", [1, BATCH_VALUES - 1, BATCH_VALUES, BATCH_VALUES + 1, 2 * BATCH_VALUES + 3])
def test_any_number_is_recorded_and_found(place: Place, store: Store, count: int) -> None:
    outcomes = [outcome(number) for number in range(count)]
    for attempt in (1, 2):
        assert record(store, *outcomes) == set()
        assert place.rows("SELECT count(*), sum(attempts), sum(id) FROM files") == [
            (count, attempt * count, count * (count + 1) // 2)
        ]
    with store.transaction() as connection:
        found = list(look_up(connection, _IDS, [outcome.task.source.path for outcome in outcomes], "/in"))
        assert Counter(row[0] for row in found) == Counter(range(1, count + 1))
        assert list(look_up(connection, _IDS, [], "/in")) == []


_IDS = select(files.c.id).where(files.c.root == bindparam("root"), any_of(files.c.path))


def test_counts_agree_with_the_views(place: Place, store: Store) -> None:
    outcomes = [
        outcome(number, 1 + number % 3, instance=replace(INSTANCE, group_key=f"{10 ** (number % 2)}"))
        for number in range(9)
    ]
    outcomes[3] = replace(outcomes[3], instance=replace(outcomes[3].instance, modality="MR"))
    outcomes[4] = replace(outcomes[4], instance=replace(outcomes[4].instance, modality=None))
    outcomes[5] = Outcome(outcomes[5].task, Status.FAILED, ErrorCode.TRUNCATED, instance=Instance(modality="US"))
    record(store, *outcomes)
    for what, view in {"status": "inputs", "error_code": "inputs", "split": "images", "modality": "images"}.items():
        with store.transaction() as connection:
            counted = counts.count_by(connection, what)
        assert counted == dict(place.rows(f"SELECT {what}, count(*) FROM {view} WHERE {what} IS NOT NULL GROUP BY 1"))


def test_the_statements_suit_postgresql() -> None:
    dialect = PGDialect_psycopg(paramstyle="format")
    insertion = bulk._insertion(files, InputRow, ("root", "path"), dialect, replace=True)
    assert insertion.copy.count(",") + 1 == len(files.columns) - 3
    assert "DO UPDATE" in insertion.statement
    assert "RETURNING" not in insertion.statement
    kept = bulk._insertion(files, InputRow, ("root", "path"), dialect, replace=False)
    assert "DO NOTHING" in kept.statement
    assert bulk._query_text(_IDS, dialect).count("%s") == 2  # one round trip, however many values
