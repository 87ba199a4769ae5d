"""Export of labels: of images, series, studies or patients; what stands, or the whole log."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.consensus import count_undecided
from dicomprep.database.queries.exchange import label_events
from dicomprep.database.queries.frames import Choice, select_frames
from dicomprep.database.queries.kinds import ALL
from dicomprep.database.queries.units import count_labeled_units, current_unit_labels, decided_units, unit_events
from dicomprep.exchange.kinds import LEVELS, Level
from dicomprep.exchange.pseudonyms import Shown
from dicomprep.exchange.tables import write_table
from dicomprep.workspace import Workspace

__all__ = ["LabelsExported", "export_labels"]


@dataclass(frozen=True, slots=True)
class LabelsExported:
    """The result of an export."""

    rows: int
    by_id: bool
    """Whether ids name the images, for the data set's key file is lost."""
    undecided: int = 0
    """Images whose readers differ, so that they are not in a table of labels."""
    elsewhere: tuple[tuple[Level, int], ...] = ()
    """Other levels at which there are labels, and how many units have some."""


def export_labels(
    workspace: Workspace, file: Path, *, shown: Shown, history: bool, level: Level = Level.FRAME
) -> LabelsExported:
    """Write the label of everything that has one, or all events of the log.

    Of labels with several classes one may name none: a column `negative` tells that from no label.
    """
    with workspace.reading() as connection:
        undecided = 0 if history else count_undecided(connection)
        counts = [(other, count_labeled_units(connection, other)) for other in LEVELS if other is not level]
        shown = shown.readable(workspace) if level is Level.FRAME else shown
        read = _of_frames if level is Level.FRAME else _of_units
        columns, events = read(connection, workspace, shown, level, history=history)
    columns |= {"label": "text"}
    columns |= {"annotator": "text", "created_at": "text", "adjudicated": "integer"} if history else {}
    columns |= {"unsure": "integer"} | ({"note": "text"} if history else {})
    columns, events = _without_empty(columns, events)
    place = list(columns).index("label")
    if any(event[place] == "" for event in events):
        columns["negative"] = "integer"
        events = [(*event, int(event[place] == "")) for event in events]
    write_table(file, columns, events)
    elsewhere = tuple((other, count) for other, count in counts if count)
    return LabelsExported(len(events), shown.by_id, undecided, elsewhere)


_OPTIONAL = ("adjudicated", "unsure", "note")


def _without_empty(columns: dict[str, str], events: list[tuple[Any, ...]]) -> "_Events":
    """Leave out what nobody said anything in."""
    kept = [
        place for place, name in enumerate(columns) if name not in _OPTIONAL or any(event[place] for event in events)
    ]
    names = list(columns)
    return {names[place]: columns[names[place]] for place in kept}, [tuple(e[place] for place in kept) for e in events]


_Events = tuple[dict[str, str], list[tuple[Any, ...]]]
"""Columns that identify, and rows: what identifies, the label, and of a log more."""


def _of_frames(connection: Connection, workspace: Workspace, shown: Shown, _level: Level, *, history: bool) -> _Events:
    identify = shown.opened(workspace)
    choice = Choice(labeled=not history, held=True, kind=(ALL,))
    found = chain.from_iterable(select_frames(connection, [*shown.sources, "label", "unsure"], choice))
    if not history:
        return shown.columns, [(*identify(row), *row[-2:]) for row in found]
    ids = {row[0]: identify(row) for row in found}
    events = [(*ids[name], *event) for name, *event in label_events(connection) if name in ids]
    return shown.columns, events


def _of_units(connection: Connection, _workspace: Workspace, _shown: Shown, level: Level, *, history: bool) -> _Events:
    columns = {f"{level}_key": "text"}
    if history:
        events = unit_events(connection, level)
        return columns, [(e.key, e.label, e.annotator, e.created_at, e.adjudicated, e.unsure, e.note) for e in events]
    unsure = {said.key for said in current_unit_labels(connection, level) if said.unsure}
    decided = decided_units(connection, level)
    return columns, sorted((key, label, int(key in unsure)) for key, label in decided.items())
