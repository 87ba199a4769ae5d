"""`dicomprep audit`."""

import json as json_text
from collections.abc import Sequence
from dataclasses import asdict

from dicomprep.checks.audit.audit import audit as look
from dicomprep.checks.audit.joining import Joining
from dicomprep.checks.audit.joining import join as join_patients
from dicomprep.checks.audit.joining import unjoin as unjoin_patients
from dicomprep.checks.audit.section import Section
from dicomprep.checks.audit.small_groups import DEFAULT_K, SMALL_GROUPS
from dicomprep.cli.console import print_section
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import ConfigError, count_of
from dicomprep.workspace import Workspace

__all__ = ["audit"]

MAX_LISTED_PATIENTS = 50
"""Patients that changed their split and are listed; JSON has all."""


def audit(  # noqa: PLR0913
    *,
    db: Db = DEFAULT_DB,
    json: Flag = False,
    near: bool = True,
    join: Flag = False,
    unjoin: Flag = False,
    dry_run: Flag = False,
    most: int | None = None,
    privacy: Flag = False,
    k: int | None = None,
    strict: Flag = False,
) -> int:
    """Check for data leakage between splits (patients, duplicates, near-duplicates); exits with 1 if a leak is found.

    Parameters
    ----------
    json
        Print JSON instead of tables.
    near
        Search for near-duplicates: images of different patients that look the same.
    join
        Move patients with such images to the same split, unless they have labels. No split is emptied.
    unjoin
        Undo --join: patients that it moved go back to their split, unless they have labels.
    dry_run
        Only show what --join or --unjoin would do.
    most
        Maximum number of patients that --join may move or merge; by default 20, or 2 % of all if that is more.
    privacy
        List small groups by age, sex, year of study and device: their patients could be re-identified.
    k
        For --privacy: groups of fewer patients are small; by default 5.
    strict
        Exit with 1 also if --privacy lists any.

    """
    _require_consistent(join=join, unjoin=unjoin, dry_run=dry_run, most=most)
    if (k is not None or strict) and not privacy:
        raise ConfigError("--k and --strict go with --privacy.")
    if k is not None and k < 2:
        raise ConfigError(f"--k {k}: give 2 or more.")
    smallest = (k or DEFAULT_K) if privacy else 0
    workspace = Workspace.open(db)
    done = unjoin_patients(workspace, dry_run=dry_run) if unjoin else None
    sections = look(workspace, near=near, k=smallest)
    if join:
        done = join_patients(workspace, sections, most=most, dry_run=dry_run)
        sections = sections if dry_run else look(workspace, near=near, k=smallest)
    leaks = sum(section.leaks for section in sections)
    if json:
        _print_json(sections, done, leaks, dry_run=dry_run)
    else:
        for section in sections:
            print_section(section.title, section.columns, *section.as_table())
        if done is not None:
            _print_joining(done, dry_run=dry_run, undone=unjoin)
        print(f"{count_of(leaks, 'leak')} found." if leaks else "No leak found.")
    small = any(section.rows for section in sections if section.name == SMALL_GROUPS)
    return int(leaks > 0 or (strict and small))


def _require_consistent(*, join: bool, unjoin: bool, dry_run: bool, most: int | None) -> None:
    if join and unjoin:
        raise ConfigError("--join and --unjoin are opposites: give one of them.")
    if (dry_run and not (join or unjoin)) or (most is not None and not join):
        raise ConfigError("--dry-run goes with --join or --unjoin, --most with --join.")


def _print_json(sections: Sequence[Section], done: Joining | None, leaks: int, *, dry_run: bool) -> None:
    report = {section.name: section.as_json() for section in sections}
    moved = [asdict(patient) for patient in done.moved] if done else []
    found = {"leaks": leaks, "moved": len(moved), "patients_moved": moved, "dry_run": dry_run, "sections": report}
    print(json_text.dumps(found, indent=2))


def _print_joining(done: Joining, *, dry_run: bool, undone: bool) -> None:
    """Who changed their split, or would."""
    columns = ("patient", "images", "before", "after")
    rows = [(p.patient_key, p.images, p.before, p.after) for p in done.moved[:MAX_LISTED_PATIENTS]]
    count = f"{count_of(len(done.moved), 'patient')} with {count_of(done.images, 'image')}"
    notes = [f"{count} {'would move' if dry_run else 'moved'} to another split; none of them is labeled."]
    if done.divided and undone:
        notes.append(f"{count_of(done.divided, 'patient')} not moved: labeled, or joined for another reason.")
    elif done.divided:
        notes.append(f"{count_of(done.divided, 'pair')} of patients not moved: labeled.")
    if not undone and done.moved and not dry_run:
        notes.append("`dicomprep audit --unjoin` undoes it.")
    print_section("Patients that moved to another split" if not dry_run else "Dry run", columns, rows, notes)
