"""`dicomprep forget`."""

from typing import Annotated

from cyclopts import Parameter

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import ConfigError, count_of
from dicomprep.pipeline.forgetting import Forgotten, let_return
from dicomprep.pipeline.forgetting import forget as forget_for_good
from dicomprep.workspace import Workspace

__all__ = ["forget"]

MAX_NAMED = 20
"""Source files that are listed."""

Several = Parameter(negative="", show_default=False)


def forget(
    *,
    db: Db = DEFAULT_DB,
    patient: Annotated[tuple[str, ...], Several] = (),
    file: Annotated[tuple[str, ...], Several] = (),
    dry_run: Flag = False,
    undo: Flag = False,
) -> int:
    """Remove patients or files for good: images, records, labels and predictions. They do not return with later runs.

    What stays are keyed hashes, by which later runs leave them out. Source files, exports and models are out of reach.

    Parameters
    ----------
    patient
        A patient: patient_key of records and exports, or the Patient ID of the files; repeatable.
    file
        A file, or a folder of files, as `inputs.path` has it; repeatable.
    dry_run
        Show what would be removed, and change nothing.
    undo
        Let these patients be recorded again by the next run.

    """
    if not patient and not file:
        raise ConfigError("Who, or what? Give --patient KEY or --file PATH.")
    workspace = Workspace.open(db)
    if undo:
        return _undo(workspace, patient)
    done = forget_for_good(workspace, patients=patient, paths=file, dry_run=dry_run)
    _print(done, would="would be " if dry_run else "")
    return 0


def _undo(workspace: Workspace, patients: tuple[str, ...]) -> int:
    count = let_return(workspace, patients)
    print(f"{count_of(count, 'patient')} may return: the next run records the files that are still there.")
    return int(count < len(patients))


def _print(done: Forgotten, *, would: str) -> None:
    images, inputs = count_of(done.images, "image"), count_of(len(done.sources), "file")
    whom = f" and {count_of(done.patients, 'patient')}" if done.patients else ""
    print(f"{images} of {inputs}{whom} {would}removed, with all labels and predictions.")
    for name, missing in done.versions.items():
        print(f"Version {printable(name)} lacks {count_of(missing, 'image')} now.")
    if would:
        return
    print(
        "Out of reach: exports (export again to the same folder: it leaves them out), models, backups, and the files:"
    )
    for path in done.sources[:MAX_NAMED]:
        print(f"  {printable(path)}")
    if len(done.sources) > MAX_NAMED:
        print(f"  … and {len(done.sources) - MAX_NAMED:,} more")
