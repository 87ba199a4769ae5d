"""Everything that is audited, in the order in which it is shown."""

from collections.abc import Callable, Sequence

from dicomprep.checks.audit.duplicates import exact_duplicates, near_duplicates
from dicomprep.checks.audit.patients import classes, patients, shares
from dicomprep.checks.audit.section import AuditContext, Section
from dicomprep.checks.audit.small_groups import small_groups
from dicomprep.workspace import Workspace

__all__ = ["SECTIONS", "audit"]

SECTIONS: Sequence[Callable[[AuditContext], Section]] = (patients, shares, exact_duplicates, near_duplicates, classes)


def audit(workspace: Workspace, *, near: bool = True, k: int = 0) -> list[Section]:
    """Look at a database and its thumbnails; nothing is changed. With `k`, also for groups of fewer patients."""
    with workspace.reading() as connection:
        context = AuditContext(connection, workspace.images, near, k)
        return [section(context) for section in (*SECTIONS, *([small_groups] if k else []))]
