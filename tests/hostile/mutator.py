"""Files that a stranger who knows the formats might make: whatever is changed, all lengths agree with each other.

Where `tests/faults/mutating.py` damages bytes wherever they lie, this one takes codestreams apart at their markers,
data sets at their sequences and pixel data at their fragments, and puts something else together. The same number gives
the same file. `Mutant.is_listed` says that the change is of a kind that may be drawn (docs/robustness.md lists them):
values in the coded data, in tables and in headers, which mean something else without being wrong.
"""

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.faults.bombs import (
    FUNCTIONAL,
    ITEM,
    PLAIN,
    UNDEFINED,
    Elements,
    make_element,
    make_file,
    make_fragments,
    make_item,
    make_numbers,
    make_text,
)

__all__ = ["BASES", "Mutant", "base", "make_mutant"]

UID = "1.2.840.10008.1.2"
SIDE = 96
SEQUENCE_END, ITEM_END = 0xFFFEE0DD, 0xFFFEE00D


@dataclass(frozen=True)
class Mutant:
    """A file, what was done to which base, and whether an image of it may be another than that of its base."""

    name: str
    base: str
    content: bytes
    is_listed: bool


def _picture(bits: int = 8, *, color: bool = False) -> NDArray[np.uint16]:
    """Something round with an edge, and noise: no part of it is empty."""
    noise = np.random.default_rng(7).normal(0, 2 ** (bits - 7), (SIDE, SIDE, 3 if color else 1))
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    disc = 2**bits * (0.3 + 0.4 * (np.hypot(rows, columns) < 0.35))
    clipped = np.clip(disc[..., np.newaxis] + noise, 0, 2**bits - 1).astype(np.uint16 if bits > 8 else np.uint8)
    return clipped if color else clipped[..., 0]


def _pillow(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_picture()).save(file, kind, **options)
    return file.getvalue()


def _rle() -> bytes:
    plane = bytes(imagecodecs.packbits_encode(_picture().tobytes()))
    return struct.pack("<16I", 1, 64, *[0] * 14) + plane + b"\0" * (len(plane) % 2)


CODECS: dict[str, tuple[str, int, Callable[[], bytes]]] = {
    "JPEG": ("4.50", 8, lambda: _pillow("JPEG", quality=90)),
    "JPEG with restarts": ("4.50", 8, lambda: _pillow("JPEG", quality=90, restart_marker_rows=1)),
    "JPEG progressive": ("4.55", 8, lambda: _pillow("JPEG", quality=90, progressive=True)),
    "JPEG of 12 bits": ("4.51", 12, lambda: imagecodecs.jpeg8_encode(_picture(12), level=95, bitspersample=12)),
    "JPEG Lossless": ("4.70", 8, lambda: imagecodecs.jpeg8_encode(_picture(), lossless=True)),
    "JPEG-LS": ("4.80", 12, lambda: imagecodecs.jpegls_encode(_picture(12))),
    "JPEG 2000": ("4.90", 12, lambda: imagecodecs.jpeg2k_encode(_picture(12), codecformat="j2k", reversible=True)),
    "JPEG 2000 lossy": ("4.91", 8, lambda: imagecodecs.jpeg2k_encode(_picture(), codecformat="j2k", level=40)),
    "JPEG 2000 in tiles": ("4.90", 8, lambda: _pillow("JPEG2000", no_jp2=True, tile_size=(32, 32))),
    "HTJ2K": ("4.201", 8, lambda: imagecodecs.htj2k_encode(_picture())),
    "JPEG XL": ("4.110", 8, lambda: imagecodecs.jpegxl_encode(_picture(), usecontainer=False, lossless=True)),
    "RLE": ("5", 8, _rle),
}
NATIVE = "native"
BASES = (*CODECS, NATIVE)


@cache
def _code(codec: str) -> bytes:
    return bytes(CODECS[codec][2]())


def _describe(bits: int) -> Elements:
    return PLAIN | make_numbers(
        rows=SIDE, columns=SIDE, frames=2, allocated=8 if bits == 8 else 16, stored=bits, high_bit=bits - 1
    )


def base(name: str) -> bytes:
    """The file that mutants are made of: two frames alike."""
    return _file(name, {}, None)


def _file(name: str, elements: Elements, pixels: Elements | None) -> bytes:
    if name == NATIVE:
        native = {0x7FE00010: make_element(0x7FE00010, "OB", _picture().tobytes() * 2)}
        return make_file(_describe(8), native | (pixels or {}), elements)
    suffix, bits, _ = CODECS[name]
    return make_file(_describe(bits), pixels or make_fragments([_code(name)] * 2), elements, syntax=f"{UID}.{suffix}")


def make_mutant(number: int) -> Mutant:
    """One to three changes of one kind to one of the bases."""
    random = Random(f"hostile {number}")
    name = BASES[number % len(BASES)]
    kinds = (
        [_nest, _describe_otherwise] if name == NATIVE else [_recode, _recode, _refragment, _nest, _describe_otherwise]
    )
    acts, content, is_listed = random.choice(kinds)(name, random)
    return Mutant(f"{name}: {acts}", name, content, is_listed)


# --- codestreams, at their markers ---

_ALONE = frozenset([0x01, 0x4F, 0x92, 0x93, *range(0xD0, 0xDA)])
"""Markers without a length behind them."""

MARKERS = bytes([*range(0xC0, 0xCF), *range(0xD0, 0xE1), 0xEE, 0xF7, 0xF8, 0xFE, *range(0x4F, 0x65), 0x90, 0x91, 0x93])


def _split(code: bytes) -> list[bytes]:
    """A codestream as segments and the coded data between them; what has no markers, in pieces of 16 bytes."""
    if code[:2] not in (b"\xff\xd8", b"\xff\x4f"):
        return [code[at : at + 16] for at in range(0, len(code), 16)]
    parts, at = [], 0
    while at < len(code):
        end = at + 2
        if code[at] != 0xFF:
            end = next((n for n in range(at, len(code) - 1) if code[n] == 0xFF and code[n + 1] > 0x8F), len(code))
        elif code[at + 1] not in _ALONE:
            end = at + 2 + int.from_bytes(code[at + 2 : at + 4], "big")
        parts.append(code[at : max(end, at + 1)])
        at = max(end, at + 1)
    return parts


def _is_segment(part: bytes) -> bool:
    return len(part) > 3 and part[0] == 0xFF and part[1] not in _ALONE


def _change_segment(parts: list[bytes], random: Random) -> None:
    """A byte of a segment, or a few more or fewer of them, with the length that is then right."""
    at = random.choice([number for number, part in enumerate(parts) if _is_segment(part)] or [0])
    content = bytearray(parts[at][4:]) or bytearray(1)
    act = random.random()
    if act < 0.6:
        content[random.randrange(len(content))] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)])
    elif act < 0.8:
        del content[random.randrange(len(content)) :]
    else:
        content += random.randbytes(random.choice([1, 2, 16, 1000]))
    parts[at] = parts[at][:2] + (len(content) + 2).to_bytes(2, "big") + content


def _later(parts: Sequence[bytes], random: Random) -> int:
    """Any part but the first one, if there are more."""
    return random.randrange(min(1, len(parts) - 1), len(parts))


def _drop(parts: list[bytes], random: Random) -> None:
    del parts[_later(parts, random)]


def _repeat(parts: list[bytes], random: Random) -> None:
    at = random.randrange(len(parts))
    parts[at:at] = [parts[at]] * random.choice([1, 1, 2, 500])


def _swap(parts: list[bytes], random: Random) -> None:
    first, second = random.randrange(len(parts)), random.randrange(len(parts))
    parts[first], parts[second] = parts[second], parts[first]


def _insert(parts: list[bytes], random: Random) -> None:
    content = random.randbytes(random.choice([0, 1, 6, 40, 300]))
    marker = bytes([0xFF, random.choice(MARKERS)])
    parts.insert(_later(parts, random), marker + (len(content) + 2).to_bytes(2, "big") + content)


def _rename(parts: list[bytes], random: Random) -> None:
    at = random.choice([number for number, part in enumerate(parts) if part[:1] == b"\xff"] or [0])
    parts[at] = b"\xff" + bytes([random.choice(MARKERS)]) + parts[at][2:]


def _coded(parts: list[bytes]) -> int:
    """Which part is the longest of coded data; of a codestream without markers that is all of it."""
    if parts[0][:2] not in (b"\xff\xd8", b"\xff\x4f"):
        parts[:] = [b"".join(parts)]
    return max(range(len(parts)), key=lambda number: len(parts[number]) * (not _is_segment(parts[number])))


def _mark(parts: list[bytes], random: Random) -> None:
    """A marker in the middle of the coded data."""
    at = _coded(parts)
    place = random.randrange(len(parts[at]))
    parts[at] = parts[at][:place] + bytes([0xFF, random.choice(MARKERS)]) + parts[at][place:]


def _flip(parts: list[bytes], random: Random) -> None:
    """Some bits of the coded data."""
    at = _coded(parts)
    content = bytearray(parts[at])
    for _ in range(random.choice([1, 1, 3, 20])):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    parts[at] = bytes(content)


def _empty(parts: list[bytes], random: Random) -> None:
    """A hole of zeros in the coded data, as a disk or a transfer leaves it: in the middle, or up to the end."""
    at = _coded(parts)
    length = len(parts[at])
    hole = min(length // 2, random.choice([256, 512, length]))
    start = length - hole if random.random() < 0.5 else random.randrange(length - hole)
    parts[at] = parts[at][:start] + bytes(hole) + parts[at][start + hole :]


_ACTS = (_change_segment, _drop, _repeat, _swap, _insert, _rename, _mark, _flip, _empty)
_TELLING = (_change_segment, _swap, _insert, _rename, _flip)
"""What changes values that are valid for themselves: it may be drawn."""


def _may_be_drawn(act: Callable[[list[bytes], Random], None], name: str) -> bool:
    """RLE has nothing but its lengths to check, and short holes between restart markers or in HTJ2K are not told."""
    if act is _empty:
        return name in ("JPEG with restarts", "HTJ2K")
    return act in _TELLING or name == "RLE"


def _recode(name: str, random: Random) -> tuple[str, bytes, bool]:
    parts, acts = _split(_code(name)), random.choices(_ACTS, k=random.choice([1, 1, 1, 2, 3]))
    for act in acts:
        act(parts, random)
        parts = _split(b"".join(parts) or bytes(2))
    code = b"".join(parts)
    codes = [code, _code(name)] if random.random() < 0.5 else [code, code]
    words = "+".join(act.__name__[1:] for act in acts)
    return words, _file(name, {}, make_fragments(codes)), any(_may_be_drawn(act, name) for act in acts)


# --- fragments and offset tables ---


def _refragment(name: str, random: Random) -> tuple[str, bytes, bool]:
    """The same codestreams in other fragments, and tables that are right, wrong, or those of other fragments."""
    pieces: list[bytes] = []
    starts: list[int] = []
    code = _code(name) + b"\0" * (len(_code(name)) % 2)
    for _ in range(2):
        cuts = sorted(random.sample(range(2, len(code), 2), k=random.choice([0, 0, 1, 2, 5])))
        starts.append(sum(len(piece) + 8 for piece in pieces))
        pieces += [code[start:end] for start, end in zip([0, *cuts], [*cuts, len(code)], strict=True)]
    act = random.choice(["whole", "empty one", "one missing", "shuffled"])
    if act == "empty one":
        pieces.insert(random.randrange(len(pieces) + 1), b"")
    elif act == "one missing":
        del pieces[random.randrange(len(pieces))]
    elif act == "shuffled":
        random.shuffle(pieces)
    table = random.choice([[], starts, [0, *(n * 8 for n in starts[1:])], starts * 2, [2**32 - 1] * 2])
    offsets = struct.pack(f"<{len(table)}I", *table)
    return f"fragments, {act}", _file(name, {}, make_fragments(pieces, offsets)), act in ("one missing", "shuffled")


# --- nested sequences, and values ---

_TAGS = {
    0x00081140: "SQ", 0x00082218: "SQ", 0x00186011: "SQ", 0x00283000: "SQ", 0x00283010: "SQ", 0x00289110: "SQ",
    0x00289132: "SQ", 0x00289145: "SQ", 0x00209113: "SQ", 0x00209111: "SQ", 0x00480105: "SQ", 0x00540220: "SQ",
    0x52009229: "SQ", FUNCTIONAL: "SQ", 0x00091010: "SQ", 0x00080005: "CS", 0x00080008: "CS", 0x00080060: "CS",
    0x00100020: "LO", 0x00180060: "DS", 0x00200013: "IS", 0x00200032: "DS", 0x00200037: "DS", 0x00280004: "CS",
    0x00280008: "IS", 0x00280010: "US", 0x00280030: "DS", 0x00280034: "IS", 0x00280100: "US", 0x00280101: "US",
    0x00280103: "US", 0x00280120: "US", 0x00281050: "DS", 0x00281051: "DS", 0x00281052: "DS", 0x00281053: "DS",
    0x00281056: "CS", 0x00281101: "US", 0x00281201: "OW", 0x00282000: "OB", 0x00283002: "US", 0x00283006: "OW",
    0x20500020: "CS", 0x60000010: "US", 0x60000102: "US", 0x7FE00001: "OV",
}  # fmt: skip
_SEQUENCES = [tag for tag, vr in _TAGS.items() if vr == "SQ"]
_TEXTS = [b"", b"40", b"-1", b"1e400", b"NaN", b"1\\2", b"0\\0", b"1,5", b"\\" * 40, b"\x1b$B", b"CT", b"9" * 64]
_VRS = ["AE", "CS", "DS", "IS", "LO", "OB", "OW", "SQ", "UN", "US", "UT", "FD", "SS", "UI"]


def _value(tag: int, random: Random, depth: int) -> bytes:
    """An element with a random value of its own kind, or of another, and the length that it has."""
    vr = _TAGS[tag] if random.random() < 0.85 else random.choice(_VRS)
    if _TAGS[tag] == "SQ" and depth < 12:
        return _encode_items(tag, vr if vr in ("SQ", "UN") else "SQ", random, depth)
    content = random.choice(_TEXTS) if vr in ("CS", "DS", "IS", "LO", "UT", "UI", "AE") else b""
    content = content or random.randbytes(2 * random.choice([0, 1, 3, 8, 64]))
    return make_element(tag, vr, content + b" " * (len(content) % 2))


def _encode_items(tag: int, vr: str, random: Random, depth: int) -> bytes:
    """A sequence of a few items of a few elements; each level with lengths or with delimiters."""
    items = b""
    for _ in range(random.choice([0, 1, 1, 2, 3])):
        tags = sorted(random.sample(list(_TAGS), k=random.choice([0, 1, 2, 4])))
        content = b"".join(_value(inner, random, depth + 1) for inner in tags)
        open_ended = random.random() < 0.5
        items += make_item(ITEM, UNDEFINED if open_ended else len(content)) + content
        items += make_item(ITEM_END) * open_ended
    if random.random() < 0.5:
        return make_element(tag, vr, items)
    return make_element(tag, vr, items + make_item(SEQUENCE_END), UNDEFINED)


def _nest(name: str, random: Random) -> tuple[str, bytes, bool]:
    tags = random.sample(_SEQUENCES, k=random.choice([1, 2, 4]))
    elements = {tag: _encode_items(tag, "SQ", random, 0) for tag in tags}
    if random.random() < 0.2:
        deep = b""
        for _ in range(random.choice([10, 40, 90])):
            deep = make_element(tags[0], "SQ", make_item(ITEM, len(deep)) + deep)
        elements[tags[0]] = deep
    return "sequences", _file(name, elements, None), True


def _describe_otherwise(name: str, random: Random) -> tuple[str, bytes, bool]:
    tags = random.sample([tag for tag in _TAGS if tag not in _SEQUENCES], k=random.choice([1, 1, 2, 4]))
    elements = {tag: _value(tag, random, 0) for tag in tags}
    if random.random() < 0.3:
        elements[0x00280008] = make_text(0x00280008, "IS", random.choice([0, 1, 3, 2**20, 2**31 - 1]))
    return "values", _file(name, elements, None), True
