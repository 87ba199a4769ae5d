"""Folders that hold copies of files, or what no one put there: snapshots, bins, version control, caches of systems."""

import re

__all__ = ["why_left_out"]

SNAPSHOTS = frozenset({".snapshot", ".snapshots", "~snapshot", ".snap", ".ckpt", "#snapshot", "@recently-snapshot"})
BINS = frozenset(
    {".trash", ".trashes", "$recycle.bin", "recycler", "recycled", "#recycle", "@recycle", ".recycle", "lost+found"}
    | {"found.000", "files_trashbin"}
)
VERSIONS = frozenset({".git", ".svn", ".hg", ".bzr", ".datalad"})
SYSTEMS = frozenset(
    {"@eadir", ".spotlight-v100", "system volume information", ".fseventsd", "__macosx", ".documentrevisions-v100"}
    | {".temporaryitems", ".appledouble", ".appledb", ".ds_store"}
)
_OF_A_USER_OR_TIME = re.compile(r"\.trash-.+|@gmt-\d{4}\..+")
_BELOW = {("snapshot", ".zfs"): "snapshot", ("cache", ".dvc"): "version control", ("tmp", ".dvc"): "version control"}


def why_left_out(name: str, parent: str) -> str | None:
    """What kind of folder this is, where it is not searched; `parent` is the name of the folder that holds it.

    >>> why_left_out("$Recycle.Bin", ""), why_left_out(".MPR lung", "")
    ('bin', None)
    """
    folded = name.casefold()
    for kind, names in (("snapshot", SNAPSHOTS), ("bin", BINS), ("version control", VERSIONS), ("system", SYSTEMS)):
        if folded in names:
            return kind
    if _OF_A_USER_OR_TIME.fullmatch(folded):
        return "bin" if folded.startswith(".trash") else "snapshot"
    return _BELOW.get((folded, parent.casefold()))
