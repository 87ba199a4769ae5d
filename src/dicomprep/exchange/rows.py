"""What an export contains of each frame: its metadata columns and the image itself."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Float, Integer

from dicomprep.database.queries.frames import COLUMNS, KEYS, POSITIONS
from dicomprep.database.queries.selection import Column, Selection, read_selection
from dicomprep.errors import ExportError
from dicomprep.exchange.options import ExportOptions
from dicomprep.exchange.pseudonyms import KEY_LENGTH, Pseudonyms
from dicomprep.privacy.allow_list import Tags
from dicomprep.privacy.keys import withheld_columns
from dicomprep.storage.base import ImageStore
from dicomprep.storage.source import digest_bytes
from dicomprep.workspace import Workspace

__all__ = ["Part", "Rows", "kind_of", "read_rows"]

PLAIN = (
    *("split", "label", "modality", "patient_key", *KEYS, "frame_number", "instance_number", "width", "height"),
    *(*Tags._fields, *POSITIONS),
)
UIDS = ("sop_instance_uid", "series_instance_uid", "study_instance_uid")
PATHS = ("filename", "study_id", "thumbnail_path", "root", "path")
NEEDED = ("filename", "thumbnail_path", "size", "digest")


@dataclass(frozen=True, slots=True)
class Rows:
    """The frames of an export, in the order of their keys, which says nothing of patients or times."""

    selection: Selection
    keys: NDArray[np.bytes_]
    """Of all frames, ascending."""
    order: NDArray[np.int64]
    """Where each of them stands in the selection."""
    images: ImageStore
    columns: dict[str, Column] = field(default_factory=dict)
    """Metadata of a frame, by name, beginning with its key."""

    def __len__(self) -> int:
        return len(self.keys)

    def values(self, number: int) -> tuple[Any, ...]:
        """Metadata of one frame, in the order of `columns`."""
        row = int(self.order[number])
        return tuple(column[row] for column in self.columns.values())

    def value(self, name: str, number: int) -> Any:  # noqa: ANN401
        """One attribute of one frame."""
        return self.columns[name][int(self.order[number])]

    def key(self, number: int) -> str:
        """The pseudonym of one frame."""
        return bytes(self.keys[number]).decode()

    def image(self, number: int) -> bytes:
        """The PNG of one frame, as it was recorded; ExportError where it is not."""
        columns, row = self.selection.columns, int(self.order[number])
        path = columns["thumbnail_path"][row]
        try:
            content = self.images.read(path)
        except OSError as error:
            raise ExportError(
                f"The image {self.images.where(path)} cannot be read: {error.strerror}. {_REPAIR}"
            ) from error
        if digest_bytes(content) != columns["digest"][row]:
            raise ExportError(f"The image {self.images.where(path)} is not what was recorded. {_REPAIR}")
        return content

    def fingerprint(self, numbers: Sequence[int] | NDArray[np.int64]) -> str:
        """Changes when the images of these frames do, or their metadata."""
        state = hashlib.sha256("\0".join(self.columns).encode())
        digests = self.selection.columns["digest"]
        for number in numbers:
            state.update(repr((digests[int(self.order[number])], self.values(number))).encode())
        return state.hexdigest()[:32]


_REPAIR = "`dicomprep verify --repair` restores missing and damaged images."


@dataclass(frozen=True, slots=True)
class Part:
    """The frames of one shard, and what a writer needs to know beyond them."""

    rows: Rows
    numbers: NDArray[np.int64]
    classes: Sequence[str]
    """All labels of the export; a class has the number of its place, which it keeps."""
    folder: Path
    """Of the whole export."""
    place: Path
    """Where the shard will be; an earlier one may be there."""
    access: int
    """Whom files that are made are for."""


def kind_of(name: str) -> str:
    """integer, real or text: what a column holds."""
    column = COLUMNS.get(name)
    if column is None:
        return "text"
    return "integer" if isinstance(column.type, Integer) else "real" if isinstance(column.type, Float) else "text"


def read_rows(workspace: Workspace, options: ExportOptions, pseudonyms: Pseudonyms) -> Rows:
    """Read all that the export says, but for the images."""
    withheld = withheld_columns(with_uids=options.with_uids, with_paths=options.with_paths)
    shown = [name for name in (*PLAIN, *UIDS, *PATHS) if name not in withheld]
    workspace.require_images()
    with workspace.reading() as connection:
        selection = read_selection(connection, list(dict.fromkeys((*shown, *NEEDED))), options.choice())
    filenames = selection.columns["filename"]
    keys = np.array([pseudonyms.of_image(filenames[row]) for row in range(len(selection))], f"S{KEY_LENGTH}")
    order = np.argsort(keys)
    columns: dict[str, Column] = {"key": _Keys(keys), **{name: selection.columns[name] for name in shown}}
    if pseudonyms.salt:
        columns |= {name: _Salted(columns[name], pseudonyms) for name in ("patient_key", *KEYS)}
    return Rows(selection, keys[order], order, workspace.images, columns)


class _Salted:
    """A column of keys, as this export alone has them."""

    def __init__(self, column: Column, pseudonyms: Pseudonyms) -> None:
        self._column, self._pseudonyms = column, pseudonyms

    def __getitem__(self, row: int) -> str | None:
        return self._pseudonyms.of_key(self._column[row])


class _Keys:
    def __init__(self, keys: NDArray[np.bytes_]) -> None:
        self._keys = keys

    def __getitem__(self, row: int) -> str:
        return bytes(self._keys[row]).decode()
