"""The header of one file: everything before its pixels, and where those begin."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.burned_in_text import read_reasons
from dicomprep.dicom.fast_scan import (
    CHARACTER_SET,
    MAX_CHARACTER_SET_BYTES,
    PIXEL_KEYWORDS,
    SCANNED_BYTES,
    scan_dataset,
    to_dataset,
    wanted_tags,
)
from dicomprep.dicom.items import FREE_ELEMENTS, TOO_MANY, element_budget, require_within_budget
from dicomprep.dicom.non_dicom import explain_not_dicom
from dicomprep.dicom.numbers import format_number
from dicomprep.dicom.padding import is_lossy
from dicomprep.dicom.recorded_tags import read_extra_tags, read_tags
from dicomprep.dicom.sniff import Encoding, sniff
from dicomprep.dicom.vocabulary import MODALITIES
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Instance
from dicomprep.pixels.codecs import transfer_syntaxes
from dicomprep.privacy.allow_list import is_plausible
from dicomprep.privacy.keys import is_uid, uid_key
from dicomprep.storage.source import HEAD_BYTES, MemoryFile, SourceFile

__all__ = ["Header", "PixelElement", "name_syntax", "read_header"]

MAX_FRAMES = 2**20
"""Frames of a file; bounds memory and time."""

READS_PER_ELEMENT = 3
"""Reads that pydicom makes for an element, item or value."""

MAX_VALUE_BYTES = 2**28
"""Bytes of a value read at once; bounds memory. The functional groups of 100,000 frames take less."""

INFLATED_FRACTION = 4
"""A Deflated data set may take this part of the memory for a file: zlib needs twice of it, decoding some more."""


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data lie in the file (or in its inflated data set)."""

    keyword: str
    position: int
    """Of the value; for encapsulated data, of the basic offset table's item."""
    length: int | None
    """None for encapsulated data."""
    end: int | None = None
    """Of encapsulated data, where it is known beforehand."""
    swapped: bool = False
    """Samples of up to 8 bits in big-endian words (OW): each pair of bytes is swapped (PS3.5 8.1.1)."""


@dataclass(frozen=True, slots=True)
class Header:
    """The attributes of a file and the place of its pixels."""

    attributes: Attributes
    encoding: Encoding
    transfer_syntax: str
    pixels: PixelElement | None
    file: SourceFile | MemoryFile
    """What `pixels.position` counts in."""
    extra: tuple[str, ...] = ()
    """Keywords that are recorded beyond the allow-list."""

    @property
    def stated_frames(self) -> int:
        """Number of Frames (0028,0008), 1 where it is absent or empty; InputError where it is no possible number."""
        count = self.attributes.integer("NumberOfFrames") or 1
        if not 1 <= count <= MAX_FRAMES:
            code = ErrorCode.LIMIT_EXCEEDED if count > 0 else ErrorCode.CORRUPT_HEADER
            raise InputError(
                code, f"{label('NumberOfFrames')} is {format_number(count)}; supported: 1 to {MAX_FRAMES:,}"
            )
        return count

    def explain_no_image(self) -> str:
        """The error of a file without pixel data."""
        if self.pixels is not None:
            return f"{label(self.pixels.keyword)} is empty"
        if "PixelDataProviderURL" in self.attributes:
            return "no Pixel Data (7FE0,0010), only Pixel Data Provider URL (0028,7FE0)"
        return "no Pixel Data (7FE0,0010)"

    def instance(self) -> Instance:
        """What is recorded of the file beyond its pixels."""
        get = self.attributes.text
        return Instance(
            transfer_syntax=self.transfer_syntax,
            sop_class_uid=get("SOPClassUID"),
            sop_instance_uid=get("SOPInstanceUID"),
            study_instance_uid=get("StudyInstanceUID"),
            series_instance_uid=get("SeriesInstanceUID"),
            frame_of_reference_key=uid_key(get("FrameOfReferenceUID")),
            is_lossy=is_lossy(self.attributes, self.transfer_syntax),
            instance_number=_instance_number(self.attributes),
            modality=term if (term := self.attributes.code("Modality")) in MODALITIES else None,
            tags=read_tags(self.attributes),
            extra_tags=read_extra_tags(self.attributes, self.extra),
            reasons=read_reasons(self.attributes),
        )


def name_syntax(transfer_syntax: str) -> str:
    """The name of a transfer syntax and its UID.

    >>> name_syntax("1.2.840.10008.1.2.4.94")
    'JPIP Referenced (1.2.840.10008.1.2.4.94)'
    """
    if not is_uid(transfer_syntax):
        return "(no UID)"
    name = transfer_syntaxes.NAMES.get(transfer_syntax) or UID(transfer_syntax).name
    return transfer_syntax if name == transfer_syntax else f"{name} ({transfer_syntax})"


def read_header(source: SourceFile | MemoryFile, *, max_bytes: int, extra: tuple[str, ...] = ()) -> Header:
    """Read all that stands before the pixels; `extra` are keywords of attributes that are wanted beyond the usual.

    Raises InputError: `not_dicom`, `corrupt_header`, `truncated`, or `limit_exceeded` where a Deflated data set
    inflates to more than a quarter of `max_bytes`.
    """
    encoding = sniff(source.head())
    if encoding is None:
        raise InputError(ErrorCode.NOT_DICOM, explain_not_dicom(source))
    file: SourceFile | MemoryFile = source
    start = encoding.offset
    if encoding.deflated:
        file, start = _inflate(source, start, max_bytes), 0
    attributes, pixels = _read_until_pixels(file, start, encoding, extra)
    return Header(attributes, encoding, encoding.transfer_syntax or "", pixels, file, extra)


def _read_until_pixels(
    file: SourceFile | MemoryFile, start: int, encoding: Encoding, extra: tuple[str, ...]
) -> tuple[Attributes, PixelElement | None]:
    """The wanted attributes, and the pixels if there are any; InputError `truncated` where there could have been."""
    scanned = scan_dataset(file.view_at(0, HEAD_BYTES), encoding, start, extra) if file.identity else None
    scanned = scanned or scan_dataset(file.view_at(0, SCANNED_BYTES), encoding, start, extra)
    if scanned is not None:
        elements, position = scanned
        attributes = Attributes(elements, lambda: to_dataset(elements, encoding))
        return attributes, _pixel_element(file, position, encoding)
    held_bytes = file.held_bytes
    require_within_budget(file, start, encoding, held_bytes=held_bytes, wanted=wanted_tags(extra))
    stream = _Watched(file.stream(), file.size, held_bytes)
    dataset = _read_dataset(stream, start, encoding, extra)
    pixels = _pixel_element(file, stream.tell(), encoding)
    if pixels is None and stream.cut:
        raise InputError(ErrorCode.TRUNCATED, "file truncated within its header")
    return Attributes.of(dataset), pixels


class _Watched:
    """A stream that notices when it is asked for more than there is, or too often: pydicom itself does not mind."""

    def __init__(self, stream: BinaryIO, size: int, held_bytes: int) -> None:
        self._stream, self._size, self._held_bytes = stream, size, held_bytes
        self._reads, self.cut, self.is_exhausted = 0, False, False
        self.tell = stream.tell

    def read(self, length: int = -1) -> bytes:
        self._reads += 1
        if length > MAX_VALUE_BYTES or self._reads > READS_PER_ELEMENT * FREE_ELEMENTS:
            self._require_payable(length)
        content = self._stream.read(length)
        if len(content) < length:
            self.cut |= content.strip(b"\0") != b""
        return content

    def _require_payable(self, length: int) -> None:
        if length > MAX_VALUE_BYTES or self._reads > READS_PER_ELEMENT * element_budget(self._held_bytes, self.tell()):
            self.is_exhausted = True
            raise ValueError("too many reads")

    def seek(self, offset: int, whence: int = 0) -> int:
        position = self._stream.seek(offset, whence)
        self.cut |= position > self._size
        return position


def _read_dataset(stream: _Watched, start: int, encoding: Encoding, extra: tuple[str, ...]) -> Dataset:
    """The wanted attributes up to the pixels, where the stream then stands."""
    stream.seek(start)
    try:
        dataset = read_dataset(
            stream,
            encoding.implicit,
            not encoding.big_endian,
            stop_when=_at_pixels,
            specific_tags=list(wanted_tags(extra)),
        )
        if stream.is_exhausted:  # pydicom has put up with it
            raise ValueError
        return dataset
    except (MemoryError, InputError):
        raise
    except Exception as error:
        raise _reading_error(error, stream) from error


def _reading_error(error: Exception, stream: _Watched) -> InputError:
    if stream.is_exhausted:  # pydicom makes other errors of the one it met then
        return InputError(ErrorCode.LIMIT_EXCEEDED, TOO_MANY)
    if isinstance(error, RecursionError):
        return InputError(ErrorCode.CORRUPT_HEADER, "sequences nested too deeply")
    if stream.cut:
        return InputError(ErrorCode.TRUNCATED, "file truncated within its header")
    message = f"header damaged before byte {stream.tell():,}: no valid data element"
    return InputError(ErrorCode.CORRUPT_HEADER, message)


def _at_pixels(tag: BaseTag, _vr: str | None, length: int) -> bool:
    if tag == CHARACTER_SET and length > MAX_CHARACTER_SET_BYTES:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"{label('SpecificCharacterSet')} has {length:,} bytes")
    return int(tag) in PIXEL_KEYWORDS


def _pixel_element(file: SourceFile | MemoryFile, at: int, encoding: Encoding) -> PixelElement | None:
    """The element at which reading stopped, if it is one of pixels."""
    order = ">" if encoding.big_endian else "<"
    raw = file.read_at(at, 12)
    if len(raw) < 8:
        return None
    group, element = struct.unpack(f"{order}2H", raw[:4])
    keyword = PIXEL_KEYWORDS.get(group << 16 | element)
    if keyword is None:
        return None
    if raw[4:6] in (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN"):
        (length,) = struct.unpack(f"{order}I", raw[8:12].ljust(4, b"\0"))
        position = at + 12
    else:
        (length,) = struct.unpack(f"{order}I", raw[4:8])
        position = at + 8
    swapped = encoding.big_endian and raw[4:6] == b"OW"
    return PixelElement(keyword, position, None if length == 0xFFFFFFFF else length, swapped=swapped)


MORE = "(a larger --max-memory, with `dicomprep retry`, allows more)"


def _inflate(source: SourceFile | MemoryFile, start: int, max_bytes: int) -> MemoryFile:
    limit = max_bytes // INFLATED_FRACTION
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        content = stream.decompress(source.read_at(start, source.size - start), limit)
    except zlib.error as error:
        raise InputError(ErrorCode.CORRUPT_HEADER, f"deflated data set cannot be inflated: {error}") from error
    if stream.unconsumed_tail:
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"data set inflates to more than {limit:,} bytes {MORE}")
    if not stream.eof:
        raise InputError(ErrorCode.TRUNCATED, f"deflated data set truncated after {len(content):,} bytes")
    return MemoryFile(content)


def _instance_number(attributes: Attributes) -> int | None:
    """It is only context: a malformed one does not cost the image."""
    try:
        value = attributes.integer("InstanceNumber")
    except InputError:
        return None
    return value if value is not None and is_plausible("instance_number", value) else None


def read_extended_offsets(attributes: Attributes) -> Sequence[int] | None:
    """Extended Offset Table (7FE0,0001), if there is one."""
    raw = attributes.content("ExtendedOffsetTable")
    if not raw:
        return None
    count = min(len(raw) // 8, MAX_FRAMES)
    return struct.unpack(f"<{count}Q", raw[: 8 * count])
