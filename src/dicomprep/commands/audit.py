"""`dicomprep audit`."""

from dicomprep.commands.options import DEFAULTS, Flag

__all__ = ["audit"]


def audit(*, db: str = DEFAULTS.db, json: Flag = False, near: bool = True, join: Flag = False) -> int:
    """Prove that no patient is in two splits: shares, duplicates, near-duplicates, classes. Exit code 1 where one is.

    Parameters
    ----------
    db
        SQLite database path, or a postgresql:// URL.
    json
        Print JSON instead of tables.
    near
        Search for pictures of different patients that look the same.
    join
        Put patients with such pictures on one side, unless something of them is labelled.

    """
    from dicomprep.reporting import print_audit

    return print_audit(db, as_json=json, near=near, join_patients=join)
