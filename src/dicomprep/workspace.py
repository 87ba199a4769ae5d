"""A data set: its database, image folder, key and locks, and how they are displayed."""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Union

from filelock import FileLock, Timeout
from sqlalchemy import Connection

from dicomprep.database.address import DatabaseAddress
from dicomprep.database.connection import connect, open_for_reading, read_meta
from dicomprep.database.queries.series_list import has_stale_series
from dicomprep.errors import ConfigError, EnvironmentFault, disk_fault
from dicomprep.privacy.keys import find_key
from dicomprep.storage.access import ANYONE, GROUP, OWNER, access_like, make_file, make_folder
from dicomprep.storage.base import ImageStore
from dicomprep.storage.images import holds_images, open_images
from dicomprep.storage.lease import Lease, LeaseTakenError
from dicomprep.storage.object_images import ObjectImages
from dicomprep.storage.owner import Owner, read_owner, write_owner
from dicomprep.storage.paths import MARK, OWN_PREFIX, actual_path, readable_path
from dicomprep.storage.place import Place
from dicomprep.storage.sync import DRAFT

if TYPE_CHECKING:
    from dicomprep.database.writes.store import Store

__all__ = ["Database", "Workspace"]

LOCK = f"{OWN_PREFIX}.lock"

Database = Union[str, "os.PathLike[str]", "Workspace"]
"""The argument of Python calls that selects a data set: the path or URL of its database, or the Workspace."""


class Workspace:
    """A data set. Connections and locks are held only inside of `with` blocks.

    Two databases never share a place of images, for they would overwrite and remove each other's: a file in the folder,
    or an object in the store, says whose images it holds.
    """

    def __init__(self, address: DatabaseAddress, output: Place | None = None) -> None:
        self.address, self._given = address, output

    @classmethod
    def open(cls, db: str | os.PathLike[str]) -> "Workspace":
        """The data set of a database, by its path or URL; ConfigError where there is none."""
        workspace = cls(DatabaseAddress.parse(db))
        connect(workspace.address, must_exist=True).dispose()
        return workspace

    @classmethod
    def create(cls, db: str | os.PathLike[str], output_dir: str | os.PathLike[str]) -> "Workspace":
        """The data set of a run, existing or new; nothing is created before it is locked.

        `output_dir` is a folder, or an address such as `s3://bucket/prefix`. Raises ConfigError where it is neither, or
        the database cannot be one.
        """
        workspace = cls(DatabaseAddress.parse(db), Place.parse(output_dir, option="--output-dir"))
        connect(workspace.address).dispose()
        return workspace

    @classmethod
    def of(cls, database: Database) -> "Workspace":
        """The data set given to a Python call; ConfigError if there is no such database."""
        return database if isinstance(database, Workspace) else cls.open(database)

    def __str__(self) -> str:
        """The database as it may be shown: without a password."""
        return str(self.address)

    @cached_property
    def recorded_output(self) -> Place | None:
        """The image folder recorded in the database; None before the first run."""
        with self.reading() as connection:
            recorded = read_meta(connection, "output_dir")
        return None if recorded is None else Place.recorded(actual_path(recorded), self.address.folder)

    @property
    def output(self) -> Place:
        """The image folder: as given for a run, else as recorded, else the folder of the database."""
        return self._given or self.recorded_output or Place(str((self.address.folder or Path()).absolute()))

    @cached_property
    def images(self) -> ImageStore:
        """The image store. Several threads and processes may read it concurrently."""
        return open_images(self.output)

    def require_images(self) -> None:
        """ConfigError where no run has recorded anything yet."""
        if self.recorded_output is None:
            message = f"The database {self} has no images yet; run `dicomprep preprocess DICOM_DIR` first."
            raise ConfigError(message)

    @property
    def key(self) -> bytes:
        """The secret from which splits and pseudonyms are made; ConfigError where it is missing or another's."""
        return find_key(self.key_path, self.former_key_path, check=self.data_set)

    @property
    def data_set(self) -> str:
        """The fingerprint of the key, as the database records it: tells data sets apart. Empty before the first run."""
        with self.reading() as connection:
            return read_meta(connection, "key_check") or ""

    @property
    def key_path(self) -> Path:
        """Path of the key: beside the database, or beside the image folder for a database on a server.

        `FOLDER.key` there: a folder of images has one database, so no two data sets share a key. With a server and
        an object store it lies in the user's own settings, named after the database: never in a bucket.
        """
        if self.address.is_file:
            return self.address.path.with_name(f"{self.address.path.name}.key")
        if self.output.is_remote:
            return _own_settings() / "keys" / f"{self.address.plain_name}.key"
        return self.output.path.with_name(f"{self.output.path.name}.key")

    @property
    def former_key_path(self) -> Path | None:
        """Where earlier releases kept the key of a server's database, for all folders of images beside each other."""
        if self.address.is_file or self.output.is_remote:
            return None
        return self.output.path.parent / "dicomprep.key"

    @property
    def token_path(self) -> Path:
        """Path of the token of the pages."""
        return self.key_path.with_suffix(".token")

    def own_paths(self) -> frozenset[str]:
        """What this program writes, as absolute paths or an address; it may lie among the files that are searched."""
        own = [self.output.text, str(self.key_path), f"{self.key_path}{DRAFT}"]
        if self.address.is_file:
            own += [os.path.abspath(self.address.text + ending) for ending in ("", ".lock", "-journal", "-wal", "-shm")]
        return frozenset(own)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only connection for a `with` block; EnvironmentFault if the database fails."""
        with open_for_reading(self.address) as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False, access: int = OWNER) -> Iterator["Store"]:
        """The database, open for writing until the end of the block; `alone` for a run, with `access` for what is new.

        Raises EnvironmentFault where the database fails.
        """
        from dicomprep.database.writes.store import Store

        store = Store(self.address, alone=alone, access=access)
        try:
            yield store
        finally:
            store.close()

    def refresh_series(self) -> bool:
        """Bring the view `series` up to date with what changed since the last run; whether it is.

        During a run, which does so at its end, and where the database cannot be written to, it stays as it is.
        """
        from dicomprep.database.writes.series import refresh_series

        with self.reading() as connection:
            if not has_stale_series(connection):
                return True
        if self.is_locked():
            return False
        try:
            with self.writing() as store:
                refresh_series(store)
        except EnvironmentFault:
            return False
        return True

    @contextmanager
    def lock(self, *, shared: bool = False) -> Iterator[int]:
        """Create the image folder and lock it and the database against other runs; returns the access of new files.

        Raises EnvironmentFault where another run has it, or the disk fails.
        """
        access = self._access(shared=shared)
        with ExitStack() as stack:
            for lock in self._locks():
                try:
                    make_folder(lock.parent, access)
                    make_file(lock, access)
                    stack.enter_context(FileLock(lock, timeout=0))
                except Timeout as error:
                    raise _taken(lock.parent) from error
                except NotImplementedError as error:
                    raise EnvironmentFault(
                        f"{lock} cannot be locked: its file system does not support locks."
                    ) from error
                except OSError as error:
                    raise disk_fault(f"{lock.parent} cannot be written to", error) from error
            if self.output.is_remote:
                stack.enter_context(self._leased())
            yield access

    def is_locked(self) -> bool:
        """Whether a run holds the lock."""
        try:
            for lock in self._locks():
                if lock.exists():
                    with FileLock(lock, timeout=0):
                        pass
        except Timeout:
            return True
        return self.output.is_remote and not self._lease.is_free()

    def claim(self, *, data_set: str, access: int = ANYONE) -> None:
        """Mark the image folder as this database's. Raises like `require_own_output`, or EnvironmentFault."""
        self.require_own_output(data_set=data_set)
        write_owner(self.output, Owner(self._own_name, data_set), access=access)

    def require_own_output(self, *, data_set: str) -> None:
        """ConfigError if the image folder belongs to another data set whose database still exists.

        Whether it is, nobody can tell of one that has its images in an object store: there it always counts.
        """
        location, other = read_owner(self.output)
        if not location or other == data_set or location == self._own_name:
            return
        named = ""
        if not self.output.is_remote:
            if DatabaseAddress(location).is_file:
                real = os.path.realpath(self.output.text)
                location = os.path.normpath(real + os.sep + actual_path(location))
                if not Path(location).exists():
                    return
            named = f", {location}"
        mark = f"{self.output}/{MARK}"
        remedy = f"Give another --output-dir; or, if that database no longer needs them, remove {mark}."
        raise ConfigError(f"{self.output} contains the images of another database{named}. {remedy}")

    def require_claimed(self) -> None:
        """ConfigError if the recorded image folder contains images, but not the mark of this data set.

        A database that somebody else made may name any place; what lies in it is not for it to replace or remove.
        """
        if holds_images(self.output) and read_owner(self.output).data_set != self.data_set:
            message = f"{self.output} is not marked as the image folder of this database: nothing is changed there."
            raise ConfigError(
                f"{message} If they are its own: dicomprep preprocess with --output-dir and --db marks it."
            )

    def _locks(self) -> list[Path]:
        """The files that a run locks: in the folder of images and, whatever it is called by, beside the database."""
        beside = self.address.real_path.with_name(f"{self.address.real_path.name}.lock")
        own = [] if self.output.is_remote else [self.output.path / LOCK]
        return [*own, *([beside] if self.address.is_file else [])]

    @property
    def _own_name(self) -> str:
        """The database as the mark has it: seen from its folder; in an object store a hash, for that may be shared."""
        if not self.output.is_remote:
            return _relative(self.address, self.output.path)
        name = f"{socket.gethostname()}\0{self.address.real_path}" if self.address.is_file else str(self.address)
        return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    @property
    def _lease(self) -> Lease:
        return Lease(self.output.text, self._own_name, is_sole=self.address.is_file)

    @contextmanager
    def _leased(self) -> Iterator[None]:
        """Keep every other run out of an object store."""
        try:
            with self._lease.held() as lease:
                if isinstance(self.images, ObjectImages):
                    self.images.lease = lease
                yield
        except LeaseTakenError as error:
            raise _taken(self.output) from error

    def _access(self, *, shared: bool) -> int:
        """Access of new files: as the folder's mark has it, else the database; owner only for a new data set.

        With `shared` a new one is for a group, too. Those of earlier releases leave it to the umask.
        """
        known = None if self.output.is_remote else access_like(self.output.path / MARK)
        if known is None and self.address.is_file:
            known = access_like(self.address.real_path)
        if known is None and not self.output.is_remote and holds_images(self.output):
            return ANYONE
        return known or (GROUP if shared else OWNER)


def _own_settings() -> Path:
    """The folder of this user's settings."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dicomprep"


def _taken(place: object) -> EnvironmentFault:
    return EnvironmentFault(f"Another run is writing to {place}. Wait for it, or choose another --output-dir and --db.")


def _relative(address: DatabaseAddress, output_dir: Path) -> str:
    """Path of a database relative to its image folder, as both may move together; a server's without its password."""
    if not address.is_file:
        return str(address)
    return readable_path(os.path.relpath(address.real_path, os.path.realpath(output_dir)))
