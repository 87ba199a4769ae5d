"""Reading the sources of a series again: each is opened once, and must be what it was when it was processed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby

from dicomprep.errors import ExportError, InputError
from dicomprep.pipeline.opening import recorded_sources
from dicomprep.storage.archives.spool import Spool
from dicomprep.storage.base import Source
from dicomprep.storage.source import SourceFile
from dicomprep.volumetric.records import SourceRecord

__all__ = ["MAX_FILE_BYTES", "read_sources"]

MAX_FILE_BYTES = 2**32
"""Bytes that one file may take when it is inflated or decoded; bounds memory."""

Read = Callable[[int, SourceFile], None]


def read_sources(records: Mapping[int, SourceRecord], read: Read) -> None:
    """Call `read` with the number and the open file of each record, one after the other.

    What lies in an archive that can only be read in order is unpacked in one pass, to the system's place for temporary
    files, a part at a time. Raises ExportError where a file is gone, cannot be read or decoded, or is no longer what
    was processed.
    """
    ordered = sorted(records.items(), key=lambda item: (item[1].root, item[1].follow_links, item[1].path))
    with Spool.below(None) as spool:
        for (root, follow_links), of_root in groupby(ordered, key=lambda item: (item[1].root, item[1].follow_links)):
            numbers = {record.path: number for number, record in of_root}
            for source in recorded_sources(root, list(numbers), follow_links=follow_links, spool=spool):
                if source is not None:
                    number = numbers[source.path]
                    with _opened(source, records[number]) as file:
                        read(number, file)
                    spool.release(source)


@contextmanager
def _opened(source: Source, record: SourceRecord) -> Iterator[SourceFile]:
    """What is wrong with the file, also by whom reads it, is an ExportError that names it."""
    try:
        with source.open() as file:
            if not source.version.is_same(record.version) and file.digest() != record.digest:
                remedy = "run `dicomprep preprocess` again"
                raise ExportError(f"{record.place} has changed since it was processed: {remedy}")
            yield file
            if file.changed_while_read():
                raise ExportError(f"{record.place} changed while it was read: try again")
    except InputError as error:
        raise ExportError(f"{record.place}: {error.detail} [{error.code}]") from error
