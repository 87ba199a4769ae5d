"""`dicomprep diff`."""

from collections.abc import Sequence

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db
from dicomprep.config import DEFAULT_DB
from dicomprep.errors import count_of
from dicomprep.exchange.versions import compare
from dicomprep.workspace import Workspace

__all__ = ["diff"]

MAX_NAMED = 20
"""Images of each kind that are listed."""


def diff(before: str, after: str | None = None, *, db: Db = DEFAULT_DB) -> int:
    """Compare two versions: images added, removed and rendered again, splits, labels and annotations that changed.

    Exits with 1 if they differ.

    Parameters
    ----------
    before
        The name of a version.
    after
        The name of another one; by default what is in the database now.

    """
    difference = compare(Workspace.open(db), before, after)
    moved = [f"{key}  {old} → {new}" for key, old, new in difference.moved]
    relabeled = [f"{key}  {_label(old)} → {_label(new)}" for key, old, new in difference.relabeled]
    _print("added", difference.added)
    _print("removed", difference.removed)
    _print("with another image", difference.rendered)
    _print("in another split", moved)
    _print("with another label", relabeled)
    _print("with other annotations", difference.redrawn)
    print(f"{count_of(difference.same, 'image')} unchanged.")
    return int(difference.is_one)


def _print(what: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    print(f"{count_of(len(lines), 'image')} {what}")
    for line in lines[:MAX_NAMED]:
        print(f"  {line}")
    if len(lines) > MAX_NAMED:
        print(f"  … and {len(lines) - MAX_NAMED:,} more")


def _label(label: str | None) -> str:
    return "(none)" if label is None else printable(label) or "(negative)"
