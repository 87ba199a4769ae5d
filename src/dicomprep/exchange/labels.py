"""Import and export of labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from dicomprep.database.queries import labeling
from dicomprep.database.queries.exchange import label_events
from dicomprep.database.queries.frames import Choice, class_names, select_frames
from dicomprep.database.queries.kinds import ALL
from dicomprep.database.writes.exchange import GivenLabel, LabelsAdded, add_labels
from dicomprep.errors import ConfigError, count_of
from dicomprep.exchange.classes import Spelling, same_classes
from dicomprep.exchange.matching import IDENTITIES, MAX_SHOWN_ROWS, MatchResult, match_frames
from dicomprep.exchange.pseudonyms import Shown
from dicomprep.exchange.tables import ReadTable, read_table, write_table
from dicomprep.workspace import Workspace

__all__ = ["LabelsExported", "LabelsImported", "export_labels", "import_labels"]

NOTHING = ("", "nan")
"""What a cell without a label holds, in small letters: pandas writes nan where it turns everything into text."""
TRUE = ("1", "1.0", "true", "yes")


@dataclass(frozen=True, slots=True)
class LabelsImported:
    """The result of an import."""

    recorded: int
    unchanged: int
    """Rows whose label is already the annotator's current one of the image."""
    empty: int
    """Rows without a label."""
    matched: MatchResult
    changes: tuple[str, ...] = ()
    """Labels that were replaced or are older than the current ones, in lines for a person."""


def import_labels(workspace: Workspace, file: Path, *, annotator: str) -> LabelsImported:
    """Append the labels of a table to the log; a row's own `annotator` goes before the one given here.

    All of it or nothing. Raises ConfigError where the table is none, does not say which images are meant, or has two
    rows that say different things of one image in the name of one annotator. Of a history (with `created_at`) the
    newest row counts, and only where it is newer than what stands.
    """
    table = read_table(file, (*IDENTITIES, "label"))
    names = table.column("label")
    if names is None:
        there = ", ".join(name for name in table.names if name)
        raise ConfigError(f"{file}: no column `label`. Columns found: {there}.")
    with workspace.reading() as connection:
        matched = match_frames(connection, workspace, table)
        spelling = Spelling(labeling.class_names(connection), class_names(connection))
    labels = [_said(name, negative, spelling) for name, negative in zip(names, _negatives(table), strict=True)]
    rows = list(_rows(table, matched, labels, annotator))
    is_history = bool(rows) and all(row.said_at for row in rows)
    kept = _newest(rows) if is_history else _agreeing(table, [row for row in rows if row.label is not None])
    with workspace.writing() as store, store.transaction() as connection:
        added = add_labels(connection, [row for row in kept if row.label is not None], same=same_classes)
    again = 0 if is_history else sum(row.label is not None for row in rows) - len(kept)
    changes = tuple(_changes(table, added))
    return LabelsImported(added.recorded, added.unchanged + again, labels.count(None), matched, changes)


@dataclass(frozen=True, slots=True)
class LabelsExported:
    """The result of an export."""

    rows: int
    by_id: bool
    """Whether ids name the images, for the data set's key file is lost."""


def export_labels(workspace: Workspace, file: Path, *, shown: Shown, history: bool) -> LabelsExported:
    """Write the label of every frame that has one, or all events of the log.

    Of labels with several classes one may name none: a column `negative` tells that from no label.
    """
    with workspace.reading() as connection:
        shown = shown.readable(workspace)
        identify = shown.opened(workspace)
        choice = Choice(labeled=not history, held=True, kind=(ALL,))
        found = list(chain.from_iterable(select_frames(connection, [*shown.sources, "label"], choice)))
        if history:
            ids = {row[0]: identify(row) for row in found}
            events = [(ids[name], *event) for name, *event in label_events(connection) if name in ids]
        else:
            events = [(identify(row), row[-1]) for row in found]
    more = {"label": "text"} | ({"annotator": "text", "created_at": "text"} if history else {})
    if any(event[1] == "" for event in events):
        more["negative"] = "integer"
        events = [(*event, int(event[1] == "")) for event in events]
    write_table(file, shown.columns | more, [(*names, *event) for names, *event in events])
    return LabelsExported(len(events), shown.by_id)


def _said(cell: str, negative: str, spelling: Spelling) -> str | None:
    """The label of a row; None where it has none, empty where it has none of the classes."""
    if cell.lower() not in NOTHING:
        return spelling.of(cell)
    return "" if negative.lower() in TRUE else None


def _negatives(table: ReadTable) -> list[str]:
    return table.column("negative") or [""] * len(table.rows)


def _rows(table: ReadTable, matched: MatchResult, labels: Sequence[str | None], annotator: str) -> Iterator[GivenLabel]:
    """Labels of images in the database."""
    nobody = [""] * len(labels)
    annotators, times = table.column("annotator") or nobody, table.column("created_at") or nobody
    for row, (frame_id, label) in enumerate(zip(matched.frame_ids, labels, strict=True)):
        if frame_id is not None:
            yield GivenLabel(frame_id, label, annotators[row] or annotator, row, _time(times[row]))


def _time(text: str) -> str:
    """A moment as the log writes it, so that texts can be compared; empty where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _newest(rows: Sequence[GivenLabel]) -> list[GivenLabel]:
    """Of a history what each annotator said last of each image."""
    ordered = sorted(rows, key=lambda row: (row.said_at, row.row))
    return list({(row.frame_id, row.annotator): row for row in ordered}.values())


def _agreeing(table: ReadTable, rows: Sequence[GivenLabel]) -> list[GivenLabel]:
    """One row for each image and annotator; ConfigError where two say different things."""
    first: dict[tuple[int, str], GivenLabel] = {}
    for row in rows:
        known = first.setdefault((row.frame_id, row.annotator), row)
        if not same_classes(known.label or "", row.label or ""):
            lines = f"rows {table.lines[known.row]} and {table.lines[row.row]}"
            raise ConfigError(
                f"{table.path}: {lines} contradict each other: the same image is {_named(known.label)} and "
                f"{_named(row.label)} for the same annotator. Give one row per image and annotator; "
                "separate several classes in one cell by commas. Nothing was imported."
            )
    return list(first.values())


def _changes(table: ReadTable, added: LabelsAdded) -> Iterator[str]:
    for rows, what, how in (
        (added.replaced, "replaced: the annotator had given another label", "{new} instead of {old}"),
        (added.older, "skipped: older than the annotator's current label", "{old}, not {new}"),
    ):
        if rows:
            yield f"{count_of(len(rows), 'label')} {what}:"
        for one, before in rows[:MAX_SHOWN_ROWS]:
            yield f"  row {table.lines[one.row]}: {how.format(new=_named(one.label), old=_named(before))}"
        if len(rows) > MAX_SHOWN_ROWS:
            yield f"  and {len(rows) - MAX_SHOWN_ROWS:,} more"


def _named(label: str | None) -> str:
    return label or "none of the classes"
