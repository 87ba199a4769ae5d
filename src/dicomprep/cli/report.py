"""`dicomprep report`."""

from pathlib import Path

from dicomprep.cli.options import DEFAULTS

__all__ = ["report"]


def report(out: Path, *, db: str = DEFAULTS.db) -> int:
    """Write an overview of the database as one HTML file, without paths, UIDs, keys or images.

    Parameters
    ----------
    out
        The file to write, such as report.html.
    db
        SQLite database path, or a postgresql:// URL.

    """
    from dicomprep.web.report import write_report

    write_report(db, out)
    print(f"Report    {out}")
    return 0
