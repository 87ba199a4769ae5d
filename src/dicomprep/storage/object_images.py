"""Thumbnails in an object store: whole or not there by nature, each put answered before its row is written."""

import os
from collections.abc import Iterable, Iterator

from dicomprep.errors import EnvironmentFault, ErrorCode, InputError
from dicomprep.pixels.encoding import ENDINGS, format_of
from dicomprep.storage.base import Entry, Stat, require_image_name
from dicomprep.storage.lease import Lease
from dicomprep.storage.object_faults import FaultKind
from dicomprep.storage.objects import Bucket, RefusedError

__all__ = ["ObjectImages"]

MAX_KEY_BYTES = 1024
"""Of a key as a whole, as S3 has it."""


class ObjectImages:
    """An `ImageStore` below an address such as `s3://bucket/prefix`. Several threads and processes may use it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lease: Lease | None = None
        """Of the run that writes here, in its own process."""
        self._bucket = Bucket(address)

    def __reduce__(self) -> tuple[type["ObjectImages"], tuple[str]]:
        return type(self), (self.address,)

    def close(self) -> None:
        """See `ImageStore`."""

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """See `ImageStore`. EnvironmentFault where the store does not answer."""
        key = require_image_name(name, self.address)
        try:
            return self._bucket.get(key, 0, most).content
        except RefusedError as error:
            if error.fault.kind is FaultKind.REFUSED and most:  # of an empty object there is no range
                return self._read_whole(key)[:most]
            raise self._os_error(key, error) from error

    def stat(self, name: str) -> Stat:
        """See `ImageStore`."""
        key = require_image_name(name, self.address)
        try:
            return Stat(name, self._bucket.head(key).size)
        except RefusedError as error:
            raise self._os_error(key, error) from error

    def holds(self, name: str) -> bool:
        """See `ImageStore`."""
        try:
            self.stat(name)
        except (OSError, EnvironmentFault):
            return False
        return True

    def are_one(self, one: str, other: str) -> bool:
        """See `ImageStore`: no two keys are one."""
        return one == other

    def where(self, name: str) -> str:
        """See `ImageStore`."""
        return self._bucket.where(name)

    def publish(self, name: str, content: bytes) -> None:
        """See `ImageStore`. InputError where this one name is too long for the store."""
        key = require_image_name(name, self.address)
        if len(self.where(key).encode()) > MAX_KEY_BYTES:
            raise InputError(ErrorCode.LIMIT_EXCEEDED, "the path of its thumbnail would be too long")
        try:
            self._bucket.put(key, content, media_type=format_of(key).media_type)
        except RefusedError as error:
            raise self._fault(key, "written", error) from error

    def remove(self, names: Iterable[str]) -> None:
        """See `ImageStore`."""
        for name in names:
            key = require_image_name(name, self.address)
            try:
                self._bucket.delete([key])
            except RefusedError as error:
                raise self._fault(key, "removed", error) from error

    def remove_emptied(self, folder: str) -> None:
        """See `ImageStore`: there are no folders."""

    def list(self) -> Iterator[Stat]:
        """See `ImageStore`."""
        return (Stat(entry.path, entry.size) for entry in self.entries("") if entry.is_image)

    def folders(self) -> Iterator[str]:
        """See `ImageStore`: all lies in one."""
        yield ""

    def entries(self, folder: str) -> Iterator[Entry]:
        """See `ImageStore`: all below a folder."""
        for stat in self._bucket.list(folder):
            yield Entry(stat.key, is_folder=False, is_image=stat.key.endswith(ENDINGS), size=stat.size)

    def require_in_place(self) -> None:
        """See `ImageStore`: an address leads where it leads, as long as no other run has taken it."""
        if self.lease is not None and self.lease.lost:
            message = f"Another run has begun to write to {self.address}, for this one did not answer for a while."
            raise EnvironmentFault(f"{message} Let one of them end, then run this again.")

    def sync(self, names: Iterable[str]) -> None:
        """See `ImageStore`: what a store has answered for is its own to keep."""

    def half_written(self) -> Iterator[str]:
        """See `ImageStore`: there are none."""
        return iter(())

    def clear_scratch(self) -> None:
        """See `ImageStore`: there is nothing half-written."""

    def fence(self) -> None:
        """See `ImageStore`: there is none."""

    def _read_whole(self, key: str) -> bytes:
        try:
            return self._bucket.get(key).content
        except RefusedError as error:
            raise self._os_error(key, error) from error

    def _os_error(self, key: str, error: RefusedError) -> OSError:
        kind = FileNotFoundError if error.fault.kind is FaultKind.MISSING else OSError
        number = 2 if kind is FileNotFoundError else 5
        return kind(number, os.strerror(number) if number == 2 else error.fault.reason, self.where(key))

    def _fault(self, key: str, what: str, error: RefusedError) -> EnvironmentFault:
        return EnvironmentFault(f"{self.where(key)} cannot be {what}: {error.fault.reason}.")
