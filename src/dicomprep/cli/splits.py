"""`dicomprep splits import FILE`, `splits export FILE` and `splits overlap COMMITMENTS LIST`."""

import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB, SPLIT_NAMES
from dicomprep.errors import ConfigError, count_of
from dicomprep.exchange.commitments import (
    SECONDS_A_PATIENT,
    commit,
    find_overlap,
    load_commitments,
    new_code,
)
from dicomprep.exchange.patients import RowUnit
from dicomprep.exchange.splits import (
    MAX_SHOWN_ROWS,
    SplitsImported,
    committable_groups,
    export_splits,
    import_splits,
)
from dicomprep.storage.sync import replace_file
from dicomprep.workspace import Workspace

__all__ = ["splits"]

splits = App(name="splits", help="Import an official split, export splits, test for patients in common.")


@splits.command(name="import")
def import_(
    file: Path,
    *,
    by: RowUnit | None = None,
    new_in_test: Flag = False,
    dry_run: Flag = False,
    db: Db = DEFAULT_DB,
) -> int:
    """Put patients into the splits that a CSV or Parquet table names, such as the official split of a data set.

    It needs a column `split` (train, val, valid, validation, dev, test, holdout …) and one that names patients,
    studies, series or images. Patients move as a whole, with all of their IDs, also if they are labeled. If the table
    names a test split, nobody else is in test, now or later.

    Parameters
    ----------
    file
        A .csv, .tsv, .txt or .parquet file; separator and encoding are detected.
    by
        What a row names: patient (Patient ID), study, series (their UIDs), image (as for labels) or key (patient_key
        of an export). By default the column by which most rows match.
    new_in_test
        Leave and draw other patients for test, too: it is then no longer the official one.
    dry_run
        Only show what would be done.

    """
    done = import_splits(Workspace.open(db), file, by=by, new_in_test=new_in_test, dry_run=dry_run)
    for line in _describe(done, dry_run=dry_run):
        print(printable(line))
    return int(done.has_no_match)


@splits.command
def export(
    file: Path,
    *,
    split: list[str] | None = None,
    commit: Flag = False,
    code_file: Path | None = None,
    db: Db = DEFAULT_DB,
) -> int:
    """Export the split and fold of each patient under the pseudonym of exports; or commitments for `splits overlap`.

    Parameters
    ----------
    file
        CSV or Parquet file to write; with --commit a JSON file.
    split
        Only patients of this split; repeatable.
    commit
        Write a salted slow hash of each Patient ID. Somebody who has the file and the code, which is printed and goes
        to him by another way, can test a list of patients; without the code no guess can be tested.
    code_file
        For --commit: write the code to this file instead.

    """
    workspace = Workspace.open(db)
    if not commit:
        if code_file is not None:
            raise ConfigError("--code-file goes with --commit.")
        print(f"Wrote {count_of(export_splits(workspace, file, splits=split or ()), 'row')} to {printable(str(file))}.")
        return 0
    return _commit(workspace, file, split or [], code_file)


@splits.command
def overlap(commitments: Path, patients: Path, *, code_file: Path | None = None) -> int:
    """Test which patients of a list are among those that somebody else committed to; exits with 1 if any are.

    No database is needed. The other party learns nothing; you learn nothing of patients who are not in your list.

    Parameters
    ----------
    commitments
        File that `dicomprep splits export --commit` wrote.
    patients
        CSV or Parquet table with a column of Patient IDs.
    code_file
        File with the code; without it you are asked for it.

    """
    known = load_commitments(commitments)
    found = find_overlap(known, patients, _read_code(code_file))
    print(
        f"{len(found.lines):,} of {count_of(found.patients, 'patient')} in {printable(str(patients))} "
        f"are among the {found.committed:,} committed."
    )
    if found.unusable:
        print(f"{count_of(found.unusable, 'row')} without a usable Patient ID not tested.")
    if found.lines:
        print(f"Rows: {', '.join(map(str, found.lines))}")
    return int(bool(found.lines))


def _describe(done: SplitsImported, *, dry_run: bool) -> Iterator[str]:
    """What became of the rows and of patients."""
    assigned = done.assigned
    named = ", ".join(f"{name} {done.patients.get(name, 0):,}" for name in SPLIT_NAMES)
    verb = "would be put" if dry_run else "put"
    yield f"{count_of(sum(done.patients.values()), 'patient')} {verb} into splits by {done.matched.heading}: {named}."
    yield f"{count_of(assigned.moved, 'group')} {'would move' if dry_run else 'moved'} to another split."
    if assigned.left_test:
        yield f"  {assigned.left_test:,} of them left test, because the table does not name them."
    if assigned.labeled_groups:
        images = count_of(assigned.labeled_images, "labeled image")
        yield f"  {assigned.labeled_groups:,} of them with {images}: models trained on them before may know your test."
    yield from done.conflicts[:MAX_SHOWN_ROWS]
    if len(done.conflicts) > MAX_SHOWN_ROWS:
        yield f"and {len(done.conflicts) - MAX_SHOWN_ROWS:,} more patients who are named in two splits."
    if done.unmatched:
        rows = ", ".join(map(str, done.unmatched[:MAX_SHOWN_ROWS]))
        more = ", …" if len(done.unmatched) > MAX_SHOWN_ROWS else ""
        yield f"{count_of(len(done.unmatched), 'row')} matched no patient of this data set: {rows}{more}."
    if done.without_split:
        yield f"{count_of(done.without_split, 'row')} without a split skipped."
    if done.closed_test:
        yield "New patients are not drawn for test from now on (--new-in-test allows it)."


def _commit(workspace: Workspace, file: Path, split: list[str], code_file: Path | None) -> int:
    key, seed, groups, left_out = committable_groups(workspace, split)
    minutes = len(groups) * SECONDS_A_PATIENT / (os.cpu_count() or 1) / 60
    if minutes > 1:
        print(f"Hashing {count_of(len(groups), 'patient')}: about {minutes:.0f} minutes.", flush=True)
    code = new_code()
    commit(groups, key=key, seed=seed, code=code).write(file)
    print(f"Wrote commitments to {count_of(len(groups), 'patient ID')} to {printable(str(file))}.")
    if left_out:
        print(f"{count_of(left_out, 'group')} without a usable Patient ID left out.")
    if code_file is not None:
        replace_file(code_file, f"{code}\n".encode(), mode=0o600)
        print(f"The code is in {printable(str(code_file))}. Send it by another way than the file.")
    else:
        print(f"Code: {code}\nIt is kept nowhere. Send it by another way than the file (telephone, another e-mail).")
    return 0


def _read_code(path: Path | None) -> str:
    if path is None:
        if not sys.stdin.isatty():
            raise ConfigError("Which code? Give --code-file.")
        return getpass.getpass("Code: ")
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a code.") from error
