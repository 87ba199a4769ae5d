"""What happened to the rows of a table, for a person: matched one, several or nothing, and what comes nearest."""

import re
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from dicomprep.database.queries.exchange import named_frames
from dicomprep.errors import count_of
from dicomprep.exchange.finding import bare_name
from dicomprep.exchange.kinds import Kind, Level, kinds_of
from dicomprep.exchange.matching import MatchResult
from dicomprep.exchange.tables import write_table
from dicomprep.exchange.units import UnitSearch
from dicomprep.storage.naming import folded_name
from dicomprep.workspace import Workspace

__all__ = ["MAX_SHOWN_ROWS", "find_candidates", "report_rows"]

MAX_SHOWN_ROWS = 20
"""Rows that a message lists."""
MAX_CANDIDATES = 10
"""Unmatched rows for which something near is looked for."""

_NAMES = {Level.FRAME: "image", Level.SERIES: "series", Level.STUDY: "study", Level.PATIENT: "patient"}
_PLURALS = {"image": "images", "series": "series", "study": "studies", "patient": "patients"}
_ZEROS = re.compile(r"0+(?=[0-9])")
_SIGNS = re.compile(r"[\W_]+")
MAX_ZEROS = 12


def report_rows(matched: MatchResult, unmatched: Path | None, candidates: dict[int, str] | None = None) -> str:
    """What matched and what did not; the rows that did not in the file `unmatched`, if given.

    Numbers of patients and studies stand in no message: only the rows in which they are.
    """
    table, missing = matched.table, matched.unmatched
    if unmatched is not None:
        names = [name or f"column {place}" for place, name in enumerate(table.names, start=1)]
        columns = {"row": "integer"} | dict.fromkeys(names, "text")
        write_table(unmatched, columns, ((table.lines[number], *table.row(number)) for number in missing))
    if not len(table):
        return "The table has no rows."
    lines = [*_how(matched), *matched.notes]
    if not missing:
        return "\n".join([*lines, f"{count_of(len(table), 'row')} matched."])
    return "\n".join([*lines, *_missing(matched, missing), *_candidates(matched, candidates or {})])


def _how(matched: MatchResult) -> list[str]:
    """By which column and as what, where the heading alone does not tell."""
    if matched.level is Level.FRAME:
        return []
    said = {Kind.ACCESSION: "accession numbers", Kind.STUDY_NUMBER: "Study IDs", Kind.FOLDER: "names of folders"}
    name = _NAMES[matched.level]
    as_what = said.get(matched.kind, _PLURALS[name])
    lines = [f"Rows are about {_PLURALS[name]}: `{matched.by}` was read as {as_what} (--by reads another column)."]
    if matched.several:
        lines.append(f"{count_of(len(matched.several), 'row')} matched several {_PLURALS[name]} each.")
    return lines


def _missing(matched: MatchResult, missing: list[int]) -> list[str]:
    name, table = _NAMES[matched.level], matched.table
    several = int(np.count_nonzero((matched.counts > 1) & (matched.ids == 0)))
    one = len(table) - len(missing)
    verb = "matches" if len(missing) == 1 else "match"
    lines = [f"{len(missing):,} of {count_of(len(table), 'row')} {verb} no {name} in this database:"]
    values = table.values(matched.by)
    for number in missing[:MAX_SHOWN_ROWS]:
        found = int(matched.counts[number])
        many = f" matches {found:,} {_PLURALS[name]}" if found else ""
        shown = f" {values[number]}" if matched.level is Level.FRAME else ""
        cell = shown if values[number] else " is empty"
        lines.append(f"  row {table.lines[number]}: {matched.by}{cell}{many}")
    more = len(missing) - MAX_SHOWN_ROWS
    lines += [f"  and {more:,} more; --unmatched FILE.csv lists all"] if more > 0 else []
    none = len(missing) - several
    return [*lines, f"Rows by matches: {one:,} one, {several:,} several, {none:,} none."]


def _candidates(matched: MatchResult, candidates: dict[int, str]) -> list[str]:
    if not candidates:
        return []
    lines = [f"  row {matched.table.lines[row]}: {how}" for row, how in sorted(candidates.items())]
    return ["What comes nearest:", *lines]


def find_candidates(connection: Connection, workspace: Workspace, matched: MatchResult) -> dict[int, str]:
    """How the first rows that match nothing would match, if they were written otherwise.

    It says what differs, never what is recorded: that may be the number of another patient.
    """
    rows = [row for row in matched.unmatched if not matched.counts[row]][:MAX_CANDIDATES]
    values = matched.table.values(matched.by)
    cells = {row: values[row] for row in rows if values[row]}
    if not cells:
        return {}
    if matched.level is not Level.FRAME:
        kinds = dict.fromkeys((matched.kind, *kinds_of(matched.by))) if matched.has_no_match else (matched.kind,)
        searches = [UnitSearch(connection, workspace.key, kind) for kind in kinds]
        near = {
            row: next(filter(None, (_near_number(one, cell) for one in searches)), "") for row, cell in cells.items()
        }
        return {row: how for row, how in near.items() if how}
    return _near_names(connection, cells)


def _near_number(search: UnitSearch, cell: str) -> str:
    variants = {
        "matches without its leading zeros": cell.lstrip("0"),
        "matches without spaces and punctuation": _SIGNS.sub("", cell),
        "matches without what follows the last period": cell.rpartition(".")[0],
        "matches without the letters before its number": cell.lstrip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        ),
    }
    variants |= {
        f"matches with {count_of(zeros, 'more leading zero')}": "0" * zeros + cell for zeros in range(1, MAX_ZEROS)
    }
    return next((how for how, text in variants.items() if text not in ("", cell) and search.matches(text)), "")


def _near_names(connection: Connection, cells: dict[int, str]) -> dict[int, str]:
    wanted: dict[str, list[int]] = {}
    for row, cell in cells.items():
        wanted.setdefault(_loose(cell), []).append(row)
    near: dict[int, str] = {}
    for frame in named_frames(connection):
        for name in {frame.filename, frame.path}:
            for row in wanted.get(_loose(name), ()):
                near.setdefault(row, _difference(cells[row], name))
    return near


def _loose(text: str) -> str:
    """What is left of a name without folders, endings, case, signs and leading zeros."""
    return _SIGNS.sub("", _ZEROS.sub("", folded_name(bare_name(text))))


def _difference(cell: str, name: str) -> str:
    one, other = bare_name(cell), bare_name(name)
    if one == other:
        return "an image of this name is in another folder"
    if folded_name(one) == folded_name(other):
        return "an image is called so in other letters (case), in another folder"
    more = len(other) - len(one)
    if more and len(_ZEROS.sub("", one)) == len(_ZEROS.sub("", other)):
        return f"an image is called so with {count_of(abs(more), 'leading zero')} {'more' if more > 0 else 'fewer'}"
    return "an image is called so but for punctuation"
