"""Which image, series, study or patient each row of a table matches, and by which of its columns."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.errors import ConfigError
from dicomprep.exchange.columns import Cells
from dicomprep.exchange.dialects import normalized_heading
from dicomprep.exchange.finding import ANY_FRAME, find_images
from dicomprep.exchange.kinds import IDENTITIES, LEVELS, Kind, Level, kinds_of, level_of
from dicomprep.exchange.prefixes import without_common_folder
from dicomprep.exchange.tables import ReadTable
from dicomprep.exchange.units import UnitSearch
from dicomprep.workspace import Workspace

__all__ = ["IDENTITIES", "MatchResult", "match_frames", "match_rows"]

_WHOLE = re.compile(r"([0-9]{1,18})(?:[.,]0*)?")
"""A whole number, also as pandas (`1.0`) and spreadsheets with decimal commas write it."""

PROBED_ROWS = 200
"""Rows by which a column without a telling heading is judged."""
ENOUGH = 0.5
"""A narrower column is used if it matches this part of what a wider one does; one without a telling heading, of all."""


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What each row of a table matches."""

    table: ReadTable
    by: str
    """The column that was used."""
    kind: Kind
    ids: NDArray[np.int64]
    """Of each row the image's id, or where the unit stands in `keys`, from 1; 0 where none, or one of several."""
    counts: NDArray[np.int32]
    """How many images or units each row matches."""
    keys: NDArray[np.bytes_] = field(default_factory=lambda: np.zeros(0, "S32"))
    """Of series, studies or patients."""
    several: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """The units of rows that are meant for all of several."""
    notes: tuple[str, ...] = ()
    """How the column was chosen or read, in sentences."""

    @property
    def level(self) -> Level:
        """What the rows are about."""
        return level_of(self.kind)

    @property
    def frame_ids(self) -> list[int | None]:
        """Of each row; None where no image, or several, match."""
        return [frame_id or None for frame_id in self.ids.tolist()]

    @property
    def unmatched(self) -> list[int]:
        """The rows that match nothing, or one of several, counted from 0."""
        return np.flatnonzero(self.ids == 0).tolist()

    @property
    def has_no_match(self) -> bool:
        """Whether there are rows and none of them matches."""
        return len(self.ids) > 0 and not self.ids.any()

    @property
    def share(self) -> float:
        """The part of the rows with a cell that match."""
        return float(np.count_nonzero(self.ids) / max(1, len(self.ids)))

    def key(self, number: int) -> str:
        """The key of a unit, by its place from 1."""
        return bytes(self.keys[number - 1]).decode()


def match_frames(connection: Connection, workspace: Workspace, table: ReadTable) -> MatchResult:
    """Find the image of each row; ConfigError where no column identifies it.

    Of several such columns the first that matches anything is used; `id` only where it is alone.
    """
    named = [(kind, heading) for kind, heading in _named(table) if level_of(kind) is Level.FRAME]
    if not named:
        wanted = "`filename` or `id`, `key` (of an export), or `sop_instance_uid` and `frame_number`"
        raise ConfigError(
            f"{table.path}: no column identifies the images. Give {wanted}. Columns found: {_columns(table)}."
        )
    tried = [_match(connection, workspace, table, *one) for one in _without_row_numbers(named)]
    return next((matched for matched in tried if not matched.has_no_match), tried[0])


def match_rows(
    connection: Connection,
    workspace: Workspace,
    table: ReadTable,
    *,
    by: str | None = None,
    without: Sequence[str] = (),
) -> MatchResult:
    """Find what each row is about: images, series, studies or patients.

    By the heading of a column, where it says so, and by how many rows match; of several levels the narrowest, for a
    table of images says of which patient they are. `by` names a column, a kind, or both (`COLUMN=KIND`). `without`
    are columns that name nothing. Raises ConfigError where no column identifies the rows, or it is in doubt which.
    """
    if by is not None:
        tried = [_match(connection, workspace, table, *one) for one in _asked(table, by)]
        return max(tried, key=lambda matched: matched.share)
    named = _with_named_ids(table, _without_row_numbers(_named(table, without)))
    if not named:
        return _match_any(connection, workspace, table, without)
    tried = [_match(connection, workspace, table, *one) for one in named]
    matching = [matched for matched in tried if not matched.has_no_match]
    if not matching:
        return next((m for m in tried if m.level is Level.FRAME), tried[0])
    best = max(matched.share for matched in matching)
    chosen = min(
        (matched for matched in matching if matched.share >= ENOUGH * best),
        key=lambda matched: (LEVELS.index(matched.level), -matched.share),
    )
    _require_no_doubt(chosen, tried)
    return chosen


def _match_any(connection: Connection, workspace: Workspace, table: ReadTable, without: Sequence[str]) -> MatchResult:
    """By a column whose heading does not tell, where most of its first cells match."""
    probe = table.head(PROBED_ROWS)
    for heading in (name for name in table.names if name and name not in without):
        if len(set(probe.values(heading)) - {""}) < min(2, len(table)):
            continue
        for kind in (kind for kind in Kind if kind is not Kind.ID):
            if _match(connection, workspace, probe, kind, heading).share >= ENOUGH:
                matched = _match(connection, workspace, table, kind, heading)
                return replace(matched, notes=("No heading tells what the rows are about.", *matched.notes))
    wanted = "`filename`, `sop_instance_uid`, `series_id`, `study_id`, `accession_number` or `patient_id`"
    raise ConfigError(
        f"{table.path}: no column identifies the images, or their series, studies or patients. Name one {wanted}, "
        f"or give --by COLUMN=KIND. Columns found: {_columns(table)}."
    )


def _require_no_doubt(chosen: MatchResult, tried: Sequence[MatchResult]) -> None:
    """ConfigError where rows are about images of which none matches, and all that does is whose images they are."""
    narrower = [m for m in tried if LEVELS.index(m.level) < LEVELS.index(chosen.level)]
    used = chosen.ids[chosen.ids > 0]
    if narrower and len(np.unique(used)) < len(used):
        named = " or ".join(f"`{matched.by}`" for matched in narrower)
        raise ConfigError(
            f"{chosen.table.path}: no row matches by {named}, but rows match several times by `{chosen.by}` "
            f"({chosen.level}). If the labels are of the {chosen.level}, give --by {chosen.by}."
        )


def _asked(table: ReadTable, by: str) -> list[tuple[Kind, str]]:
    """What `--by` says: the columns to try, each as each kind."""
    column, _, kind_name = by.partition("=")
    heading = table.heading(column)
    wanted = normalized_heading(kind_name or column)
    kinds = _BY_NAME.get(wanted, ())
    if heading is not None and (not kind_name or kinds):
        return [(kind, heading) for kind in (kinds if kind_name else kinds_of(heading) or tuple(Kind))]
    found = [(kind, name) for kind, name in _named(table) if kind in kinds]
    if not found:
        raise ConfigError(
            f"--by {by}: give a column of the table, what it names ({', '.join(Kind)}), or COLUMN=KIND. "
            f"Columns found: {_columns(table)}."
        )
    return found


_BY_NAME: dict[str, tuple[Kind, ...]] = {
    **{normalized_heading(kind): (kind,) for kind in Kind},
    "image": (Kind.FILENAME, Kind.SOP_INSTANCE_UID, Kind.KEY, Kind.ID),
    "study": (Kind.STUDY, Kind.STUDY_NUMBER, Kind.ACCESSION, Kind.FOLDER),
    "studyid": (Kind.STUDY_NUMBER,),
    "accessionnumber": (Kind.ACCESSION,),
}


def _named(table: ReadTable, without: Sequence[str] = ()) -> list[tuple[Kind, str]]:
    """Columns whose headings say what they name, by kind, the surest kind first: a number may be that of a row."""
    found: list[tuple[Kind, str]] = []
    for heading in table.names:
        kinds = kinds_of(heading) if heading not in without else ()
        if kinds:
            table.heading(heading)  # refuses one of two that differ only in spelling
        found += [(kind, heading) for kind in kinds]
    return sorted(found, key=lambda one: list(Kind).index(one[0]))


def _without_row_numbers(named: list[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """An `id` counts only where it is the only such column."""
    return [one for one in named if one[0] is not Kind.ID or len(named) == 1]


def _with_named_ids(table: ReadTable, named: list[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """An `id` may be a name of an image as well; it is nothing else where it is no number."""
    if [kind for kind, _ in named] != [Kind.ID]:
        return named
    heading = named[0][1]
    is_number = all(_WHOLE.fullmatch(value) for value in table.values(heading).values if value)
    return [*(named if is_number else []), (Kind.FILENAME, heading)]


def _match(connection: Connection, workspace: Workspace, table: ReadTable, kind: Kind, heading: str) -> MatchResult:
    cells = table.values(heading)
    if level_of(kind) is not Level.FRAME:
        found = UnitSearch(connection, workspace.key, kind).find(cells)
        return MatchResult(table, heading, kind, found.ids, found.counts, found.keys, found.several)
    numbers = list(_frame_numbers(table, kind))
    if kind is Kind.ID:
        cells = cells.mapped(partial(_plain_id, table, cells))
    images = find_images(connection, workspace, kind, cells, numbers)
    notes: tuple[str, ...] = ()
    stripped = without_common_folder(cells) if kind is Kind.FILENAME and not images.counts.any() else None
    if stripped is not None:
        images = find_images(connection, workspace, kind, stripped.cells, numbers)
        notes = (f"Paths were compared without their first folders, {stripped.folder}.",) if images.counts.any() else ()
    ids = np.where(images.counts == 1, images.ids, 0)
    return MatchResult(table, heading, kind, ids, images.counts, notes=notes)


def _plain_id(table: ReadTable, values: Cells, text: str) -> str:
    whole = _WHOLE.fullmatch(text)
    if whole is None and text:
        row = list(values).index(text)
        raise ConfigError(f"{table.path}, row {table.lines[row]}: the id {text} is not a number.")
    return str(int(whole[1])) if whole is not None else ""


def _frame_numbers(table: ReadTable, kind: Kind) -> Iterator[int]:
    given = table.column("frame_number")
    if given is None or kind is Kind.ID:
        yield from (ANY_FRAME for _ in range(len(table)))
        return
    for row, number in enumerate(given):
        frame = _WHOLE.fullmatch(number)
        if number and frame is None:
            place = f"{table.path}, row {table.lines[row]}"
            raise ConfigError(f"{place}: frame_number {number} is not a whole number from 0.")
        yield int(frame[1]) if frame is not None else ANY_FRAME


def _columns(table: ReadTable) -> str:
    return ", ".join(name for name in table.names if name)
