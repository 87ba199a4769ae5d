"""Small files that ask for much: time, memory, depth. Each is made by a function that returns its bytes."""

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import imagecodecs
import numpy as np

__all__ = [
    "BOMBS",
    "DEFLATED",
    "FUNCTIONAL",
    "ITEM",
    "PIXELS",
    "PLAIN",
    "PRIVATE",
    "UNDEFINED",
    "Elements",
    "make_element",
    "make_file",
    "make_fragments",
    "make_groups",
    "make_item",
    "make_numbers",
    "make_text",
    "open_sequence",
]

UID = "1.2.840.10008.1.2"
NATIVE, DEFLATED, RLE = f"{UID}.1", f"{UID}.1.99", f"{UID}.5"
LARGEST, LARGE = 65_535, 16_000
"""More pixels than any budget has room for, and as many as one still has."""

MANY = 1_000_000
UNDEFINED = 0xFFFFFFFF
LONG_VRS = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT")
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

Elements = dict[int, bytes]
"""Encoded elements by their tags."""


def make_element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<2H", tag >> 16, tag & 0xFFFF) + vr.encode()
    size = len(value) if length is None else length
    return head + (struct.pack("<2xI", size) if vr in LONG_VRS else struct.pack("<H", size)) + value


def make_item(tag: int, length: int = 0) -> bytes:
    return struct.pack("<2HI", tag >> 16, tag & 0xFFFF, length)


def make_text(tag: int, vr: str, value: object) -> bytes:
    raw = str(value).encode()
    return make_element(tag, vr, raw + b" " * (len(raw) % 2))


def make_numbers(**values: int) -> Elements:
    """Attributes of the Image Pixel module."""
    tags = {
        "samples": 0x00280002, "planar": 0x00280006, "rows": 0x00280010, "columns": 0x00280011, "allocated": 0x00280100,
        "stored": 0x00280101, "high_bit": 0x00280102, "signed": 0x00280103,
    }  # fmt: skip
    elements = {
        tags[name]: make_element(tags[name], "US", struct.pack("<H", v))
        for name, v in values.items()
        if name != "frames"
    }
    if "frames" in values:
        elements[0x00280008] = make_text(0x00280008, "IS", values["frames"])
    return elements


PLAIN = {
    0x00080016: make_text(0x00080016, "UI", f"{UID[:-4]}.5.1.4.1.1.7"),
    0x00080060: make_text(0x00080060, "CS", "OT"),
    0x00100020: make_text(0x00100020, "LO", "P1"),
    0x00280004: make_text(0x00280004, "CS", "MONOCHROME2"),
    **make_numbers(samples=1, rows=64, columns=64, allocated=8, stored=8, high_bit=7, signed=0),
}
PIXELS = {0x7FE00010: make_element(0x7FE00010, "OB", bytes(4096))}


def make_file(*parts: Elements, syntax: str = NATIVE) -> bytes:
    """A DICOM file; later parts replace elements of earlier ones."""
    elements: Elements = {}
    for part in parts:
        elements |= part
    data = b"".join(elements[tag] for tag in sorted(elements))
    if syntax == DEFLATED:
        data = zlib.compress(data, 9, wbits=-zlib.MAX_WBITS)
    meta = make_text(0x00020010, "UI", syntax).replace(b" ", b"\0")
    return bytes(128) + b"DICM" + make_element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + data


def make_fragments(fragments: Iterable[bytes], table: bytes = b"", *, ended: bool = True) -> Elements:
    items = b"".join(make_item(ITEM, len(f)) + f for f in (table, *fragments))
    return {0x7FE00010: make_element(0x7FE00010, "OB", items + make_item(SEQUENCE_END) * ended, UNDEFINED)}


# --- pixels that are not there ---


def _inflating(*, before_pixels: bool) -> bytes:
    """A GB of zeros in a MB, in front of the pixels or as pixels."""
    tag = 0x00091010 if before_pixels else 0x7FE00010
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    elements = PLAIN | make_numbers(frames=1024, rows=1024, columns=1024) | {tag: make_element(tag, "OB", b"", 2**30)}
    start = b"".join(elements[key] for key in sorted(elements) if key <= tag)
    start = stream.compress(start) + stream.flush(zlib.Z_FULL_FLUSH)
    zeros = stream.compress(bytes(2**24)) + stream.flush(zlib.Z_FULL_FLUSH)
    return make_file({}, syntax=DEFLATED)[:-2] + start + zeros * 64 + stream.flush()


def _jpeg(**options: Any) -> bytes:
    return imagecodecs.jpeg8_encode(_picture(), **options)


def _picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (64, 64), dtype=np.uint8)


def _enlarged_jpeg(stream: bytes, side: int) -> bytes:
    """A JPEG or JPEG-LS codestream whose frame header claims to be so large."""
    at = next(
        stream.index(bytes([0xFF, marker])) for marker in (0xC0, 0xC2, 0xC3, 0xF7) if bytes([0xFF, marker]) in stream
    )
    return stream[: at + 5] + struct.pack(">2H", side, side) + stream[at + 9 :]


def _enlarged_jpeg2000(stream: bytes, side: int) -> bytes:
    size = struct.pack(">8I", side, side, 0, 0, side, side, 0, 0)
    return stream[:8] + size + stream[40:]


def enlarge_jpegxl(stream: bytes, side: int) -> bytes:
    """Its size as 30 bits instead of 5 (ISO/IEC 18181-1 D.2)."""
    bits = int.from_bytes(stream[2:], "little")
    size = 0b0 | 0b11 << 1 | (side - 1) << 3 | 1 << 33
    return stream[:2] + ((bits >> 9) << 36 | size).to_bytes(len(stream) + 4, "little")


def _rle(side: int) -> bytes:
    """Runs of 128 zeros in two bytes each: a plane of so many rows and columns, as far as 4 MB go."""
    runs = min(side * side // 128, 2**21)
    return struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * runs


CODECS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "RLE": (RLE, _rle),
    "JPEG": (f"{UID}.4.50", lambda side: _enlarged_jpeg(_jpeg(), side)),
    "JPEG Lossless": (f"{UID}.4.70", lambda side: _enlarged_jpeg(_jpeg(lossless=True), side)),
    "JPEG-LS": (f"{UID}.4.80", lambda side: _enlarged_jpeg(imagecodecs.jpegls_encode(_picture()), side)),
    "JPEG 2000": (f"{UID}.4.90", lambda side: _enlarged_jpeg2000(_wavelet(), side)),
    "HTJ2K": (f"{UID}.4.201", lambda side: _enlarged_jpeg2000(imagecodecs.htj2k_encode(_picture()), side)),
    "JPEG XL": (
        f"{UID}.4.110",
        lambda side: enlarge_jpegxl(imagecodecs.jpegxl_encode(_picture(), usecontainer=False), side),
    ),
    "Deflated Image Frame": (f"{UID}.8.1", lambda _: zlib.compress(bytes(2**28), 9, wbits=-zlib.MAX_WBITS)),
}


def _wavelet() -> bytes:
    return imagecodecs.jpeg2k_encode(_picture(), codecformat="j2k", reversible=True)


def _claiming(codec: str, stated: int, coded: int) -> bytes:
    """A frame whose header states one size and whose codestream another."""
    syntax, make = CODECS[codec]
    return make_file(PLAIN, make_numbers(rows=stated, columns=stated), make_fragments([make(coded)]), syntax=syntax)


def _precincts() -> bytes:
    """JPEG 2000 with precincts of one pixel: millions of them."""
    stream = _enlarged_jpeg2000(_wavelet(), LARGE)
    at = stream.index(b"\xff\x52")
    (length,) = struct.unpack(">H", stream[at + 2 : at + 4])
    coding = bytearray(stream[at + 4 : at + 2 + length])
    coding[0] |= 1
    coding += b"\x11" * (coding[5] + 1)
    stream = stream[: at + 2] + struct.pack(">H", len(coding) + 2) + coding + stream[at + 2 + length :]
    return make_file(PLAIN, make_numbers(rows=LARGE, columns=LARGE), make_fragments([stream]), syntax=f"{UID}.4.90")


def _scans() -> bytes:
    """Progressive JPEG with thousands of empty scans over a large image."""
    stream = _enlarged_jpeg(_jpeg(), 8192).replace(b"\xff\xc0", b"\xff\xc2", 1)
    at = stream.index(b"\xff\xda")
    scan = b"\xff\xda\x00\x08\x01" + stream[at + 5 : at + 6] + b"\x00\x01\x3f\x00"
    stream = stream[:at] + scan * 5000 + b"\xff\xd9"
    return make_file(PLAIN, make_numbers(rows=8192, columns=8192), make_fragments([stream]), syntax=f"{UID}.4.50")


def _frames(count: int, parts: Elements, *, syntax: str = NATIVE, modality: str = "OT") -> bytes:
    dose = {0x00080060: make_text(0x00080060, "CS", modality), **make_numbers(allocated=16, stored=16, high_bit=15)}
    return make_file(PLAIN, dose if modality == "RTDOSE" else {}, make_numbers(frames=count), parts, syntax=syntax)


def _table(count: int, step: int = 8) -> bytes:
    return struct.pack(f"<{count}I", *(n * step % 2**32 for n in range(count)))


def make_groups(count: int, tag: int, *, defined: bool = False, content: bytes = b"") -> Elements:
    """A sequence of many items."""
    item = (
        make_item(ITEM, len(content)) + content
        if defined
        else make_item(ITEM, UNDEFINED) + content + make_item(ITEM_END)
    )
    body = item * count
    if defined:
        return {tag: make_element(tag, "SQ", body)}
    return {tag: make_element(tag, "SQ", body + make_item(SEQUENCE_END), UNDEFINED)}


def open_sequence(*, items: int) -> bytes:
    """A file with a sequence of so many items, none of which has a length."""
    return make_file(PLAIN, make_groups(items, FUNCTIONAL), PIXELS)


def _nested(depth: int, tag: int, *, vr: str = "SQ", closed: bool = True) -> Elements:
    """Items within items, without lengths."""
    opened = make_element(tag, vr, b"", UNDEFINED) + make_item(ITEM, UNDEFINED)
    return {tag: opened * depth + (make_item(ITEM_END) + make_item(SEQUENCE_END)) * depth * closed}


def _nested_by_length(depth: int, tag: int) -> Elements:
    """Items within items, each with its length."""
    head = struct.pack("<2H", tag >> 16, tag & 0xFFFF) + b"SQ\0\0"
    parts = [head + struct.pack("<I", 20 * n + 8) + make_item(ITEM, 20 * n) for n in range(depth - 1, -1, -1)]
    return {tag: b"".join(parts)}


# --- tables and values ---


def _palette(kind: str) -> bytes:
    """Descriptors that promise what is not there, or segments that lead to segments."""
    elements = {0x00280004: make_text(0x00280004, "CS", "PALETTE COLOR")}
    segments = {
        "zero": struct.pack("<2H", 0, 0) * 250_000,
        "indirect": struct.pack("<4H", 2, 65535, 0, 2) * 100_000 + struct.pack("<2H", 0, 0) * 70_000,
        "linear": struct.pack("<3H", 1, 65535, 5) * 100_000,
    }.get(kind)
    if kind == "indirect":  # the target lies behind: segments of no entry
        start = 4 * 100_000
        segments = (
            struct.pack("<4H", 2, 65535, start & 0xFFFF, start >> 16) * 100_000 + struct.pack("<2H", 0, 0) * 70_000
        )
    for number in range(3):
        elements[0x00281101 + number] = make_element(
            0x00281101 + number, "US", struct.pack("<3H", 0, 65535 * (number == 1), 16)
        )
        if segments is None:
            elements[0x00281201 + number] = make_element(0x00281201 + number, "OW", b"\1\0")
        else:
            elements[0x00281221 + number] = make_element(0x00281221 + number, "OW", segments)
    return make_file(PLAIN, elements, PIXELS)


def _profile(kind: str) -> bytes:
    """ICC profiles: rubbish of 64 MB; a tag table of 2³² entries; tables said to be larger than the profile."""
    real = imagecodecs.cms_profile("srgb")
    profile = {
        "rubbish": bytes(2**26),
        "tags": real[:128] + struct.pack(">I", UNDEFINED) + real[132:] + bytes(2**20),
        "curves": real[:132] + real[132:].replace(b"para", b"curv").ljust(2**20, b"\x7f"),
        "size": struct.pack(">I", UNDEFINED) + real[4:],
    }[kind]
    color = {0x00280004: make_text(0x00280004, "CS", "RGB"), **make_numbers(samples=3, planar=0)}
    content = {0x7FE00010: make_element(0x7FE00010, "OB", bytes(3 * 4096))}
    return make_file(PLAIN, color, {0x00282000: make_element(0x00282000, "OB", profile)}, content)


def _long_value(tag: int, vr: str, value: bytes) -> bytes:
    return make_file(PLAIN, {tag: make_element(tag, vr, value)}, PIXELS)


def _elements(count: int) -> bytes:
    """Private elements without a value in front of the pixels."""
    tags = range(0x00091000, 0x00091000 + count)
    body = b"".join(struct.pack("<2H2sH", 9, tag & 0xFFFF, b"LO", 0) for tag in tags)
    return make_file(PLAIN, {0x00090010: body}, PIXELS)


def _offsets(count: int) -> bytes:
    value = struct.pack("<Q", 2**64 - 1) * count
    tables = {tag: make_element(tag, "OV", value) for tag in (0x7FE00001, 0x7FE00002)}
    return _frames(1000, tables | make_fragments([b"\xff\xd8\xff\xd9"] * 3000), syntax=f"{UID}.4.50")


def _open_ended(kind: str) -> bytes:
    """Undefined lengths that nothing ends, in front of 32 MB."""
    rest = bytes(2**25)
    starts = {
        "sequence": make_element(0x00091010, "SQ", b"", UNDEFINED),
        "item": make_element(0x00091010, "SQ", make_item(ITEM, UNDEFINED), UNDEFINED),
        "unknown": make_element(0x00091010, "UN", b"", UNDEFINED),
        "wanted item": make_element(0x52009229, "SQ", make_item(ITEM, UNDEFINED), UNDEFINED),
        "other bytes": make_element(0x00091010, "OB", b"", UNDEFINED),
    }
    if kind == "fragments":
        return make_file(PLAIN, {0x7FE00010: make_element(0x7FE00010, "OB", rest, UNDEFINED)}, syntax=RLE)
    return make_file(PLAIN, {0x00300000 if kind != "wanted item" else 0x52009229: starts[kind] + rest})


FUNCTIONAL, PRIVATE = 0x52009230, 0x00091010

BOMBS: dict[str, Callable[[], bytes]] = {
    "Deflated: 1 MB to 1 GB of pixels": lambda: _inflating(before_pixels=False),
    "Deflated: 1 MB to 1 GB before the pixels": lambda: _inflating(before_pixels=True),
    **{f"{codec}: both headers claim 65,535²": lambda c=codec: _claiming(c, LARGEST, LARGEST) for codec in CODECS},
    **{f"{codec}: the codestream claims 65,535²": lambda c=codec: _claiming(c, 64, LARGEST) for codec in CODECS},
    **{f"{codec}: both claim what the budget allows": lambda c=codec: _claiming(c, LARGE, LARGE) for codec in CODECS},
    "JPEG 2000: precincts of a pixel": _precincts,
    "JPEG: 5,000 empty scans": _scans,
    "frames: 2³¹−1, native": lambda: _frames(2**31 - 1, PIXELS),
    "frames: 2³¹−1, encapsulated": lambda: _frames(2**31 - 1, make_fragments([_jpeg()]), syntax=f"{UID}.4.50"),
    "frames: 2³¹−1, with an offset table": lambda: _frames(
        2**31 - 1, make_fragments([_jpeg()], _table(MANY)), syntax=f"{UID}.4.50"
    ),
    "frames: 2³¹−1, enhanced": lambda: _frames(2**31 - 1, PIXELS | make_groups(3, FUNCTIONAL)),
    "frames: 2²⁰, native, one there": lambda: _frames(2**20, PIXELS),
    "frames: 2²⁰, encapsulated, one there": lambda: _frames(2**20, make_fragments([_jpeg()]), syntax=f"{UID}.4.50"),
    "frames: 2²⁰ of a dose, native, one there": lambda: _frames(
        2**20, {0x7FE00010: make_element(0x7FE00010, "OW", bytes(8192))}, modality="RTDOSE"
    ),
    "frames: 2¹⁹ of a dose, empty fragments": lambda: _frames(
        2**19, make_fragments([b""] * 2**19), syntax=RLE, modality="RTDOSE"
    ),
    "fragments: 10⁶ empty ones for one frame": lambda: _frames(1, make_fragments([b""] * MANY), syntax=RLE),
    "fragments: 10⁶ empty ones for 10⁶ frames": lambda: _frames(MANY, make_fragments([b""] * MANY), syntax=RLE),
    "fragments: 10⁶ with an offset table of 10⁶": lambda: _frames(
        1000, make_fragments([b""] * MANY, _table(MANY)), syntax=RLE
    ),
    "fragments: 10⁶ codestreams for 2 frames": lambda: _frames(
        2, make_fragments([b"\xff\xd8\xff\xd9"] * MANY), syntax=f"{UID}.4.50"
    ),
    "fragments: 2¹⁹ empty ones, as many frames": lambda: _frames(2**19, make_fragments([b""] * 2**19), syntax=RLE),
    "fragments: 2¹⁹ codestreams for 2 frames": lambda: _frames(
        2, make_fragments([b"\xff\xd8\xff\xd9"] * 2**19), syntax=f"{UID}.4.50"
    ),
    "offset table: 10⁶ entries for one fragment": lambda: _frames(
        2, make_fragments([_jpeg()], _table(MANY)), syntax=f"{UID}.4.50"
    ),
    "extended offset table: 10⁶ lies": lambda: _offsets(MANY),
    "extended offset table: 10⁷ lies": lambda: _offsets(10 * MANY),
    "palette: descriptors that lie": lambda: _palette("descriptors"),
    "palette: segments of nothing": lambda: _palette("zero"),
    "palette: indirect segments of nothing": lambda: _palette("indirect"),
    "palette: linear segments without end": lambda: _palette("linear"),
    **{f"ICC profile: {kind}": lambda k=kind: _profile(k) for kind in ("rubbish", "tags", "curves", "size")},
    "items: 10⁵ in a sequence that is read": lambda: make_file(PLAIN, make_groups(100_000, FUNCTIONAL), PIXELS),
    "items: 10⁵ with lengths": lambda: make_file(PLAIN, make_groups(100_000, FUNCTIONAL, defined=True), PIXELS),
    "items: 10⁵ in a private sequence": lambda: make_file(PLAIN, make_groups(100_000, PRIVATE), PIXELS),
    "items: 10⁵ with sequences in them": lambda: make_file(
        PLAIN, make_groups(100_000, FUNCTIONAL, content=make_groups(1, 0x00289145, defined=True)[0x00289145]), PIXELS
    ),
    "items: 10⁶ with lengths": lambda: make_file(PLAIN, make_groups(MANY, FUNCTIONAL, defined=True), PIXELS),
    "items: 10⁵ as optical paths": lambda: make_file(PLAIN, make_groups(100_000, 0x00480105, defined=True), PIXELS),
    **{
        f"nested 50,000 deep: {name}": lambda p=parts: make_file(PLAIN, p(), PIXELS)
        for name, parts in {
            "read": lambda: _nested(50_000, FUNCTIONAL),
            "private": lambda: _nested(50_000, PRIVATE),
            "unknown VR": lambda: _nested(50_000, PRIVATE, vr="UN"),
            "not closed": lambda: _nested(50_000, FUNCTIONAL, closed=False),
            "with lengths": lambda: _nested_by_length(50_000, FUNCTIONAL),
            "with lengths, VOI LUT": lambda: _nested_by_length(50_000, 0x00283010),
            "400 deep, with lengths": lambda: _nested_by_length(400, FUNCTIONAL),
        }.items()
    },
    **{
        f"undefined length without an end: {kind}": lambda k=kind: _open_ended(k)
        for kind in ("sequence", "item", "unknown", "wanted item", "other bytes", "fragments")
    },
    "value: 10⁷ rows": lambda: _long_value(0x00280010, "UN", b"\x40\0" * 10**7),
    "value: 10⁷ window centers": lambda: _long_value(0x00281050, "UT", b"1\\" * 10**7),
    "value: 10⁷ cosines of a plane": lambda: _long_value(0x00200037, "UT", b"1\\" * 10**7),
    "value: 10⁷ character sets": lambda: _long_value(0x00080005, "UT", b"ISO 2022 IR 87\\" * 10**6),
    "value: a patient of 50 MB": lambda: _long_value(0x00100020, "UT", b"x" * 50 * 10**6),
    "elements: 10⁶ without a value": lambda: _elements(MANY),
}
"""Refused (or drawn, where there is an image) within seconds and within a worker's memory."""
