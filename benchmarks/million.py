"""A database of many frames with one picture behind all of them: what the pages are measured with."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import connect, migrate
from dicomprep.database.writes.catalogue import add_images
from dicomprep.database.writes.store import Store

__all__ = ["make_database"]

PICTURE = "picture.png"
FRAMES_PER_FILE, FILES_PER_PATIENT = 10, 25
MODALITIES = ("CT", "MR", "US", "MG", "CR")
TRANSFORM = '{"geometry":{"size":224,"source_shape":[512,512]},"intensity":{}}'


def make_database(folder: Path, frames: int) -> Path:
    """A database of `frames` images of one patient for every 250, and its output folder; rows only."""
    db = folder / "million.db"
    output = folder / "thumbnails"
    output.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(output / PICTURE), _picture())
    engine = connect(DatabaseAddress.parse(db))
    migrate(engine)
    engine.dispose()
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("INSERT INTO meta VALUES ('output_dir', 'thumbnails')")
        connection.execute(
            "INSERT INTO runs VALUES (1, '2026-01-01', '2026-01-01', '0', '/in', '{}', 0, 0, 0, 0, 0, 0, 1, 0)"
        )
        for table, rows in (("groups", _groups(frames)), ("files", _files(frames)), ("frames", _frames(frames))):
            first = next(rows)
            marks = ", ".join("?" * len(first))
            names = _COLUMNS[table]
            statement = f"INSERT INTO {table} {names} VALUES ({marks})"  # noqa: S608
            connection.executemany(statement, chain((first,), rows))
    return db


def enrol_all(db: Path) -> None:
    """Let the pages know all images."""
    store = Store(DatabaseAddress.parse(db))
    while True:
        with store.transaction() as connection:
            if not add_images(connection):
                break
    store.close()


def _picture() -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, (224, 224))
    rows, columns = np.mgrid[-1:1:224j, -1:1:224j]
    return np.clip(200 - 160 * np.hypot(rows, columns) + noise, 0, 255).astype(np.uint8)


_COLUMNS = {
    "groups": "(id, key, kind, split)",
    "files": "(id, root, path, size, mtime_ns, digest, fingerprint, study_id, name, frame_stem, status, frame_count,"
    " frames, attempts, run_id, group_id, series_instance_uid, instance_number, modality)",
    "frames": "(id, file_id, frame_number, filename, thumbnail_path, width, height, size, digest, transform)",
}


def _groups(frames: int) -> Iterator[tuple[object, ...]]:
    splits = ("train",) * 8 + ("val", "test")
    for number in range(1, -(-frames // (FRAMES_PER_FILE * FILES_PER_PATIENT)) + 1):
        yield number, f"{number:032x}", "patient", splits[number % 10]


def _files(frames: int) -> Iterator[tuple[object, ...]]:
    for number in range(-(-frames // FRAMES_PER_FILE)):
        patient = number // FILES_PER_PATIENT + 1
        study, name = f"patient{patient:05}", f"patient{patient:05}/image{number:07}"
        identity = (number + 1, "/in", f"{name}.dcm", 524288, 0, number.to_bytes(16), "", study, name, None)
        counts = ("done", FRAMES_PER_FILE, FRAMES_PER_FILE, 1, 1, patient)
        yield *identity, *counts, f"1.2.3.{patient}", number % FILES_PER_PATIENT, MODALITIES[patient % len(MODALITIES)]


def _frames(frames: int) -> Iterator[tuple[object, ...]]:
    for number in range(frames):
        file, frame = divmod(number, FRAMES_PER_FILE)
        name = f"patient{file // FILES_PER_PATIENT + 1:05}/image{file:07}_frame{frame:04}"
        yield number + 1, file + 1, frame, name, PICTURE, 224, 224, 20000, number.to_bytes(16), TRANSFORM
