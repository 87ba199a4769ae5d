"""`dicomprep versions`."""

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.versions import all_versions
from dicomprep.errors import count_of
from dicomprep.workspace import Workspace

__all__ = ["versions"]

DIGEST_DIGITS = 16
"""Of the digest in the list; `freeze` and data cards show all of it."""


def versions(*, db: Db = DEFAULT_DB) -> int:
    """List the versions that `dicomprep freeze` recorded: name, time, images, release of dicomprep, digest."""
    with Workspace.open(db).reading() as connection:
        known = all_versions(connection)
    for version in known:
        images, digest = count_of(version.images, "image"), version.digest[:DIGEST_DIGITS]
        print(f"{printable(version.name)}\t{version.created_at}\t{images}\tdicomprep {version.program}\t{digest}")
    if not known:
        print("No version yet: `dicomprep freeze NAME` makes one.")
    return 0
