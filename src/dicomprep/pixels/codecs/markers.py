"""What a JPEG or JPEG 2000 codestream says of itself, read before anything is decoded.

Sources: ITU-T T.81 annex B (JPEG), T.87 (JPEG-LS), T.800 annex A and I (JPEG 2000), T.814 (HTJ2K), ISO/IEC 18181.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.transfer_syntaxes import JPEG_XL_LOSSLESS, RLE_LOSSLESS, of_process

__all__ = [
    "Codestream",
    "bare_jpeg2000",
    "find_segment",
    "header_segments",
    "identify_syntax",
    "read_codestream",
    "read_jpeg",
    "read_jpeg2000",
    "read_jpegxl_shape",
]

JXL_SIGNATURE = b"JXL \r\n\x87\n"
JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"

MAX_SEGMENTS = 10_000
"""Segments before the first scan or tile; bounds time. Some dozens are usual, and 255 for an ICC profile."""

_FILL = re.compile(b"\xff+")


@dataclass(frozen=True, slots=True)
class Codestream:
    """Facts from the headers of one compressed frame."""

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool = False
    process: int = 0
    """The JPEG frame marker's low byte (0xC0 baseline … 0xF7 JPEG-LS); 0 for JPEG 2000."""
    complete: bool = True
    """The end marker is there."""
    adobe_transform: int | None = None
    """Of an Adobe APP14 segment: 0 as is, 1 YCbCr."""
    jfif: bool = False
    component_ids: tuple[int, ...] = ()
    predictor: int = 0
    """Selection value of JPEG Lossless: how a sample is predicted from its neighbors (T.81 table H.1)."""
    end: int = 0
    """Where the last JPEG 2000 tile-part ends: there is the end marker, or it is missing."""
    levels: int = 0
    """How often a JPEG 2000 image may be halved while it is decoded, its samples staying on the image's own grid."""
    component_transform: bool | None = False
    """JPEG 2000 turned RGB into three other components, as decoders undo; None: in some tiles only."""
    subsampled: bool = False
    """Some JPEG 2000 component has fewer samples than the image."""
    lossy: bool = False
    """Samples may come out beyond the range that went in."""
    parts: int = 0
    """Precincts, or code-blocks if these are more, of a JPEG 2000 component: decoders set memory aside for each."""
    name: str = "JPEG 2000"
    """Of the codec, for messages."""


def read_jpeg(data: bytes) -> Codestream:
    """Read the segments of a JPEG or JPEG-LS codestream up to its first scan; ValueError where there is none."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("missing JPEG SOI marker (FFD8)")
    frame: tuple[int, bytes] | None = None
    adobe: int | None = None
    jfif = False
    for marker, segment, at in header_segments(data):  # noqa: B007  (the last one is that of the scan)
        if (marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            frame = (marker, segment)
        elif marker == 0xEE and segment[:5] == b"Adobe" and len(segment) >= 12:
            adobe = segment[11]
        elif marker == 0xE0 and segment[:4] == b"JFIF":
            jfif = True
    if frame is None:
        raise ValueError("JPEG scan before the frame header")
    process, header = frame
    selection = segment[1 + 2 * segment[0]] if segment and len(segment) > 1 + 2 * segment[0] else 0
    if len(header) < 6 or len(header) < 6 + 3 * header[5]:
        raise ValueError("truncated JPEG frame header")
    bits, rows, columns, components = struct.unpack(">BHHB", header[:6])
    return Codestream(
        rows=rows,
        columns=columns,
        components=components,
        bits=bits,
        process=process,
        name="JPEG-LS" if process == 0xF7 else "JPEG",
        complete=data.rfind(b"\xff\xd9", at) >= 0,
        adobe_transform=adobe,
        jfif=jfif,
        component_ids=tuple(header[6::3][:components]),
        predictor=selection,
        lossy=selection > 0 if process == 0xF7 else process != 0xC3,  # of JPEG-LS it is NEAR (T.87 C.2.3)
    )


def bare_jpeg2000(data: bytes) -> bytes:
    """The codestream without the JP2 file around it, whose word on color does not count (PS3.5 A.4.4; T.800 I.4)."""
    at = 0 if data[:12] == JP2_SIGNATURE else len(data)
    while at + 16 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 16 if length == 1 else 8
        length = int.from_bytes(data[at + 8 : at + 16], "big") if length == 1 else length or len(data) - at
        if kind == b"jp2c":
            return data[at + head : at + length]
        at += max(length, head)
    return data


def read_jpeg2000(data: bytes) -> Codestream:
    """Read the main header of a bare JPEG 2000 or HTJ2K codestream; ValueError where it has none."""
    if data[:4] != b"\xff\x4f\xff\x51":
        raise ValueError("missing JPEG 2000 SOC and SIZ markers (FF4F FF51)")
    size = data[4:45]
    if len(size) < 41:
        raise ValueError("truncated JPEG 2000 SIZ segment")
    x1, y1, x0, y0, tile_columns, tile_rows, tile_x0, tile_y0 = struct.unpack(">8I", size[4:36])
    components, first_bits = struct.unpack(">HB", size[36:39])
    coding, _ = find_segment(data, 2, 0x52)
    (length,) = struct.unpack(">H", size[:2])
    subsampled = any(data[at : at + 2] != b"\1\1" for at in range(43, min(len(data), 4 + length), 3))
    at_origin = not (x0 or y0 or tile_x0 or tile_y0 or subsampled)
    tiles = -(-(x1 - tile_x0) // max(1, tile_columns)) * -(-(y1 - tile_y0) // max(1, tile_rows))
    complete, end = _find_end(data, tiles)
    return Codestream(
        rows=y1 - y0,
        columns=x1 - x0,
        components=components,
        bits=(first_bits & 0x7F) + 1,
        signed=bool(first_bits & 0x80),
        complete=complete,
        end=end,
        levels=coding[5] if len(coding) > 5 and at_origin else 0,
        component_transform=_read_transform(data, coding, end),
        subsampled=subsampled,
        lossy=True,
        parts=_count_parts(coding, x1, y1),
    )


def _read_transform(data: bytes, coding: bytes, end: int) -> bool | None:
    """Whether tiles have a component transformation: as they say, else as the main header does (T.800 A.6.1)."""
    main = coding[4:5]
    stated: dict[bytes, bytes] = {}
    _, at = find_segment(data, 2, None)
    while data[at : at + 2] == b"\xff\x90" and at < end:
        following = at + (int.from_bytes(data[at + 6 : at + 10], "big") or len(data))
        own, _ = find_segment(data, at + 12, 0x52, following)
        stated[data[at + 4 : at + 6]] = own[4:5] or stated.get(data[at + 4 : at + 6], main)
        at = following
    found = {value not in (b"", b"\0") for value in stated.values()} or {main not in (b"", b"\0")}
    return found.pop() if len(found) == 1 else None


def _count_parts(coding: bytes, columns: int, rows: int) -> int:
    """How many precincts, or code-blocks if these are more, the largest resolution is divided into (T.800 A.6.1)."""
    if len(coding) < 8:
        return 0
    levels, exponents = coding[5], [coding[6] + 2, coding[7] + 2]
    parts = max(1, columns >> exponents[0]) * max(1, rows >> exponents[1])
    if coding[0] & 1:
        for resolution, size in enumerate(coding[10 : 11 + levels]):
            across, down = (length >> (levels - resolution) for length in (columns, rows))
            parts = max(parts, (across >> (size & 15)) * (down >> (size >> 4)))
    return parts


def _find_end(data: bytes, tiles: int) -> tuple[bool, int]:
    """Whether every tile-part is as long as it says, and none is missing; and where the last one ends."""
    _, at = find_segment(data, 2, None)
    seen = set()
    while data[at : at + 2] == b"\xff\x90" and at + 12 <= len(data):
        tile, length = struct.unpack(">HI", data[at + 4 : at + 10])
        seen.add(tile)
        end = at + length if length else data.rfind(b"\xff\xd9", at)
        if end > len(data) or end <= at:
            return False, at
        at = end
    return len(seen) == tiles and data[at : at + 2] in (b"\xff\xd9", b"", b"\0"), at


def read_jpegxl_shape(data: bytes) -> tuple[int, int]:
    """(rows, columns) of a JPEG XL codestream, bare or in boxes (ISO/IEC 18181-1 D.2, 18181-2 9.1); else ValueError."""
    start = 0
    if data[4:12] == JXL_SIGNATURE:
        whole, part = data.find(b"jxlc"), data.find(b"jxlp")
        start = whole + 4 if whole >= 0 else part + 8
    if data[start : start + 2] != b"\xff\x0a":
        raise ValueError("missing JPEG XL signature (FF0A)")
    bits = int.from_bytes(data[start + 2 : start + 12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & (2**count - 1), bits >> count
        return value

    def length(*, small: bool) -> int:
        return 8 * (take(5) + 1) if small else 1 + take((9, 13, 18, 30)[take(2)])

    small = take(1) == 1
    rows = length(small=small)
    ratio = take(3)
    if ratio == 0:
        return rows, length(small=small)
    numerator, denominator = JXL_RATIOS[ratio - 1]
    return rows, rows * numerator // denominator


def read_codestream(data: bytes) -> Codestream | None:
    """Size and components (0: not read) as its own markers state them; None where it has none that are known."""
    try:
        if data[:2] == b"\xff\xd8":
            return read_jpeg(data)
        bare = bare_jpeg2000(data)
        if bare[:4] == b"\xff\x4f\xff\x51":
            return read_jpeg2000(bare)
        rows, columns = read_jpegxl_shape(data)
        return Codestream(rows, columns, components=0, bits=0)
    except (ValueError, struct.error, IndexError):  # the decoder will say so
        return None


def identify_syntax(data: bytes) -> str | None:
    """The transfer syntax of a frame whose file does not state one, from its own markers; None where they are unknown.

    A lossless syntax is named where the markers do not tell: both decode alike.
    """
    if data[:2] == b"\xff\xd8":
        number = {0xC0: 50, 0xC1: 51, 0xC2: 55, 0xC3: 57, 0xF7: 80}.get(read_jpeg(data).process)
        return of_process(number) if number else None
    if data[:4] == b"\xff\x4f\xff\x51" or data[:12] == JP2_SIGNATURE:
        high_throughput, _ = find_segment(data, max(0, data.find(b"\xff\x4f\xff\x51")) + 2, 0x50)
        return of_process(201 if high_throughput else 90)
    if data[:2] == b"\xff\x0a" or data[4:12] == JXL_SIGNATURE:
        return JPEG_XL_LOSSLESS
    segments, first = struct.unpack("<2I", data[:8].ljust(8, b"\0"))
    return RLE_LOSSLESS if 1 <= segments <= 15 and first == 64 else None


def _next_segment(data: bytes, at: int) -> tuple[int, bytes, int]:
    """The marker, content and end of the segment at `at`; fill bytes are passed over."""
    fill = _FILL.match(data, at)
    at = fill.end() - 1 if fill else at
    if at + 4 > len(data) or fill is None:
        raise ValueError(f"expected a JPEG marker at byte {at}")
    marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
    if marker in (0xD8, 0xD9) or length < 2 or at + 2 + length > len(data):
        raise ValueError(f"truncated or malformed JPEG segment at byte {at}")
    return marker, data[at + 4 : at + 2 + length], at + 2 + length


def header_segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, content, end) of each JPEG segment up to the first scan's, none of what lies in one; or ValueError."""
    marker, at, count = 0, 2, 0
    while marker != 0xDA:
        marker, segment, at = _next_segment(data, at)
        count = _one_more(count)
        yield marker, segment, at


def _one_more(count: int) -> int:
    if count >= MAX_SEGMENTS:
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"codestream header has more than {MAX_SEGMENTS:,} segments")
    return count + 1


def find_segment(data: bytes, at: int, wanted: int | None, end: int | None = None) -> tuple[bytes, int]:
    """The content of a JPEG 2000 header segment, or nothing; and where reading stopped: at most at `end` or a tile."""
    end, count = len(data) if end is None else min(end, len(data)), 0
    while at + 4 <= end and data[at] == 0xFF and data[at + 1] not in (0x90, 0x93):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == wanted:
            return data[at + 4 : at + 2 + length], at
        at += 2 + max(length, 2)
        count = _one_more(count)
    return b"", at
