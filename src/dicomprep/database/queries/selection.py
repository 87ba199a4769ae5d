"""The selected frames of a database, as columns: some 50 bytes a frame for loading, 120 for an export.

No connection stays open, and little but arrays is held: a selection may be pickled, and processes that were forked
share it, for no reference counts lie among its values.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.queries.classes import numbered_classes
from dicomprep.database.queries.columns import (
    Coded,
    CodedBuilder,
    Column,
    ColumnBuilder,
    DigestsBuilder,
    NumbersBuilder,
    TextsBuilder,
)
from dicomprep.database.queries.frames import Choice, class_names, select_frames
from dicomprep.database.queries.versions import find_version

__all__ = ["Selection", "read_selection"]

VERSION_KEY_BYTES = 10

_BUILDERS: dict[str, Callable[[], ColumnBuilder]] = {
    "id": NumbersBuilder,
    "digest": DigestsBuilder,
    "version_key": partial(DigestsBuilder, VERSION_KEY_BYTES),
    **dict.fromkeys(("filename", "thumbnail_path", "sop_instance_uid", "path"), TextsBuilder),
}
"""For columns in which hardly a value occurs twice; in the others few values occur often."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Frames in the order of their ids, or of the keys of a version."""

    classes: tuple[str, ...]
    """The labels that occur in the whole database, or in the version, whichever frames are selected."""
    columns: dict[str, Column]
    order: tuple[str, ...]
    """All classes in the order of their numbers."""
    length: int

    def __len__(self) -> int:
        return self.length

    def row(self, number: int, names: Sequence[str]) -> tuple[Any, ...]:
        """Some values of one frame."""
        return tuple(self.columns[name][number] for name in names)

    def coded(self, name: str) -> Coded:
        """A column of few values, with the code of each row."""
        column = self.columns[name]
        if not isinstance(column, Coded):
            raise TypeError(f"{name} is not coded")
        return column


def read_selection(connection: Connection, columns: Sequence[str], choice: Choice) -> Selection:
    """Read the frames that are wanted; ConfigError where the choice is wrong."""
    builders = [_builder(name) for name in columns]
    length = _fill(builders, select_frames(connection, columns, choice))
    built = {name: builder.build() for name, builder in zip(columns, builders, strict=True)}
    version = None if choice.version is None else find_version(connection, choice.version)
    classes = tuple(class_names(connection)) if version is None else version.classes
    return Selection(classes, built, numbered_classes(connection), length)


def _fill(builders: Sequence[ColumnBuilder], lists: Iterable[Sequence[Sequence[Any]]]) -> int:
    length = 0
    for rows in lists:
        length += len(rows)
        for builder, values in zip(builders, zip(*rows, strict=True), strict=True):
            builder.add(values)
    return length


def _builder(name: str) -> ColumnBuilder:
    return _BUILDERS.get(name, CodedBuilder)()
