"""`dicomprep report`."""

from pathlib import Path

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db
from dicomprep.config import DEFAULT_DB
from dicomprep.web.report import write_report
from dicomprep.workspace import Workspace

__all__ = ["report"]


def report(out: Path, *, db: Db = DEFAULT_DB) -> int:
    """Write an overview of the database as one HTML file, without paths, UIDs, keys or images.

    Parameters
    ----------
    out
        The file to write, such as report.html.

    """
    write_report(Workspace.open(db), out)
    print(f"Report    {printable(str(out))}")
    return 0
