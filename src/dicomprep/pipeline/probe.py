"""Whether a machine sees what a run reads and writes: asked there before work, so that no file is blamed for it."""

import os
import secrets
import time
from dataclasses import dataclass
from typing import Self

from dicomprep.errors import EnvironmentFault
from dicomprep.storage.base import ImageStore
from dicomprep.storage.dicomweb_address import is_dicomweb
from dicomprep.storage.marks import put_mark, read_mark
from dicomprep.storage.objects import Bucket
from dicomprep.storage.place import is_url

__all__ = ["Probe"]

TRIES, TRY_SECONDS = 3, 0.5
"""What was made a moment ago may take that long to be seen by another client of a file server."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Called on a worker's machine: a sentence, without its subject, that says what it does not see; else None."""

    data: str
    """The folder that is searched."""
    entry: str | None
    """Something in it; None where there is nothing."""
    images: ImageStore
    mark: str
    """A file that the parent made below the output folder, by its path there."""
    token: str
    """What that file holds."""

    @classmethod
    def place(cls, data: str, images: ImageStore) -> Self:
        """Look at the folder, and leave a mark in the output folder. Raises EnvironmentFault where that fails."""
        token = secrets.token_hex(16)
        return cls(data, _any_entry(data), images, put_mark(images, token), token)

    def __call__(self) -> str | None:
        """Raises nothing: a disk that is full is told by the work itself."""
        for _ in range(TRIES):
            why = self._explain_data() or self._explain_output()
            if why is None:
                return None
            time.sleep(TRY_SECONDS)
        return why

    def _explain_data(self) -> str | None:
        if is_url(self.data):
            reached = is_dicomweb(self.data) or Bucket(self.data).answers()
            return None if reached else f"cannot read {self.data}: it needs the same credentials and endpoint there"
        try:
            os.lstat(os.path.join(self.data, self.entry or ""))
        except OSError as error:
            return f"does not see the files in {self.data} ({error.strerror}): mount it there under the same path"
        return None

    def _explain_output(self) -> str | None:
        where = f"the output folder {self.images.address}"
        try:
            if read_mark(self.images, self.mark) != self.token:
                return f"sees another folder in the place of {where}: mount it there under the same path"
        except OSError as error:
            return f"does not see {where} ({error.strerror}): mount it there under the same path"
        return None


def _any_entry(folder: str) -> str | None:
    if is_url(folder):
        return None
    try:
        with os.scandir(folder) as entries:
            return next((entry.name for entry in entries), None)
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be read: {error.strerror}.") from error
