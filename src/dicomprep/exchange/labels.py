"""Labels in and out."""

from dataclasses import dataclass
from pathlib import Path

from dicomprep.database.dataset_queries import Choice, select_frames
from dicomprep.database.exchange_queries import label_events
from dicomprep.database.exchange_store import add_labels
from dicomprep.database.opening import open_for_reading
from dicomprep.database.store import Store
from dicomprep.errors import ConfigError
from dicomprep.exchange.identities import Shown
from dicomprep.exchange.matching import Matched, match_frames
from dicomprep.exchange.tables import read_table, write_table

__all__ = ["LabelsImported", "export_labels", "import_labels"]


@dataclass(frozen=True, slots=True)
class LabelsImported:
    """What came of an import."""

    recorded: int
    unchanged: int
    """Rows whose image has this label already."""
    empty: int
    """Rows without a label."""
    matched: Matched


def import_labels(db: str, file: Path, *, annotator: str) -> LabelsImported:
    """Append the labels of a table to the log; a row's own `annotator` goes before the one given here.

    All of it or nothing. Raises ConfigError where the table is none, or does not say which images are meant.
    """
    table = read_table(file)
    names = table.column("label")
    if names is None:
        raise ConfigError(f"{file}: there is no column label.")
    annotators = [name or annotator for name in table.column("annotator") or [annotator] * len(names)]
    with open_for_reading(db) as connection:
        matched = match_frames(connection, db, table)
    given = [
        (frame_id, name, by)
        for frame_id, name, by in zip(matched.frame_ids, names, annotators, strict=True)
        if frame_id is not None and name
    ]
    store = Store(db)
    try:
        with store.transaction() as connection:
            recorded = add_labels(connection, given)
    finally:
        store.close()
    return LabelsImported(recorded, len(given) - recorded, names.count(""), matched)


def export_labels(db: str, file: Path, *, shown: Shown, history: bool) -> int:
    """Write the label of every frame that has one, or all events of the log; how many rows."""
    with open_for_reading(db) as connection:
        identify = shown.opened(connection, db)
        names = ["label", *shown.sources]
        choice = Choice(labelled=True, held=True)
        rows = [(*identify(row[1:]), row[0]) for row in select_frames(connection, names, choice)]
        more = {"label": "text"}
        if history:
            ids = {row[0]: identify(row) for row in select_frames(connection, list(shown.sources), Choice(held=True))}
            rows = [(*ids[name], *event) for name, *event in label_events(connection) if name in ids]
            more = {"label": "text", "annotator": "text", "created_at": "text"}
    write_table(file, shown.columns | more, rows)
    return len(rows)
