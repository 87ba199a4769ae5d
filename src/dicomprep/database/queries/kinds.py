"""Which kinds of images are wanted: the condition that loaders, exports and the labeling queue share."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, true

from dicomprep.database.schema import files
from dicomprep.errors import ConfigError
from dicomprep.privacy.allow_list import SET_APART, TRAINING_KINDS, Kind

__all__ = ["ALL", "is_in_images", "of_kinds", "require_kinds"]

ALL = "all"


def require_kinds(kinds: Sequence[str]) -> None:
    """ConfigError where one of `--kind` is none."""
    for kind in kinds:
        if kind != ALL and kind not in list(Kind):
            raise ConfigError(f"--kind {kind}: choose from {', '.join(Kind)}, {ALL}.")


def of_kinds(kinds: Sequence[str] = ()) -> ColumnElement[bool]:
    """The condition on `schema.files` by which images of these kinds are chosen; by default those to train on.

    What no run has read yet since kinds are recorded counts as an original.
    """
    if ALL in kinds:
        return true()
    wanted = list(kinds or TRAINING_KINDS)
    chosen = files.c.kind.in_(wanted)
    return or_(chosen, files.c.kind.is_(None)) if Kind.ORIGINAL in wanted else chosen


def is_in_images() -> ColumnElement[bool]:
    """The condition on `schema.files` of the view `images`."""
    return of_kinds([kind for kind in Kind if kind not in SET_APART])
