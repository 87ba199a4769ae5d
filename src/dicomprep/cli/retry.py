"""`dicomprep retry`."""

from dicomprep.cli.options import DEFAULTS
from dicomprep.cli.run import run_and_report
from dicomprep.errors import ErrorCode

__all__ = ["retry"]


def retry(
    *,
    db: str = DEFAULTS.db,
    code: list[ErrorCode] | None = None,
    workers: int = DEFAULTS.workers,
    timeout: float | None = None,
    max_memory: int | None = None,
) -> int:
    """Try failed files again, with the options of the last run.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    code
        Only files that failed for this reason; may be given several times.
    workers
        Number of parallel workers.
    timeout
        Seconds without a finished frame; a file as a whole: as much, and a share for its frames and megabytes.
    max_memory
        Megabytes that a worker may use for one file.

    """
    from dicomprep.pipeline.rerun import due_runs

    budget = {"timeout": timeout, "max_memory": max_memory}
    changes = {name: value for name, value in budget.items() if value is not None}
    worst = None
    for config, sources, count in due_runs(db, codes=code, workers=workers, changes=changes):
        worst = max(worst or 0, run_and_report(config, sources, count))
    if worst is None:
        print("Nothing failed that could be tried again.")
    return worst or 0
