"""Import of labels: of images, series, studies or patients, from a table of any shape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.consensus import Consensus, count_undecided, set_consensus
from dicomprep.database.queries import classes
from dicomprep.database.queries.frames import class_names
from dicomprep.database.queries.units import count_images, count_units
from dicomprep.database.writes.exchange import GivenLabel, LabelsAdded, add_labels
from dicomprep.database.writes.labels import add_classes
from dicomprep.errors import count_of, like
from dicomprep.exchange.agreeing import Kept, Rule, Votes, keep_one_each
from dicomprep.exchange.classes import Spelling, same_classes
from dicomprep.exchange.kinds import IDENTITIES, Level
from dicomprep.exchange.label_columns import ANNOTATORS, Said, Uncertain, read_labels, read_one_hot
from dicomprep.exchange.matching import MatchResult, match_rows
from dicomprep.exchange.names import MAX_CLASSES, can_be_class
from dicomprep.exchange.row_report import MAX_SHOWN_ROWS, find_candidates
from dicomprep.exchange.tables import ReadTable, read_table
from dicomprep.workspace import Workspace

__all__ = ["ImportOptions", "LabelsImported", "import_labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a table of labels is read."""

    annotator: str = "imported"
    """Who gave the labels of rows that do not say so."""
    by: str | None = None
    """Which column names what the rows are about, or what it names: `match_rows`."""
    label: Sequence[str] = ()
    """Columns of labels or classes."""
    rule: Rule = field(default_factory=Rule)
    uncertain: Uncertain = Uncertain.KEEP
    adjudicated: bool = False
    """The labels decide where readers differ."""
    consensus: Consensus | None = None
    """The data set's rule from now on."""


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
    candidates: dict[int, str] | None = None
    """How rows that match nothing come nearest to something."""
    left_out: int = 0
    """Images or units of the database that no row of the table names."""
    undecided: int = 0
    """Images whose readers differ, so that they have no label."""
    new_classes: tuple[str, ...] = ()
    """Classes that came beside those that there were, each with the one that it may be a misspelling of."""


def import_labels(
    workspace: Workspace, file: Path, *, annotator: str = "imported", options: ImportOptions | None = None
) -> LabelsImported:
    """Append the labels of a table to the log; a row's own annotator goes before the one given.

    All of it or nothing. Raises ConfigError where the table is none, does not say what its rows are about, or has two
    rows that say different things of one image in the name of one annotator. Of a history (with `created_at`) the
    newest row counts, and only where it is newer than what stands.
    """
    options = options or ImportOptions(annotator=annotator)
    table = read_table(file, (*IDENTITIES, "label"))
    said = read_labels(table, options.label, uncertain=options.uncertain, multi=options.rule.multi)
    with workspace.reading() as connection:
        said, matched = _match(connection, workspace, said, options)
        former = classes.former_names(connection)
        renamed = classes.describe_former(former, {*filter(None, said.values), *said.classes})
        said = replace(said, classes=tuple(dict.fromkeys(former.get(name, name) for name in said.classes)))
        known = dict.fromkeys([*classes.class_names(connection), *said.classes])
        spelling = Spelling(list(known), class_names(connection))
        candidates = find_candidates(connection, workspace, matched)
        left_out = _count_left_out(connection, matched)
    said = said.mapped(lambda text: spelling.of(classes.name_today(text, former)))
    votes = _votes(said, matched, options.annotator)
    kept = keep_one_each(said, votes, options.rule, what=matched.level)
    with workspace.writing() as store, store.transaction() as connection:
        if options.consensus is not None:
            set_consensus(connection, options.consensus)
        new = _add_new_classes(connection, said, _given(said, matched, votes, kept))
        given = _given(said, matched, votes, kept)
        added = add_labels(connection, given, level=matched.level, adjudicated=options.adjudicated, same=same_classes)
        undecided = count_undecided(connection)
    empty = int(np.count_nonzero(_is_empty(said)))
    return LabelsImported(
        added.recorded,
        added.unchanged + kept.repeated,
        empty,
        replace(matched, notes=(*said.notes, *renamed, *matched.notes, *([kept.note] if kept.note else []))),
        tuple(_changes(table, added)),
        candidates,
        left_out,
        undecided,
        new,
    )


def _add_new_classes(connection: Connection, said: Said, given: Iterator[GivenLabel]) -> tuple[str, ...]:
    """Number the classes that come: in the order of their columns, else of the alphabet.

    Returns those that come beside others, with what they nearly are called.
    """
    listed = classes.class_names(connection)
    labels = {one.label for one in given}
    named = said.classes if labels else ()
    used = sorted({name for label in labels for name in classes.classes_of(label)})
    new = [name for name in dict.fromkeys([*named, *used]) if name not in listed and can_be_class(name)]
    if len(listed) + len(new) > MAX_CLASSES:  # numbers, or texts
        new = [name for name in named if name not in listed]
    add_classes(connection, new)
    return tuple(f"{name}{like(name, listed)}" for name in new if listed)


def _match(
    connection: Connection, workspace: Workspace, said: Said, options: ImportOptions
) -> tuple[Said, MatchResult]:
    """What rows are about; ids are taken apart into an image and a class where they name nothing as they stand."""
    matched = match_rows(connection, workspace, said.table, by=options.by, without=said.headings)
    one_hot = read_one_hot(said.table, uncertain=options.uncertain) if matched.has_no_match else None
    if one_hot is None:
        return said, matched
    parted = match_rows(connection, workspace, one_hot.table, by=options.by, without=one_hot.headings)
    return (said, matched) if parted.has_no_match else (one_hot, parted)


def _count_left_out(connection: Connection, matched: MatchResult) -> int:
    """How many images, or units of the level, no row names."""
    of_units = {unit for units in matched.several.values() for unit in units}
    named = len(np.union1d(matched.ids[matched.ids > 0], np.array(sorted(of_units), np.int64)))
    every = count_images(connection) if matched.level is Level.FRAME else count_units(connection, matched.level)
    return max(0, every - named)


def _is_empty(said: Said) -> NDArray[np.bool_]:
    return np.array([value is None for value in said.values], bool)[said.codes]


def _votes(said: Said, matched: MatchResult, annotator: str) -> Votes:
    """The rows with a label of something that is there, and who gave it when."""
    table = said.table
    heading = table.heading(*ANNOTATORS)
    given = [annotator] * len(table) if heading is None else [one or annotator for one in table.values(heading)]
    names = {name: number for number, name in enumerate(dict.fromkeys(given))}
    who = np.fromiter(map(names.__getitem__, given), np.int32, len(given))
    created = table.column("created_at")
    times = created.mapped(_time) if created is not None else None
    there = np.flatnonzero(matched.ids)
    is_history = times is not None and len(there) > 0 and all(times[row] for row in there.tolist())
    rows = np.flatnonzero((matched.ids > 0) & ~_is_empty(said))
    return Votes(rows, matched.ids[rows], who[rows], tuple(names), times if is_history else None)


def _given(said: Said, matched: MatchResult, votes: Votes, kept: Kept) -> Iterator[GivenLabel]:
    """The labels that count, in the order of their rows; an order's of all its studies."""
    for vote in kept.votes.tolist():
        row, target = int(votes.rows[vote]), int(votes.targets[vote])
        label = kept.united.get(row, said.values[said.codes[row]])
        annotator, time = votes.names[votes.annotators[vote]], votes.times[row] if votes.times is not None else ""
        for unit in matched.several.get(row, (target,)):
            name = unit if matched.level is Level.FRAME else matched.key(unit)
            yield GivenLabel(name, label or "", annotator, row, time)


def _time(text: str) -> str:
    """A moment as the log writes it, so that texts can be compared; empty where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return ""
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds")


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


def _named(label: str) -> str:
    return label or "none of the classes"
