"""`dicomprep status`."""

from dicomprep.cli.options import DEFAULTS, Flag

__all__ = ["status"]


def status(*, db: str = DEFAULTS.db, failures: Flag = False) -> int:
    """Show what the database holds: inputs by state and reason, images by modality and split, the last runs.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    failures
        List every input that failed, with its reason.

    """
    from dicomprep.cli.reporting import print_failures, print_status

    (print_failures if failures else print_status)(db)
    return 0
