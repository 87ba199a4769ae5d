"""`dicomprep audit`."""

from typing import Literal

from dicomprep.cli.options import DEFAULTS, Flag

__all__ = ["audit"]


def audit(  # noqa: PLR0913
    *,
    db: str = DEFAULTS.db,
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
        Put patients with such pictures on one side, unless something of them is labelled. No split is emptied.
    unjoin
        Take back what --join did: patients who are on another side for it alone go back, unless labelled.
    dry_run
        Only say what --join or --unjoin would do.
    most
        So many patients may change their split or become one; by default 20, or 2 % of all if that is more.
    privacy
        List groups by age, sex, year of study and device that few patients are in, who could be recognised by them.
    k
        For --privacy: fewer patients are few; by default 5.
    strict
        Exit with 1 also where --privacy lists any.

    """
    from dicomprep.checks.audit.small_groups import USUAL_K
    from dicomprep.cli.reporting import print_audit
    from dicomprep.errors import ConfigError

    if join and unjoin:
        raise ConfigError("--join and --unjoin are opposites: give one of them.")
    if (dry_run and not (join or unjoin)) or (most is not None and not join):
        raise ConfigError("--dry-run goes with --join or --unjoin, --most with --join.")
    if (k is not None or strict) and not privacy:
        raise ConfigError("--k and --strict go with --privacy.")
    if k is not None and k < 2:
        raise ConfigError(f"--k {k}: a group has fewer patients than 2 or more.")
    smallest = (k or USUAL_K) if privacy else 0
    change: Literal["join", "unjoin"] | None = "join" if join else "unjoin" if unjoin else None
    return print_audit(
        db, as_json=json, near=near, change=change, most=most, dry_run=dry_run, k=smallest, strict=strict
    )
