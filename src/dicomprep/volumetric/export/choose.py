"""Which series are exported, what is said of each, and what tells whether its sources have changed."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from dicomprep.database.queries.releases import holds, is_held, shown_as, shown_frames
from dicomprep.database.queries.selection import Selection, read_selection
from dicomprep.database.queries.units import decided_units
from dicomprep.database.reference_schema import image_references
from dicomprep.database.schema import files, frames
from dicomprep.exchange.options import ExportOptions
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.privacy.references import ReferenceKind
from dicomprep.workspace import Workspace

__all__ = ["SEVERAL", "ChosenSeries", "choose_series"]

LEVELS = ("series", "study", "patient")
"""Whose label a volume has: the nearest that has one."""

SEVERAL = ""
"""The split of a series whose images are in several."""

BATCH_SERIES = 500
"""Series that are read with one query; bounds memory."""

_COLUMNS = (
    *("series_key", "study_key", "patient_key", "group_key", "split", "fold", "modality"),
    *("series_instance_uid", "study_instance_uid", "filename"),
)


@dataclass(frozen=True, slots=True)
class ChosenSeries:
    """A series of which an image is selected."""

    key: str
    name: str
    """What it is called in the export."""
    fingerprint: str
    """Changes when one of its files does."""
    split: str
    label: str | None
    label_level: str
    """Whose label it is."""
    said: Mapping[str, Any]
    """What the database says of it, by the names of columns, under the pseudonyms of the export."""
    images: tuple[str, ...]
    """The names of the selected images."""


def choose_series(
    workspace: Workspace, options: ExportOptions, pseudonyms: Pseudonyms
) -> tuple[list[ChosenSeries], int]:
    """The series that are wanted, in the order of their names, and how many selected images are of no series."""
    workspace.require_images()
    if options.series:
        workspace.refresh_series()
    with workspace.reading() as connection:
        selection = read_selection(connection, _COLUMNS, options.choice(label=()))
        labels = {level: decided_units(connection, level) for level in LEVELS}
        groups = dict(_by_series(selection))
        fingerprints = _fingerprints(connection, [key for key in groups if key is not None])
    alone = len(groups.pop(None, ()))
    of_keys = ((key, rows) for key, rows in groups.items() if key is not None)
    chosen = [_choose(selection, key, rows, labels, fingerprints.get(key, ""), pseudonyms) for key, rows in of_keys]
    wanted = [series for series in chosen if not options.label or series.label in options.label]
    return sorted(wanted, key=lambda series: series.name), alone


def _by_series(selection: Selection) -> Iterator[tuple[str | None, Sequence[int]]]:
    column = selection.coded("series_key")
    if not len(selection):
        return
    codes = np.asarray(column.codes) if len(column.codes) else np.zeros(len(selection), np.int64)
    order = np.argsort(codes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        yield column.values[int(codes[rows[0]])], rows.tolist()


def _choose(
    selection: Selection,
    key: str,
    rows: Sequence[int],
    labels: Mapping[str, Mapping[str, str]],
    fingerprint: str,
    pseudonyms: Pseudonyms,
) -> ChosenSeries:
    said = dict(zip(_COLUMNS, selection.row(rows[0], _COLUMNS), strict=True))
    splits = {selection.columns["split"][row] for row in rows}
    given = ((level, labels[level].get(said[f"{level}_key"])) for level in LEVELS)
    level, label = next(((level, label) for level, label in given if label is not None), ("", None))
    shown = {name: pseudonyms.of_key(value) if name.endswith("_key") else value for name, value in said.items()}
    images = tuple(selection.columns["filename"].take(np.array(rows)))
    return ChosenSeries(
        key=key,
        name=str(shown["series_key"]),
        fingerprint=fingerprint,
        split=splits.pop() if len(splits) == 1 else SEVERAL,
        label=label,
        label_level=level,
        said=shown,
        images=images,
    )


def _fingerprints(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """Of the contents of all files of each series, also of those that are hidden or failed, and of what is held."""
    states = defaultdict[str, Any](hashlib.sha256)
    for start in range(0, len(keys), BATCH_SERIES):
        batch = keys[start : start + BATCH_SERIES]
        columns = (files.c.series_key, files.c.digest, files.c.status, files.c.kind, files.c.frames)
        order = (files.c.series_key, files.c.digest, files.c.id)
        for key, *state in connection.execute(select(*columns).where(files.c.series_key.in_(batch)).order_by(*order)):
            states[key].update(repr(state).encode())
        for key, more in (*_held(connection, batch), *_drawn(connection, batch)):
            states[key].update(repr(more).encode())
    return {key: state.hexdigest()[:32] for key, state in states.items()}


def _held(connection: Connection, keys: Sequence[str]) -> list[tuple[str, int]]:
    """How many images of series are held back."""
    if not holds(connection):
        return []
    joined = frames.join(files, files.c.id == frames.c.file_id).join(shown_frames, shown_as())
    counted = select(files.c.series_key, func.count()).select_from(joined)
    of_series = counted.where(files.c.series_key.in_(keys), is_held(shown_frames)).group_by(files.c.series_key)
    return [(row[0], row[1]) for row in connection.execute(of_series)]


def _drawn(connection: Connection, keys: Sequence[str]) -> list[tuple[str, bytes]]:
    """The contents of the segmentations that were drawn on slices of each series."""
    slices, drawings, said = files.alias("slices"), files.alias("drawings"), image_references.c
    joined = image_references.join(slices, slices.c.sop_instance_uid == said.target_sop_instance_uid)
    joined = joined.join(drawings, drawings.c.id == said.file_id)
    columns = (slices.c.series_key, drawings.c.digest)
    found = select(*columns).select_from(joined).where(said.kind == ReferenceKind.SEGMENT.value).distinct()
    return [
        (row[0], row[1]) for row in connection.execute(found.where(slices.c.series_key.in_(keys)).order_by(*columns))
    ]
