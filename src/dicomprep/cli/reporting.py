"""What `status` and `inspect` print."""

import json
import shutil
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from dicomprep.checks.audit.audit import audit
from dicomprep.checks.audit.joining import Joining, join, unjoin
from dicomprep.checks.audit.small_groups import SMALL_GROUPS
from dicomprep.checks.inspect import inspect_file, render_in_terminal
from dicomprep.cli.console import print_notes, print_section, print_table, printable
from dicomprep.config import ImageOptions
from dicomprep.database.connection import connect, migrate, reading
from dicomprep.database.queries.counts import count_by, count_groups
from dicomprep.database.queries.failures import list_failures
from dicomprep.database.queries.runs import last_runs
from dicomprep.database.writes.pictures import count_waiting
from dicomprep.errors import ConfigError, InputError
from dicomprep.exchange.cells import neutral_cell
from dicomprep.pipeline.concerns import concerns, unreachable_roots
from dicomprep.pixels.png import encode_png
from dicomprep.storage.sync import drafted, require_place

__all__ = ["print_audit", "print_failures", "print_inspection", "print_status"]

LAST_RUNS = 5
_DIVIDED = "pairs of patients stay on two sides, for something of them is labelled"
MOST_MOVED = 50
"""So many patients are listed; JSON has all."""


def print_status(db: str) -> None:
    """Counts by state, error code, modality and split, and the last runs."""
    engine = connect(db, must_exist=True)
    migrate(engine)
    with reading(engine) as connection:
        for title, what in (
            ("Inputs by state", "status"),
            ("Inputs by reason", "error_code"),
            ("Images by modality", "modality"),
            ("Images by split", "split"),
        ):
            print_table(title, count_by(connection, what))
        print_table("Patients by split", count_groups(connection))
        for kind, count in count_waiting(connection).items():
            if count:
                images = f"image{'s' * (count != 1)}"
                print(f"The {kind}s of {count:,} {images} wait for a picture that is not there now.")
        print_notes("To be known", (*concerns(connection), *unreachable_roots(connection)))
        print("Last runs")
        for run in last_runs(connection, LAST_RUNS):
            state = "interrupted" if run.interrupted else "finished" if run.finished_at else "broke off"
            counts = f"{run.found:,} found, {run.processed:,} processed, {run.frames:,} images in {run.seconds:.1f} s"
            print(f"  {run.started_at[:19].replace('T', ' ')}  {state}: {counts}\n    {printable(run.root)}")
    engine.dispose()


def print_failures(db: str) -> None:
    """Every input that failed: reason, path and detail, one line each."""
    engine = connect(db, must_exist=True)
    migrate(engine)
    with reading(engine) as connection:
        failures = list(list_failures(connection))
    engine.dispose()  # before whoever reads this takes their time: a run could not write meanwhile
    for failure in failures:
        detail = printable(failure.error_detail.strip().rpartition("\n")[2])
        print(failure.error_code, neutral_cell(printable(failure.path)), neutral_cell(detail), sep="\t")


def print_audit(  # noqa: PLR0913
    db: str,
    *,
    as_json: bool,
    near: bool,
    change: Literal["join", "unjoin"] | None = None,
    most: int | None = None,
    dry_run: bool = False,
    k: int = 0,
    strict: bool = False,
) -> int:
    """The audit's sections as tables or as JSON, after a `change`; 1 where a leak was found and not mended.

    With `strict` also where there are groups of fewer than `k` patients.
    """
    done = unjoin(db, dry_run=dry_run) if change == "unjoin" else None
    sections = audit(db, near=near, k=k)
    if change == "join":
        done = join(db, sections, most=most, dry_run=dry_run)
        sections = sections if dry_run else audit(db, near=near, k=k)
    leaks = sum(section.leaks for section in sections)
    code = int(leaks > 0 or (strict and any(section.rows for section in sections if section.name == SMALL_GROUPS)))
    if as_json:
        report = {section.name: section.as_json() for section in sections}
        moved = [asdict(patient) for patient in done.moved] if done else []
        found = {"leaks": leaks, "moved": len(moved), "patients_moved": moved, "dry_run": dry_run, "sections": report}
        print(json.dumps(found, indent=2))
        return code
    for section in sections:
        print_section(section.title, section.columns, *section.as_table())
    if done is not None:
        _print_joining(done, dry_run=dry_run, taken_back=change == "unjoin")
    print(f"{leaks:,} leaks found." if leaks else "No leak found.")
    return code


def _print_joining(done: Joining, *, dry_run: bool, taken_back: bool) -> None:
    """Who changed their split, or would."""
    columns = ("patient", "images", "before", "after")
    rows = [(p.patient_key, p.images, p.before, p.after) for p in done.moved[:MOST_MOVED]]
    count = f"{len(done.moved):,} patients with {done.images:,} images"
    notes = [f"{count} {'would change' if dry_run else 'changed'} their split, none of them labelled."]
    if done.divided:
        stay = "patients stay where they are: labelled, or one for another reason" if taken_back else _DIVIDED
        notes.append(f"{done.divided:,} {stay}.")
    if not taken_back and done.moved and not dry_run:
        notes.append("`dicomprep audit --unjoin` takes it back.")
    print_section("Patients that changed their split" if not dry_run else "What would be done", columns, rows, notes)


def print_inspection(file: Path, options: ImageOptions, *, frame_number: int, png: Path | None, max_bytes: int) -> int:
    """Print what a file is; show or write its picture; 1 where there is none.

    Raises ConfigError where there is no such file or frame, or no place for the picture; EnvironmentFault where its
    disk fails.
    """
    if png is not None:
        require_place(png, apart_from=file)
    try:
        inspection = inspect_file(file, options, frame_number=frame_number, max_bytes=max_bytes)
    except InputError as error:
        raise ConfigError(f"{file}: {error.detail}") from error
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for name, value in inspection.rows:
        print(textwrap.fill(printable(value), width, initial_indent=f"{name:<16} ", subsequent_indent=" " * 17))
    if inspection.thumbnail is None:
        if inspection.error is not None:
            print(f"{'No picture':<16} {printable(inspection.error.detail)} [{inspection.error.code}]")
        return 1
    if png is not None:
        with drafted(png) as draft:
            draft.write_bytes(encode_png(inspection.thumbnail.pixels))
        print(f"{'Picture':<16} {printable(str(png))}")
    elif sys.stdout.isatty():
        print(render_in_terminal(inspection.thumbnail.pixels, columns=min(64, shutil.get_terminal_size().columns)))
    return 0
