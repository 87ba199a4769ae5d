"""`dicomprep verify`."""

from dicomprep.cli.options import DEFAULTS, Flag

__all__ = ["verify"]


def verify(*, db: str = DEFAULTS.db, repair: Flag = False, workers: int = DEFAULTS.workers) -> int:
    """Check that every recorded image is there and whole, that no other is there, and that the database is sound.

    Exits with 1 when something is wrong, or when not all of it could be repaired.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    repair
        Make missing and damaged images again, and remove those that no record names.
    workers
        Number of parallel workers for the repair.

    """
    from dicomprep.cli.verdict import verify_and_report

    return verify_and_report(db, mend=repair, workers=workers)
