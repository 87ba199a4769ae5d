"""What a file says of images of other files: segmentations, structure sets, reports, marks, presentation states."""

from collections.abc import Callable, Iterator
from itertools import islice

from dicomprep.dicom import contours, presentations, reports, segments
from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.header import read_header
from dicomprep.errors import ErrorCode, InputError
from dicomprep.privacy.references import NO_REFERENCES, Reference, References
from dicomprep.storage.source import MemoryFile, SourceFile

__all__ = ["describes_images", "read_references"]

MAX_REFERENCES = 100_000
"""Statements of one file that are recorded; bounds memory, and rows of the database."""

_STORAGE = "1.2.840.10008.5.1.4.1.1"
_Reader = tuple[Callable[[Attributes], Iterator[Reference]], tuple[str, ...]]
_SEGMENTS: _Reader = segments.read_segments, segments.KEYWORDS
_REPORT: _Reader = reports.read_report, reports.KEYWORDS
_READERS: dict[str, _Reader] = {
    f"{_STORAGE}.66.4": _SEGMENTS,
    f"{_STORAGE}.66.5": _SEGMENTS,  # surfaces
    f"{_STORAGE}.66.7": _SEGMENTS,  # label maps
    f"{_STORAGE}.481.3": (contours.read_contours, contours.KEYWORDS),
    f"{_STORAGE}.88.59": (reports.read_key_images, reports.KEYWORDS),
}
"""By SOP Class (PS3.4 B.5)."""

_FAMILIES: dict[str, _Reader] = {
    f"{_STORAGE}.88.": _REPORT,
    f"{_STORAGE}.11.": (presentations.read_presentation, presentations.KEYWORDS),
}
"""By what all SOP Classes of a kind begin with."""


def describes_images(sop_class_uid: str | None) -> bool:
    """Whether files of a SOP Class say something of images of other files."""
    return sop_class_uid is not None and _find_reader(sop_class_uid) is not None


def read_references(file: SourceFile | MemoryFile, sop_class_uid: str | None, *, max_bytes: int) -> References:
    """What an open file says of images, as far as it can be read: without its pixels, and within budgets."""
    reader = _find_reader(sop_class_uid or "")
    if reader is None:
        return NO_REFERENCES
    read, keywords = reader
    rows: list[Reference] = []
    try:
        attributes = read_header(file, max_bytes=max_bytes, extra=keywords).attributes
        rows.extend(islice(read(attributes), MAX_REFERENCES + 1))
    except InputError as error:
        return References(tuple(rows), error.code, error.detail)
    if len(rows) > MAX_REFERENCES:
        return References(tuple(rows[:-1]), ErrorCode.LIMIT_EXCEEDED, f"more than {MAX_REFERENCES:,} references")
    return References(tuple(rows))


def _find_reader(sop_class_uid: str) -> _Reader | None:
    families = (reader for prefix, reader in _FAMILIES.items() if sop_class_uid.startswith(prefix))
    return _READERS.get(sop_class_uid) or next(families, None)
