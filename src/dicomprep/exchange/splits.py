"""Import of an official split, and export of splits under pseudonyms."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from dicomprep.database.connection import read_meta
from dicomprep.database.queries.options import last_splits
from dicomprep.database.queries.patients import RecordedGroup, heads_of, recorded_groups
from dicomprep.database.writes.imported import Assigned, assign_splits, decide
from dicomprep.database.writes.splits import close_test, recorded_seed, recorded_splits
from dicomprep.errors import ConfigError
from dicomprep.exchange.patients import HEADINGS, MatchedPatients, RowUnit, match_patients
from dicomprep.exchange.tables import ReadTable, read_table, write_table
from dicomprep.splits import SPLIT_NAMES, TEST, TRAIN, VAL, GroupBy, SplitRule
from dicomprep.workspace import Workspace

__all__ = ["MAX_SHOWN_ROWS", "SplitsImported", "committable_groups", "export_splits", "import_splits", "require_splits"]

COLUMNS = ("split", "set", "subset", "partition", "dataset split", "data split", "phase", "usage")
"""Names of the column that has the split."""

_WORDS = {
    TRAIN: ("train", "training", "trn"),
    VAL: ("val", "valid", "validate", "validation", "dev", "devel", "development", "tune", "tuning"),
    TEST: ("test", "testing", "tst", "holdout", "heldout", "eval", "evaluation"),
}
_SPLITS = {word: name for name, words in _WORDS.items() for word in words}
"""How tables write each split; capitals, spaces, hyphens and underscores do not count."""

MAX_SHOWN_ROWS = 10
"""Rows that a message lists."""


@dataclass(frozen=True, slots=True)
class SplitsImported:
    """What came of a table of splits."""

    matched: MatchedPatients
    rows: int
    unmatched: tuple[int, ...]
    """Rows that name nobody of this data set, as the file counts them."""
    without_split: int
    patients: Mapping[str, int]
    """Patients whom the table names, by split."""
    conflicts: tuple[str, ...]
    """Sentences on patients who are named in two splits, for they are one by an image, a study or an ID."""
    assigned: Assigned
    closed_test: bool
    """Test holds the patients of the table alone."""

    @property
    def has_no_match(self) -> bool:
        """Whether there are rows with a split and none names anybody."""
        return self.rows > self.without_split and not any(self.matched.groups)


class _Tried(Exception):
    """Ends a transaction that shall leave nothing behind."""


def import_splits(
    workspace: Workspace, file: Path, *, by: RowUnit | None = None, new_in_test: bool = False, dry_run: bool = False
) -> SplitsImported:
    """Put patients into the splits that a table names; with `dry_run` nothing is changed.

    Raises ConfigError where the table has no split or no identity, names another split than these three, or
    contradicts itself.
    """
    table = read_table(file, telling=(*HEADINGS, *COLUMNS))
    splits = _read_splits(table)
    workspace.require_images()
    with workspace.reading() as connection:
        group_by = GroupBy(read_meta(connection, "group_by") or GroupBy.PATIENT)
        matched = match_patients(connection, workspace, table, by, group_by)
    _require_consistent(table, matched, splits)
    done: SplitsImported | None = None
    try:
        with workspace.writing() as store, store.transaction() as connection:
            done = _import(connection, workspace.key, table, matched, splits, new_in_test=new_in_test)
            if dry_run:
                raise _Tried
    except _Tried:
        pass
    assert done is not None  # noqa: S101  (else an error has left this)
    return done


def export_splits(workspace: Workspace, file: Path, *, splits: Sequence[str] = ()) -> int:
    """Write the split and fold of each group under its pseudonym; how many there are."""
    require_splits(splits)
    with workspace.reading() as connection:
        known = recorded_groups(connection, splits)
    columns = {"patient_key": "text", "group_key": "text", "split": "text", "fold": "integer"}
    return write_table(file, columns, ((group.key, group.group_key, group.split, group.fold) for group in known))


def committable_groups(workspace: Workspace, splits: Sequence[str]) -> tuple[bytes, str, list[RecordedGroup], int]:
    """The key, the seed, the groups with a Patient ID, and how many others there are.

    Raises ConfigError in data sets without a seed: what they recorded depends on their key alone.
    """
    require_splits(splits)
    with workspace.reading() as connection:
        seed, known = recorded_seed(connection), recorded_groups(connection, splits)
    if seed is None:
        raise ConfigError(
            "This data set was begun by a release without split seeds: there is nothing recorded that another party "
            "could compare. Preprocess its files into another --db and --output-dir."
        )
    named = [group for group in known if group.kind == GroupBy.PATIENT]
    return workspace.key, seed, named, len(known) - len(named)


def require_splits(splits: Sequence[str]) -> None:
    """Raise ConfigError unless these are train, val and test."""
    wrong = [name for name in splits if name not in SPLIT_NAMES]
    if wrong:
        raise ConfigError(f"--split {wrong[0]}: choose from {', '.join(SPLIT_NAMES)}.")


def _import(
    connection: Connection,
    key: bytes,
    table: ReadTable,
    matched: MatchedPatients,
    splits: Sequence[str | None],
    *,
    new_in_test: bool,
) -> SplitsImported:
    heads = heads_of(connection)
    named: defaultdict[int, dict[int, str]] = defaultdict(dict)
    wanted: defaultdict[int, list[str]] = defaultdict(list)
    for row, (found, split) in enumerate(zip(matched.groups, splits, strict=True)):
        for group in found if split is not None else ():
            named[heads.get(group, group)][table.lines[row]] = str(split)
            wanted[group].append(str(split))
    closes_test = TEST in splits and not new_in_test
    if TEST in splits:
        close_test(connection, closed=closes_test)
    rule = SplitRule(key, recorded_splits(connection, last_splits(connection)), closes_test)
    assigned = assign_splits(connection, {g: decide(s) for g, s in wanted.items()}, rule, closes_test=closes_test)
    empty = splits.count(None)
    missing = [table.lines[n] for n, found in enumerate(matched.groups) if not found and splits[n] is not None]
    return SplitsImported(
        matched=matched,
        rows=len(splits),
        unmatched=tuple(missing),
        without_split=empty,
        patients=Counter(decide(rows.values()) for rows in named.values()),
        conflicts=tuple(_conflicts(named)),
        assigned=assigned,
        closed_test=closes_test,
    )


def _read_splits(table: ReadTable) -> list[str | None]:
    """The split of each row, None where the cell is empty; ConfigError for what is none."""
    heading = table.heading(*COLUMNS) or _telling_column(table)
    if heading is None:
        there = ", ".join(name for name in table.names if name)
        raise ConfigError(f"{table.path}: no column has splits. Call it split. Columns found: {there}.")
    splits: list[str | None] = []
    for row, value in enumerate(table.values(heading)):
        split = _split_of(value)
        if value and split is None:
            known = ", ".join(words[0] for words in _WORDS.values())
            raise ConfigError(f"{table.cell(row, heading)}: this is not a split. Write {known}, or leave it empty.")
        splits.append(split)
    return splits


def _telling_column(table: ReadTable) -> str | None:
    """The only column that has splits and nothing else."""
    telling = [name for name in table.names if name and _has_splits(table.values(name))]
    return telling[0] if len(telling) == 1 else None


def _has_splits(values: Sequence[str]) -> bool:
    filled = [value for value in values if value]
    return bool(filled) and all(_split_of(value) for value in filled)


def _split_of(value: str) -> str | None:
    return _SPLITS.get("".join(filter(str.isalnum, value.casefold())))


def _require_consistent(table: ReadTable, matched: MatchedPatients, splits: Sequence[str | None]) -> None:
    """Two rows that name the same and want different splits are a mistake of the table."""
    if matched.unit is RowUnit.IMAGE:
        return
    first: dict[str, int] = {}
    for row, (value, split) in enumerate(zip(table.values(matched.heading), splits, strict=True)):
        if not value or split is None:
            continue
        before = first.setdefault(value, row)
        if splits[before] != split:
            raise ConfigError(
                f"{table.path}: rows {table.lines[before]} and {table.lines[row]} name the same {matched.unit}, "
                f"but {splits[before]} and {split}. Correct one of them; nothing was changed."
            )


def _conflicts(named: Mapping[int, Mapping[int, str]]) -> Iterator[str]:
    for rows in named.values():
        if len(set(rows.values())) > 1:
            listed = ", ".join(f"{line} ({split})" for line, split in sorted(rows.items())[:MAX_SHOWN_ROWS])
            more = f" and {len(rows) - MAX_SHOWN_ROWS:,} more" if len(rows) > MAX_SHOWN_ROWS else ""
            yield f"Rows {listed}{more} are of one patient: now {decide(rows.values())}."
