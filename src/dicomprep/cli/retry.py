"""`dicomprep retry`."""

import sys

from dicomprep.cli.options import DEFAULTS, Db, Flag
from dicomprep.cli.run import loading_workers, run_and_report
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import ErrorCode

__all__ = ["retry"]


def retry(
    *,
    db: Db = DEFAULT_DB,
    code: list[ErrorCode] | None = None,
    workers: int = DEFAULTS.workers,
    timeout: float | None = None,
    max_memory: int | None = None,
    json: Flag = False,
) -> int:
    """Process failed files again, with the options of the last run.

    Parameters
    ----------
    code
        Only files that failed for this reason; repeatable.
    workers
        Number of parallel workers.
    timeout
        Seconds without a finished frame before a file fails; long and large files get more in total.
    max_memory
        Memory limit of a worker for one file, in megabytes.
    json
        Print a JSON object for each folder on standard output, one a line, and everything else on standard error.

    """
    budget = {"timeout": timeout, "max_memory": max_memory}
    changes = {name: value for name, value in budget.items() if value is not None}
    worst = None
    with loading_workers():
        from dicomprep.pipeline.rerun import due_runs
        from dicomprep.workspace import Workspace

        workspace = Workspace.open(db)
        for config, sources, count in due_runs(workspace, codes=code, workers=workers, changes=changes):
            worst = max(worst or 0, run_and_report(workspace, config, sources, count, json))
    if worst is None:
        print("No failed files to retry.", file=sys.stderr if json else sys.stdout)
    return worst or 0
