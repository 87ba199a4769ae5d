"""`dicomprep status`."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from dicomprep.cli.as_json import print_json
from dicomprep.cli.console import print_notes, print_section, print_table, printable
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.counts import count_by, count_groups
from dicomprep.database.queries.failures import list_failures
from dicomprep.database.queries.references import count_references
from dicomprep.database.queries.runs import last_runs
from dicomprep.database.writes.pictures import count_waiting
from dicomprep.database.writes.splits import recorded_seed
from dicomprep.errors import ConfigError, count_of
from dicomprep.exchange.cells import neutral_cell
from dicomprep.pipeline.concerns import concerns, unreachable_roots
from dicomprep.pipeline.dicomdirs import dicomdir_differences
from dicomprep.workspace import Workspace

__all__ = ["status"]

LAST_RUNS = 5
"""Runs that are listed."""

TABLES = (
    ("Files by status", "status"),
    ("Files by reason", "error_code"),
    ("Images by kind", "kind"),
    ("Images by modality", "modality"),
    ("Images by split", "split"),
)


def status(*, db: Db = DEFAULT_DB, failures: Flag = False, json: Flag = False) -> int:
    """Show what the database holds: files by status and reason, images by modality and split, the last runs.

    Parameters
    ----------
    failures
        List every file that failed, with its reason.
    json
        Print the counts, the last runs and the notes as one JSON object.

    """
    if failures and json:
        raise ConfigError("--failures is a table already, with a tab between columns: give it without --json.")
    workspace = Workspace.open(db)
    if failures:
        _print_failures(workspace)
    else:
        with workspace.reading() as connection:
            if json:
                print_json(_describe(connection))
            else:
                _print_status(connection)
    return 0


def _describe(connection: Connection) -> dict[str, Any]:
    """The same for scripts."""
    runs = [asdict(run) for run in last_runs(connection, LAST_RUNS)]
    for run in runs:
        del run["options"]
        run["root"], run["interrupted"] = run["root"].split("\n"), bool(run["interrupted"])
    return {
        **{_key(title): count_by(connection, what) for title, what in TABLES},
        "patients_by_split": count_groups(connection),
        "split_seed": recorded_seed(connection),
        "waiting": dict(count_waiting(connection)),
        "notes": _notes(connection),
        "last_runs": runs,
    }


def _key(title: str) -> str:
    return title.lower().replace(" ", "_")


def _notes(connection: Connection) -> list[str]:
    return [*concerns(connection), *dicomdir_differences(connection), *unreachable_roots(connection)]


def _print_status(connection: Connection) -> None:
    for title, what in TABLES:
        print_table(title, count_by(connection, what))
    print_table("Patients by split", count_groups(connection))
    seed = recorded_seed(connection)
    if seed is not None:
        print(f"Splits by --split-seed {printable(seed)}\n")
    for kind, count in count_waiting(connection).items():
        if count:
            print(f"{kind.capitalize()}s of {count_of(count, 'image')} wait for a picture that is missing now.")
    _print_references(connection)
    print_notes("Please note", _notes(connection))
    print("Last runs")
    for run in last_runs(connection, LAST_RUNS):
        state = "interrupted" if run.interrupted else "finished" if run.finished_at else "aborted"
        counts = f"{run.found:,} found, {run.processed:,} processed, {run.frames:,} images in {run.seconds:.1f} s"
        where = f" on Dask ({printable(run.cluster)})" if run.cluster else ""
        places = printable(run.root.replace("\n", ", "))
        print(f"  {run.started_at[:19].replace('T', ' ')}  {state}{where}: {counts}\n    {places}")


def _print_references(connection: Connection) -> None:
    """What files say of images, and how much of it of images that are here."""
    counts = count_references(connection)
    if counts:
        rows = [(count.kind, count.files, count.references, count.here) for count in counts]
        print_section("Files that describe images", ("", "files", "references", "to images here"), rows)


def _print_failures(workspace: Workspace) -> None:
    """Every file that failed: reason, path and detail, one line each."""
    with workspace.reading() as connection:
        failures = list(list_failures(connection))  # read first: a run could not write while somebody pages
    for failure in failures:
        detail = printable(failure.error_detail.strip().rpartition("\n")[2])
        print(failure.error_code, neutral_cell(printable(failure.path)), neutral_cell(detail), sep="\t")
