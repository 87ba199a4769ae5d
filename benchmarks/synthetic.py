"""Files that are only spoken of: what a scan would find of them, what workers would answer, a database of millions."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import xxhash

from dicomprep.config import ImageOptions, Splits
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.schema import files, frames, groups
from dicomprep.database.writes.store import Store
from dicomprep.models import Instance, Outcome, Status, Task, Written
from dicomprep.privacy.allow_list import Position, Tags
from dicomprep.splits import SplitRule
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.place import Place
from dicomprep.storage.source import Version, digest_bytes

__all__ = ["RULE", "SECRET", "answer", "find_sources", "make_database", "record_files"]

PATIENT, SERIES, BATCH = 100, 50, 256
"""Files of a patient, of a series, and of a batch that is recorded at once."""

TEMPLATE = 10_000
"""Files that are recorded one by one; a database of millions is made of copies of their rows."""

SECRET = bytes(32)
RULE = SplitRule(SECRET, Splits(split_seed="benchmark"))
MODALITIES = ("CT", "MR", "US", "MG", "CR")
TRANSFORM = (
    '{"geometry":{"source_shape":[512,512],"crop_origin":[0,0],"crop_shape":[512,512],"scaled_shape":[224,224],'
    '"offset":[0,0],"size":224},"intensity":{"photometric_interpretation":"MONOCHROME2","decoder":"native",'
    '"modality":{"slope":1.0,"intercept":-1024.0},"voi":{"center":40.0,"width":400.0,"function":"LINEAR"},'
    '"padding":[-2000,-2000]}}'
)
PICTURE = "picture.png"
_OPTIONS = {"image": asdict(ImageOptions()), "splits": asdict(Splits())}


def find_sources(numbers: range, *, root: str = "/in") -> list[LocalSource]:
    """What a scan finds: one slice of CT or the like a file, a folder for each patient."""
    place = "patient{:06}/series{}/image{:08}.dcm"
    return [
        LocalSource(
            root, place.format(n // PATIENT, n % PATIENT // SERIES, n), Version(526_000 + n % 999, 10**18 + n, 1)
        )
        for n in numbers
    ]


def answer(tasks: Sequence[Task]) -> list[Outcome]:
    """What workers say of such files: each has one image, and all that the header of a CT says."""
    return [_outcome(task, int(task.source.path[-12:-4])) for task in tasks]


def record_files(store: Store, numbers: range, *, run_id: int) -> None:
    """Record such files in batches, as a run does."""
    for start in range(numbers.start, numbers.stop, BATCH):
        piece = range(start, min(start + BATCH, numbers.stop))
        names = [(source.path.rpartition("/")[0], source.path[:-4]) for source in find_sources(piece)]
        tasks = [Task(source, *name) for source, name in zip(find_sources(piece), names, strict=True)]
        store.record(answer(tasks), run_id=run_id, fingerprint="f", rule=RULE)


def make_database(folder: Path, count: int) -> Path:
    """A data set of `count` files with an image each; there is one thumbnail, which all of them name."""
    folder.mkdir(parents=True, exist_ok=True)
    db = folder / "dicomprep.db"
    store = Store(DatabaseAddress.parse(db))
    (folder / "thumbnails").mkdir(exist_ok=True)
    store.bind_output(Place(str(folder / "thumbnails")))
    store.open_key(folder / f"{db.name}.key", None)
    run_id = store.begin_run(version="0", root="/in", options=_OPTIONS)
    record_files(store, range(min(count, TEMPLATE)), run_id=run_id)
    store.finish_run(run_id, found=count, processed=count, frames=count, seconds=1.0)
    store.close()
    thumbnail = _picture()
    (folder / "thumbnails" / PICTURE).write_bytes(thumbnail)
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("UPDATE frames SET thumbnail_path = ?, digest = ?", (PICTURE, digest_bytes(thumbnail)))
        _multiply(connection, count)
    return db


def _outcome(task: Task, number: int) -> Outcome:
    digest = xxhash.xxh3_128_digest(number.to_bytes(8, "big"))
    patient, study = (_key(what, number // PATIENT) for what in ("patient", "study"))
    series, slice_number = number // SERIES, number % SERIES
    instance = Instance(
        transfer_syntax="1.2.840.10008.1.2.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.7009.2403.{number}",
        study_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.7009.2402.{number // PATIENT}",
        series_instance_uid=f"1.3.6.1.4.1.14519.5.2.1.7009.2401.{series}",
        instance_number=slice_number + 1,
        modality=MODALITIES[number // PATIENT % len(MODALITIES)],
        group_kind="patient",
        group_key=patient,
        draw=int(patient[:16], 16),
        study_key=study,
        series_key=_key("series", series),
        tags=_tags(number),
    )
    position = Position(2.5 * slice_number, "1\\0\\0\\0\\1\\0", None, None, f"-125\\-125\\{2.5 * slice_number}")
    written = Written(
        *(0, task.name, f"{task.name}.png", 224, 224, 40_000 + number % 999, digest, TRANSFORM, position),
        source_digest=digest,
        perceptual_hash=int.from_bytes(digest[:8], "big", signed=True),
    )
    return Outcome(task, Status.DONE, written=(written,), frame_count=1, instance=instance, digest=digest)


def _key(what: str, number: int) -> str:
    return xxhash.xxh3_128_hexdigest(f"{what} {number}".encode())


def _tags(number: int) -> Tags:
    return Tags(
        body_part="CHEST",
        patient_position="HFS",
        image_type="ORIGINAL\\PRIMARY\\AXIAL",
        photometric_interpretation="MONOCHROME2",
        manufacturer="SIEMENS",
        manufacturer_model="Sensation 64",
        kvp=120.0,
        tube_current_ma=200.0 + number % 50,
        exposure_time_ms=500.0,
        exposure_mas=100.0,
        rows=512,
        columns=512,
        row_spacing_mm=0.703125,
        column_spacing_mm=0.703125,
        slice_thickness_mm=2.5,
        series_number=number // SERIES % 2 + 1,
        patient_sex="FM"[number // PATIENT % 2],
        patient_age=20 + number // PATIENT % 70,
        study_year=2005 + number // PATIENT % 20,
        recognisable_face=0,
    )


def _picture() -> bytes:
    noise = np.random.default_rng(0).normal(0, 20, (224, 224))
    rows, columns = np.mgrid[-1:1:224j, -1:1:224j]
    picture = np.clip(200 - 160 * np.hypot(rows, columns) + noise, 0, 255).astype(np.uint8)
    return cv2.imencode(".png", picture)[1].tobytes()


_CHANGED = {
    "groups": {"id": "id + {copy} * {groups}", "key": "substr(key, 1, 24) || printf('%08x', {copy})"},
    "files": {
        "id": "id + {copy} * {files}",
        **dict.fromkeys(("path", "study_id", "name", "folded_name"), "'copy{copy}/' || {name}"),
        "digest": "randomblob(16)",
        "group_id": "group_id + {copy} * {groups}",
        **dict.fromkeys(("sop_instance_uid", "study_instance_uid", "series_instance_uid"), "{name} || '.{copy}'"),
        **dict.fromkeys(("study_key", "series_key"), "substr({name}, 1, 24) || printf('%08x', {copy})"),
        "pixel_key": "randomblob(16)",
        "instance_key": "random()",
    },
    "frames": {
        **dict.fromkeys(("id", "file_id"), "{name} + {copy} * {files}"),
        "filename": "'copy{copy}/' || filename",
        "source_digest": "randomblob(16)",
        "likeness": "random()",
    },
}
"""What is another in a copy of the rows, by table and column."""


def _multiply(connection: sqlite3.Connection, count: int) -> None:
    """Copies of all rows until there are `count` files; indexes are made afterward, which is far quicker."""
    indexes = _take_indexes(connection)
    sizes = {table: connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0] for table in _CHANGED}  # noqa: S608
    for copy in range(1, -(-count // TEMPLATE)):
        for statement in _copies(copy, sizes):
            connection.execute(statement)
    connection.execute("DELETE FROM frames WHERE file_id > ?", (count,))
    connection.execute("DELETE FROM files WHERE id > ?", (count,))
    for statement in indexes:
        connection.execute(statement)


def _copies(copy: int, sizes: dict[str, int]) -> Iterator[str]:
    for table in (groups, files, frames):
        changed = _CHANGED[table.name]
        names = [column.name for column in table.columns]
        values = [changed.get(n, '"{name}"').format(name=n, copy=copy, **sizes) for n in names]
        columns = ", ".join(f'"{name}"' for name in names)
        bound = sizes[table.name]
        yield f"INSERT INTO {table.name} ({columns}) SELECT {', '.join(values)} FROM {table.name} WHERE id <= {bound}"  # noqa: S608


def _take_indexes(connection: sqlite3.Connection) -> list[str]:
    """Remove the indexes of the tables that grow; the statements that make them again."""
    names = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?, ?)"
    found = connection.execute(names, tuple(_CHANGED)).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [statement for _, statement in found]
