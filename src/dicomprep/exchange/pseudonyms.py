"""Pseudonyms: the same in every export of a data set, and meaningless without its key."""

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.selection import Selection
from dicomprep.errors import ConfigError
from dicomprep.privacy.keys import fingerprint_key, keyed_hash
from dicomprep.workspace import Workspace

__all__ = [
    "KEY_LENGTH",
    "Pseudonyms",
    "Shown",
    "image_keys",
    "new_salt",
]

KEY_LENGTH = 20
"""Hexadecimal digits of an image's key: with ten million images, two alike are less likely than one in 10^10."""

BATCH_ROWS = 10_000
"""Names that are in memory as texts at once."""


class Pseudonyms:
    """Keyed hashes of the names of images; with a salt, other ones, and of groups, studies and series as well.

    A salt is no secret: without the data set's key it tells nothing.
    """

    def __init__(self, secret: bytes, *, salt: str = "") -> None:
        self.salt = salt
        self._secret = hmac.digest(secret, f"export\0{salt}".encode(), "sha256") if salt else secret
        secret = self._secret
        self.check = fingerprint_key(secret)
        """Tells data sets apart without telling their keys."""

    def of_image(self, filename: str) -> bytes:
        """The key of an image: `KEY_LENGTH` hexadecimal digits."""
        return keyed_hash(self._secret, "image", filename)[:KEY_LENGTH].encode()

    def of_key(self, key: str | None) -> str | None:
        """What stands for the key of a group, a study or a series."""
        return keyed_hash(self._secret, "key", key) if self.salt and key is not None else key


def image_keys(selection: Selection, pseudonyms: Pseudonyms) -> NDArray[np.bytes_]:
    """The pseudonyms of all frames, (n,) of `KEY_LENGTH` bytes each, in the order of the selection.

    They are those of a version where the selection has them: an image may be called otherwise now.
    """
    keys = np.empty(len(selection), f"S{KEY_LENGTH}")
    frozen = selection.columns.get("version_key")
    for first in range(0, len(keys), BATCH_ROWS):
        rows = np.arange(first, min(first + BATCH_ROWS, len(keys)))
        if frozen is None:
            keys[rows] = [pseudonyms.of_image(name) for name in selection.columns["filename"].take(rows)]
        else:
            keys[rows] = [key.hex().encode() for key in frozen.take(rows)]
    return keys


def new_salt() -> str:
    """32 random hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How images are identified in an exported table."""

    with_uids: bool = False
    """Include the SOP Instance UID. It can re-identify patients."""
    with_paths: bool = False
    """Include the image's name. It may contain names of patients."""
    by_id: bool = False
    """Name images by their id in the database in place of the key: the data set's key file is lost."""

    def readable(self, workspace: Workspace) -> "Shown":
        """The same, by id where no keys can be made: labels are a person's work, and leave all the same."""
        try:
            Pseudonyms(workspace.key)
        except ConfigError:
            return replace(self, by_id=True)
        return self

    @property
    def columns(self) -> dict[str, str]:
        """Names and kinds of the columns that identify an image."""
        uids = {"sop_instance_uid": "text", "frame_number": "integer"} if self.with_uids else {}
        named: dict[str, str] = {"id": "integer"} if self.by_id else {"key": "text"}
        return {**named, **({"filename": "text"} if self.with_paths else {}), **uids}

    @property
    def sources(self) -> tuple[str, ...]:
        """What must be read of a frame to identify it."""
        return ("filename", "sop_instance_uid", "frame_number", "id")

    def opened(self, workspace: Workspace) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """Turns `sources` into the values of `columns`."""
        pseudonyms = None if self.by_id else Pseudonyms(workspace.key)

        def identify(source: Sequence[Any]) -> tuple[Any, ...]:
            filename, uid, number = source[:3]
            name = (filename,) if self.with_paths else ()
            which = source[3] if pseudonyms is None else pseudonyms.of_image(filename).decode()
            return (which, *name, *((uid, number) if self.with_uids else ()))

        return identify
