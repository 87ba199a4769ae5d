"""Small files in the scratch folder of a store: proof that two machines see one folder."""

import errno
import os
from pathlib import Path

from dicomprep.errors import EnvironmentFault, disk_fault
from dicomprep.storage.base import ImageStore
from dicomprep.storage.local_images import NEW_FILE, LocalImages
from dicomprep.storage.owner import put_owned, read_owned
from dicomprep.storage.paths import OWN_PREFIX, SCRATCH
from dicomprep.storage.source import read_small_file

__all__ = ["put_mark", "read_mark", "write_scratch"]

MARK_BYTES = 256
OBJECT_MARK = f"{OWN_PREFIX}.seen"


def put_mark(images: ImageStore, content: str) -> str:
    """Leave a file, or an object, for other machines; its path below the place of images. Raises EnvironmentFault."""
    if not isinstance(images, LocalImages):
        put_owned(images.address, OBJECT_MARK, content.encode())
        return OBJECT_MARK
    try:
        write_scratch(images.own_scratch(), "mark", content)
    except OSError as error:
        raise disk_fault(f"{images.folder} cannot be written to", error) from error
    return f"{SCRATCH}/{images.scratch_name}/mark"


def read_mark(images: ImageStore, path: str) -> str:
    """What another machine left there; OSError where it cannot be read."""
    if not isinstance(images, LocalImages):
        try:
            return read_owned(images.address, path, most=MARK_BYTES).decode(errors="replace")
        except EnvironmentFault as error:
            raise OSError(errno.EIO, str(error)) from error
    return read_small_file(Path(images.where(path)), most=MARK_BYTES, follow_links=False).decode(errors="replace")


def write_scratch(folder: int, name: str, content: str) -> os.stat_result:
    """Write a file of a scratch folder, stamped by the clock of its file system; OSError where that fails."""
    descriptor = os.open(name, NEW_FILE, 0o644, dir_fd=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.utime(descriptor)  # the time that the file system gives, which is what its files are stamped by
        return os.fstat(descriptor)
