"""How a table for others names an image: by its pseudonym and, if asked, by what leads back to the source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.opening import images_folder
from dicomprep.errors import ConfigError
from dicomprep.exchange.pseudonyms import Pseudonyms, open_pseudonyms

__all__ = ["Shown", "pseudonyms_of"]


def pseudonyms_of(connection: Connection, db: str) -> Pseudonyms:
    """The pseudonyms of the data set of a database."""
    return open_pseudonyms(db, images_folder(connection, db))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is said of each image in a table that goes out."""

    with_uids: bool = False
    """Say the SOP Instance UID, which leads back to the patient in the hospital's own systems."""
    with_paths: bool = False
    """Say the image's name, which may hold names of patients."""
    by_id: bool = False
    """Name images by their id in the database in place of the key: the data set's key file is lost."""

    def readable(self, connection: Connection, db: str) -> "Shown":
        """The same, by id where no keys can be made: labels are a person's work, and leave all the same."""
        try:
            pseudonyms_of(connection, db)
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

    def opened(self, connection: Connection, db: str) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """Turns `sources` into the values of `columns`."""
        pseudonyms = None if self.by_id else pseudonyms_of(connection, db)

        def identify(source: Sequence[Any]) -> tuple[Any, ...]:
            filename, uid, number = source[:3]
            name = (filename,) if self.with_paths else ()
            which = source[3] if pseudonyms is None else pseudonyms.of_image(filename).decode()
            return (which, *name, *((uid, number) if self.with_uids else ()))

        return identify
