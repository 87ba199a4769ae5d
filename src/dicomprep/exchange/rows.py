"""What an export contains of each frame: its metadata columns and the image itself."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Float, Integer

from dicomprep.database.queries.columns import Coded, Column
from dicomprep.database.queries.columns import Rows as RowNumbers
from dicomprep.database.queries.frames import COLUMNS, KEYS, POSITIONS
from dicomprep.database.queries.selection import Selection, read_selection
from dicomprep.database.queries.units import decided_units
from dicomprep.errors import ExportError
from dicomprep.exchange.options import ExportOptions
from dicomprep.exchange.pseudonyms import Pseudonyms, image_keys
from dicomprep.pixels.encoding import ImageFormat, format_of
from dicomprep.privacy.allow_list import Tags
from dicomprep.privacy.keys import withheld_columns
from dicomprep.storage.base import ImageStore
from dicomprep.storage.image_cache import read_image
from dicomprep.storage.source import digest_bytes
from dicomprep.workspace import Workspace

__all__ = ["Numbers", "Part", "Rows", "kind_of", "read_rows"]

PLAIN = (
    *("split", "label", "modality", "patient_key", *KEYS, "frame_number", "instance_number", "width", "height"),
    *(*Tags._fields, *POSITIONS, "group_key", "fold"),
)
UIDS = ("sop_instance_uid", "series_instance_uid", "study_instance_uid")
PATHS = ("filename", "study_id", "thumbnail_path", "root", "path")
NEEDED = ("filename", "thumbnail_path", "digest")
NEGATIVE = "negative"
"""1 where an image is labeled and none of the classes applies, 0 where one does."""
PATHS_AT_ONCE = 100_000
"""Rows whose paths are looked at together; bounds memory."""

Numbers = NDArray[np.int64]
"""Numbers of frames in the order of their keys."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The frames of an export, in the order of their keys, which says nothing of patients or times."""

    selection: Selection
    keys: NDArray[np.bytes_]
    """Of all frames, ascending."""
    order: NDArray[np.int32]
    """Where each of them stands in the selection."""
    images: ImageStore
    columns: dict[str, Column] = field(default_factory=dict)
    """Metadata of a frame, by name, beginning with its key."""

    def __len__(self) -> int:
        return len(self.keys)

    def values(self, numbers: Numbers) -> Iterator[tuple[Any, ...]]:
        """Metadata of some frames, in the order of `columns`."""
        rows = self.order[numbers]
        return zip(*(column.take(rows) for column in self.columns.values()), strict=True)

    def value(self, name: str, number: int) -> Any:  # noqa: ANN401
        """One attribute of one frame."""
        return self.columns[name][int(self.order[number])]

    def of_split(self, split: str) -> Numbers:
        """The frames of one split."""
        column = self.selection.coded("split")
        codes = [code for code, value in enumerate(column.values) if value == split]
        return np.flatnonzero(np.isin(column.codes[self.order], codes))

    def with_file_names(self) -> "Rows":
        """The same, with a column of the names that the images have in exports with images."""
        key = self.columns["key"]
        return replace(
            self,
            columns={
                "key": key,
                "file_name": _FileNames(key, self.selection.columns["thumbnail_path"]),
                **self.columns,
            },
        )

    def with_negatives(self) -> "Rows":
        """The same, with a column that tells labels without a class from no labels, if there are any such."""
        label = self.selection.coded("label")
        if "" not in label.values:
            return self
        negative = Coded(label.codes, [None if value is None else int(value == "") for value in label.values])
        return replace(self, columns={**self.columns, NEGATIVE: negative})

    def key(self, number: int) -> str:
        """The pseudonym of one frame."""
        return bytes(self.keys[number]).decode()

    def image(self, number: int) -> bytes:
        """The image file of one frame, as it was recorded; ExportError where it is not."""
        columns, row = self.selection.columns, int(self.order[number])
        path = columns["thumbnail_path"][row]
        try:
            content = read_image(self.images, path, columns["digest"][row])
        except OSError as error:
            raise ExportError(
                f"The image {self.images.where(path)} cannot be read: {error.strerror}. {_REPAIR}"
            ) from error
        if digest_bytes(content) != columns["digest"][row]:
            raise ExportError(f"The image {self.images.where(path)} is not what was recorded. {_REPAIR}")
        return content

    def image_name(self, number: int) -> str:
        """What that file is called in exports: its key, and the ending of its format."""
        return _file_name(self.key(number), self.selection.columns["thumbnail_path"][int(self.order[number])])

    def formats(self) -> tuple[ImageFormat, ...]:
        """The formats that there are among the images: mostly one."""
        paths = self.selection.columns["thumbnail_path"]
        found: set[ImageFormat] = set()
        for start in range(0, len(self.order), PATHS_AT_ONCE):
            found.update(map(format_of, paths.take(self.order[start : start + PATHS_AT_ONCE])))
        return tuple(one for one in ImageFormat if one in found) or (ImageFormat.PNG,)

    def fingerprint(self, numbers: Numbers) -> str:
        """Changes when the images of these frames do, or their metadata."""
        state = hashlib.sha256("\0".join(self.columns).encode())
        digests = self.selection.columns["digest"].take(self.order[numbers])
        for said in zip(digests, self.values(numbers), strict=True):
            state.update(repr(said).encode())
        return state.hexdigest()[:32]


_REPAIR = "`dicomprep verify --repair` restores missing and damaged images."


@dataclass(frozen=True, slots=True)
class Part:
    """The frames of one shard, and what a writer needs to know beyond them."""

    rows: Rows
    numbers: Numbers
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
        return "integer" if name == NEGATIVE else "text"
    return "integer" if isinstance(column.type, Integer) else "real" if isinstance(column.type, Float) else "text"


def read_rows(workspace: Workspace, options: ExportOptions, pseudonyms: Pseudonyms) -> Rows:
    """Read all that the export says, but for the images."""
    withheld = withheld_columns(with_uids=options.with_uids, with_paths=options.with_paths)
    shown = [name for name in (*PLAIN, *UIDS, *PATHS) if name not in withheld]
    workspace.require_images()
    if options.series:
        workspace.refresh_series()
    frozen = ("version_key",) if options.version is not None and not pseudonyms.salt else ()
    placed = ("id", "transform") if options.annotations else ()
    wanted = list(dict.fromkeys((*shown, *NEEDED, *frozen, *placed)))
    with workspace.reading() as connection:
        selection = read_selection(connection, wanted, options.choice())
        of_units = {level: decided_units(connection, level) for level in ("series", "study", "patient")}
    keys = image_keys(selection, pseudonyms)
    if "filename" not in shown:
        del selection.columns["filename"]
    order = np.argsort(keys).astype(np.int32)
    keys.sort()  # in its place: of ten million keys there is no second list
    columns: dict[str, Column] = {"key": _Keys(keys, order), **{name: selection.columns[name] for name in shown}}
    columns |= {
        f"{level}_label": _labels_of(selection, level, decided) for level, decided in of_units.items() if decided
    }
    if pseudonyms.salt:
        columns |= {name: _Salted(columns[name], pseudonyms) for name in ("patient_key", "group_key", *KEYS)}
    return Rows(selection, keys, order, workspace.images, columns)


def _labels_of(selection: Selection, level: str, decided: Mapping[str, str]) -> Column:
    """The label of each frame's series, study or patient, which is not the frame's own."""
    keys = selection.coded(f"{level}_key")
    return Coded(keys.codes, [decided.get(key) for key in keys.values])


class _Salted:
    """A column of keys, as this export alone has them."""

    def __init__(self, column: Column, pseudonyms: Pseudonyms) -> None:
        self._column, self._pseudonyms = column, pseudonyms

    def __getitem__(self, row: int) -> str | None:
        return self._pseudonyms.of_key(self._column[row])

    def take(self, rows: RowNumbers) -> Sequence[str | None]:
        """The values of some rows."""
        return [self._pseudonyms.of_key(value) for value in self._column.take(rows)]


class _Keys:
    def __init__(self, keys: NDArray[np.bytes_], order: NDArray[np.int32]) -> None:
        """Ascending keys, and the row of each."""
        self._keys = keys
        self._places = np.empty_like(order)
        self._places[order] = np.arange(len(order), dtype=np.int32)

    def __getitem__(self, row: int) -> str:
        return bytes(self._keys[self._places[row]]).decode()

    def take(self, rows: RowNumbers) -> Sequence[str]:
        """The values of some rows."""
        return [key.decode() for key in self._keys[self._places[rows]].tolist()]


class _FileNames:
    def __init__(self, keys: Column, paths: Column) -> None:
        self._keys, self._paths = keys, paths

    def __getitem__(self, row: int) -> str:
        return _file_name(self._keys[row], self._paths[row])

    def take(self, rows: RowNumbers) -> Sequence[str]:
        """The values of some rows."""
        return list(map(_file_name, self._keys.take(rows), self._paths.take(rows)))


def _file_name(key: str, path: str) -> str:
    return f"{key}{format_of(path).ending}"
