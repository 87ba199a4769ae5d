"""Files that are broken on purpose, the same for the same number: `damaged` by bytes, `lying` by attributes.

Both begin with one of pydicom's sample files. `damaged` knows where elements lie, and damages what is read more often
than what is not; `lying` parses the data set, makes it say something that is not so, and writes it again.
"""

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pydicom
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag

from tests.reference_table import FOLDER

__all__ = ["Mutant", "damaged", "lying", "samples"]

DEFLATED = "1.2.840.10008.1.2.1.99"
SYNTAXES = [
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", DEFLATED, "1.2.840.10008.1.2.1.98",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 92, 100, 102, 110, 112, 201, 203)),
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1", "1.2.840.113619.5.2", "1.2.3.4", "",
]  # fmt: skip
VRS = [
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DS",
    "DT",
    "FD",
    "FL",
    "IS",
    "LO",
    "LT",
    "OB",
    "OD",
    "OF",
    "OL",
    "OV",
    "OW",
    "PN",
    "SH",
    "SL",
    "SQ",
    "SS",
    "ST",
    "SV",
    "TM",
    "UC",
    "UI",
    "UL",
    "UN",
    "UR",
    "US",
    "UT",
    "UV",
    "ZZ",
]
LENGTHS = [0, 1, 2, 3, 7, 8, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
TAGS = [
    0x00020010, 0x00080005, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280100, 0x00281050, 0x00283000,
    0x00283010, 0x52009229, 0x52009230, 0x7FE00001, 0x7FE00008, 0x7FE00009, 0x7FE00010, 0xFFFEE000, 0xFFFEE00D,
    0xFFFEE0DD, 0x00000000, 0xFFFFFFFF,
]  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A broken file and how it came to be."""

    name: str
    content: bytes


@dataclass(frozen=True)
class _Place:
    """Where an element of a sample lies."""

    at: int
    value_at: int
    length: int
    explicit: bool
    little_endian: bool


@cache
def samples() -> Sequence[Path]:
    """Every kind of sample file: all of pydicom's, but one of those that differ by little."""
    files = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.suffix in ("", ".dcm"))
    alike = [path for path in files if re.search(r"dicomdirtests/.*/\w+$", path.as_posix()) and path.stem != "DICOMDIR"]
    return [path for path in files if path not in alike or path in alike[::20]]


def damaged(number: int) -> Mutant:
    """A sample with one to three damages to its bytes."""
    random = Random(f"damaged {number}")
    path = samples()[number % len(samples())]
    content = bytearray(path.read_bytes())
    deflated = path.name == "image_dfl.dcm" and random.random() < 0.7
    if deflated:  # what is inside: otherwise next to all mutants would end as a broken stream
        start = _deflated_start(bytes(content))
        meta, content = content[:start], bytearray(zlib.decompress(content[start:], wbits=-zlib.MAX_WBITS))
    acts = random.choices(
        list(_DAMAGES), weights=[weight for _, weight in _DAMAGES.values()], k=random.choice([1, 1, 1, 2, 3])
    )
    for act in acts:
        content = _DAMAGES[act][0](content, path, random)
    if deflated:
        content = meta + zlib.compress(bytes(content), wbits=-zlib.MAX_WBITS)
    return Mutant(f"{path.stem} {'+'.join(acts)}", bytes(content))


def lying(number: int) -> Mutant:
    """A sample whose data set has been made to lie; where pydicom will not write such a thing, another one."""
    random = Random(f"lying {number}")
    files = [path for path in samples() if path.name not in _UNPARSED]
    path = files[number % len(files)]
    while True:
        acts = random.choices(list(_LIES), k=random.choice([1, 1, 1, 2, 3]))
        with warnings.catch_warnings(action="ignore"), config.disable_value_validation():
            dataset = deepcopy(_parsed(path))
            try:
                for act in acts:
                    _LIES[act](dataset, random)
                content = _written(dataset)
            except Exception:  # noqa: BLE001  (writers refuse some lies in many ways)
                continue
        return Mutant(f"{path.stem} {'+'.join(acts)}", content)


# --- damages to bytes ---


@cache
def _places(path: Path) -> Sequence[_Place]:
    """The elements of the first level, as pydicom finds them."""
    with warnings.catch_warnings(action="ignore"):
        try:
            dataset = pydicom.dcmread(path, force=True)
        except Exception:  # noqa: BLE001
            return ()
    places = []
    for element in (*getattr(dataset, "file_meta", Dataset()).values(), *dataset.values()):
        value_at = getattr(element, "value_tell", None) or getattr(element, "file_tell", None)
        if not isinstance(value_at, int):
            continue
        explicit = not getattr(element, "is_implicit_VR", False)
        long = explicit and str(element.VR) in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT")
        length = getattr(element, "length", 0) or 0
        little = getattr(element, "is_little_endian", True)
        places.append(_Place(value_at - (12 if long else 8), value_at, length, explicit, little))
    return places


def _deflated_start(content: bytes) -> int:
    (length,) = struct.unpack("<I", content[140:144])
    return 144 + length


def _flip(content: bytearray, path: Path, random: Random) -> bytearray:
    for _ in range(random.choice([1, 1, 2, 8, 32])):
        at = _some_offset(content, path, random)
        if at < len(content):
            content[at] ^= 1 << random.randrange(8)
    return content


def _some_offset(content: bytearray, path: Path, random: Random) -> int:
    """Anywhere; in the header; in an element; near the beginning of the pixels."""
    where = random.randrange(4)
    places = _places(path)
    if where == 1 or not places:
        return random.randrange(max(1, min(2048, len(content))))
    if where == 2:
        place = random.choice(places)
        return place.at + random.randrange(12 + min(32, max(1, place.length % 2**20)))
    if where == 3:
        return places[-1].value_at + random.randrange(512)
    return random.randrange(max(1, len(content)))


def _cut(content: bytearray, path: Path, random: Random) -> bytearray:
    return content[: _some_offset(content, path, random)]


def _splice(content: bytearray, path: Path, random: Random) -> bytearray:
    other = random.choice(samples())
    tail = other.read_bytes()
    return content[: _some_offset(content, path, random)] + tail[_some_offset(bytearray(tail), other, random) :]


def _move(content: bytearray, path: Path, random: Random) -> bytearray:
    """A piece is lost, doubled, filled with one byte, or put elsewhere."""
    at, length = _some_offset(content, path, random), random.choice([1, 2, 4, 8, 64, 512, 4096])
    piece = content[at : at + length]
    kind = random.randrange(4)
    if kind == 0:
        return content[:at] + content[at + length :]
    if kind == 1:
        return content[:at] + piece + content[at:]
    if kind == 2:
        return content[:at] + random.choice([b"\0", b"\xff", b"\\", b"9"]) * len(piece) + content[at + length :]
    to = _some_offset(content, path, random)
    return content[:to] + piece + content[to:]


def _lie_about_length(content: bytearray, path: Path, random: Random) -> bytearray:
    if not (place := _some_place(content, path, random)):
        return _flip(content, path, random)
    short = place.explicit and place.value_at - place.at == 8
    length = random.choice([*LENGTHS, place.length + 2, max(0, place.length - 2), len(content)])
    order = "little" if place.little_endian else "big"
    width = 2 if short else 4
    start = place.value_at - width
    content[start : place.value_at] = (length % 256**width).to_bytes(width, order)
    return content


def _lie_about_tag(content: bytearray, path: Path, random: Random) -> bytearray:
    if not (place := _some_place(content, path, random)):
        return _flip(content, path, random)
    tag = random.choice(TAGS)
    order = "<2H" if place.little_endian else ">2H"
    content[place.at : place.at + 4] = struct.pack(order, tag >> 16, tag & 0xFFFF)
    return content


def _lie_about_vr(content: bytearray, path: Path, random: Random) -> bytearray:
    place = _some_place(content, path, random)
    if not place or not place.explicit:
        return _flip(content, path, random)
    content[place.at + 4 : place.at + 6] = random.choice(VRS).encode()
    return content


def _double_element(content: bytearray, path: Path, random: Random) -> bytearray:
    if not (place := _some_place(content, path, random)):
        return _flip(content, path, random)
    element = content[place.at : place.value_at + min(place.length, 2**16)]
    to = _some_place(content, path, random) or place
    return content[: to.at] + element + content[to.at :]


def _swap_syntax(content: bytearray, _path: Path, random: Random) -> bytearray:
    """Another transfer syntax of the same length, so that nothing else is amiss, or of any length."""
    found = re.search(rb"\x02\x00\x10\x00UI(..)", content[:1024], re.DOTALL)
    if found is None:
        return content
    (length,) = struct.unpack("<H", found[1])
    syntax = random.choice(SYNTAXES).encode()
    if random.random() < 0.5:
        syntax = syntax[:length].ljust(length, b"\0")
    elif len(syntax) % 2:
        syntax += b"\0"
    return content[: found.end() - 2] + struct.pack("<H", len(syntax)) + syntax + content[found.end() + length :]


def _some_place(content: bytearray, path: Path, random: Random) -> _Place | None:
    places = [place for place in _places(path) if place.at >= 0 and place.value_at <= len(content)]
    return random.choice(places) if places else None


_Damage = Callable[[bytearray, Path, Random], bytearray]
_DAMAGES: dict[str, tuple[_Damage, int]] = {
    "flip": (_flip, 6),
    "cut": (_cut, 1),
    "splice": (_splice, 2),
    "move": (_move, 3),
    "length": (_lie_about_length, 3),
    "tag": (_lie_about_tag, 2),
    "vr": (_lie_about_vr, 2),
    "double": (_double_element, 2),
    "syntax": (_swap_syntax, 2),
}

# --- lies of attributes ---

_UNPARSED = ("badVR.dcm", "rtplan_truncated.dcm", "DICOMDIR-empty.dcm", "DICOMDIR-nooffset", "DICOMDIR-bigEnd")
"""What pydicom cannot read and write again."""

NUMBERS: dict[str, Sequence[Any]] = {
    "Rows": [0, 1, 2, 3, 7, 63, 64, 65, 127, 512, 4096, 32768, 65535],
    "Columns": [0, 1, 2, 3, 7, 63, 64, 65, 127, 512, 4096, 32768, 65535],
    "BitsAllocated": [0, 1, 2, 3, 7, 8, 9, 12, 16, 24, 32, 40, 64, 65, 65535],
    "BitsStored": [0, 1, 2, 7, 8, 12, 16, 17, 32, 64, 65535],
    "HighBit": [0, 1, 7, 8, 11, 15, 16, 31, 63, 65535],
    "SamplesPerPixel": [0, 1, 2, 3, 4, 5, 255, 65535],
    "PixelRepresentation": [0, 1, 2, 65535],
    "PlanarConfiguration": [0, 1, 2, 65535],
    "NumberOfFrames": [-1, 0, 1, 2, 3, 7, 100, 10_000, 2**20, 2**20 + 1, 2**31 - 1, 2**31, 10**30, "1.5", "x", ""],
    "PhotometricInterpretation": [
        "MONOCHROME1", "MONOCHROME2", "MONOCHROME3", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "YBR_FULL",
        "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB", "", " ", "_", "\x1b$B",
    ],
    "RescaleSlope": [0, -1, 1e-300, 1e300, "1e999", "nan", "x", ""],
    "RescaleIntercept": [0, -1e300, 1e300, "1e999", "nan", "x", ""],
    "WindowCenter": [0, -1e300, 1e300, "1e999", "nan", "x", "", ["1", "x"], ["40", "400"]],
    "WindowWidth": [0, -1, 0.1, 1, 1e-300, 1e300, "1e999", "nan", "x", ""],
    "VOILUTFunction": ["LINEAR", "LINEAR_EXACT", "SIGMOID", "CUBIC", ""],
    "PixelPaddingValue": [0, 1, 65535, 32768],
    "PixelPaddingRangeLimit": [0, 1, 65535, 32768],
    "PixelSpacing": [["0", "0"], ["1", "0"], ["1e-300", "1e300"], ["-1", "1"], ["1"], ["nan", "1"], ["1", "19"]],
    "PixelAspectRatio": [["0", "1"], ["1", "0"], ["1", "19"], ["999999999", "1"], ["x", "y"]],
    "PresentationLUTShape": ["IDENTITY", "INVERSE", "LIN OD", ""],
    "Modality": ["CT", "PT", "RTDOSE", "SEG", "", "\x1b"],
    "SegmentationType": ["BINARY", "FRACTIONAL", "LABELMAP"],
    "MaximumFractionalValue": [0, 1, 65535],
    "DoseGridScaling": ["0", "1e300", "nan", "x"],
    "SpecificCharacterSet": ["ISO_IR 192", "ISO 2022 IR 87", "x", ["", "ISO 2022 IR 149"], "\\\\"],
    "ICCProfile": [b"", b"\0" * 128, b"\xff" * 4096, struct.pack(">I", 2**32 - 1) + b"x" * 4092],
    "SOPInstanceUID": ["", "../../../etc/passwd", "1." * 500, "\0"],
    "PatientID": ["", "\0", "../x", "x" * 10_000],
}  # fmt: skip
"""What an attribute may be made to say."""


@cache
def _parsed(path: Path) -> Dataset:
    with warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(path, force=True)


def _written(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    syntax = dataset.file_meta.get("TransferSyntaxUID") if getattr(dataset, "file_meta", None) else None
    if syntax is None:
        dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True)
    else:
        order = {"implicit_vr": syntax == "1.2.840.10008.1.2", "little_endian": syntax != "1.2.840.10008.1.2.2"}
        dcmwrite(buffer, dataset, **order, force_encoding=True)
    return buffer.getvalue()


def _lie_about_numbers(dataset: Dataset, random: Random) -> None:
    for keyword in random.sample(list(NUMBERS), random.choice([1, 1, 2, 4])):
        _say(dataset, keyword, random.choice(NUMBERS[keyword]))


def _say(dataset: Dataset, keyword: str, value: Any) -> None:
    """Set an attribute; text as it stands, which pydicom would refuse to take for a number."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    vr = dictionary_VR(tag)
    if vr in ("IS", "DS", "CS", "LO", "UI"):
        text = "\\".join(map(str, value)) if isinstance(value, list) else str(value)
        raw = text.encode() + b" " * (len(text) % 2)
        dataset._dict[tag] = RawDataElement(tag, vr, len(raw), raw, 0, False, True)
    else:
        setattr(dataset, keyword, value)


def _lie_about_image(dataset: Dataset, random: Random) -> None:
    """One of the attributes that every image must have."""
    keyword = random.choice(list(NUMBERS)[:10])
    value = random.choice(NUMBERS[keyword])
    present = dataset.get(keyword)
    if isinstance(present, int) and random.random() < 0.5:
        value = max(0, present + random.choice([-8, -1, 1, 8]))
    _say(dataset, keyword, value)


def _delete_elements(dataset: Dataset, random: Random) -> None:
    for level in random.sample(_levels(dataset), 1):
        for tag in random.sample(sorted(level.keys()), min(len(level), random.choice([1, 1, 2, 10]))):
            del level[tag]


def _levels(dataset: Dataset) -> list[Dataset]:
    """The data set and all items in it."""
    found = [dataset]
    for level in found:
        for element in level:
            if element.VR == "SQ" and len(found) < 500:
                found += list(element.value)
    return found


def _change_vr(dataset: Dataset, random: Random) -> None:
    """Another Value Representation: with a value that suits it, or with the bytes as they were."""
    level = random.choice(_levels(dataset))
    element = level[random.choice(sorted(level.keys()))]
    vr = random.choice(VRS[:-1])
    values: dict[str, Any] = {
        "SQ": Items([Dataset()]), "US": random.choice([0, 65535, [1, 2, 3]]), "SS": -1, "UL": 2**32 - 1,
        "SL": -(2**31), "FL": float("inf"), "FD": random.choice([float("nan"), float("inf"), 1e300]), "AT": 0x00280010,
        "DS": random.choice(["1e999", "1", "1\\2", ""]), "IS": random.choice(["9" * 12, "-1", "", "1.0"]),
    }  # fmt: skip
    value = values.get(vr, b"\x01\x00\x02\x00" if vr.startswith(("O", "UN")) else "x")
    level[element.tag] = DataElement(element.tag, vr, value)


def _nest(dataset: Dataset, random: Random) -> None:
    """Sequences within sequences; or the whole data set as an item of itself."""
    keyword = random.choice(
        ["VOILUTSequence", "ModalityLUTSequence", "SharedFunctionalGroupsSequence", "ReferencedImageSequence",
         "PerFrameFunctionalGroupsSequence", "OpticalPathSequence"]
    )  # fmt: skip
    whole = random.random() < 0.3 and len(dataset.get("PixelData", b"")) < 10_000
    inner = deepcopy(dataset) if whole else Dataset()
    for depth in range(random.choice([1, 5, 50, 120])):
        outer = Dataset()
        setattr(outer, keyword, [inner] * (2 if depth < 4 and random.random() < 0.2 else 1))
        outer[keyword].is_undefined_length = random.random() < 0.5
        inner = outer
    setattr(dataset, keyword, [inner] * random.choice([1, 3] if whole else [1, 3, 10]))


def _cut_functional_groups(dataset: Dataset, random: Random) -> None:
    """Too few, too many, empty, or malformed items of frames."""
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence", None) or [_groups(random)] * random.choice([1, 3]))
    kind = random.randrange(5)
    if kind == 0:
        groups = groups[: random.randrange(len(groups) + 1)]
    elif kind == 1:
        groups *= 3
    elif kind == 2:
        groups = [Dataset() for _ in groups]
    elif kind == 3:
        groups = [_groups(random) for _ in groups]
    else:
        dataset.SharedFunctionalGroupsSequence = random.choice(
            [[], [Dataset()], [_groups(random)], [_groups(random)] * 2]
        )
    dataset.PerFrameFunctionalGroupsSequence = groups


def _groups(random: Random) -> Dataset:
    group, transform, voi, measures = Dataset(), Dataset(), Dataset(), Dataset()
    for item, keywords in (
        (transform, ("RescaleSlope", "RescaleIntercept")),
        (voi, ("WindowCenter", "WindowWidth", "VOILUTFunction")),
        (measures, ("PixelSpacing",)),
    ):
        for keyword in keywords:
            if random.random() < 0.7:
                _say(item, keyword, random.choice(NUMBERS[keyword]))
    group.PixelValueTransformationSequence = [transform]
    group.FrameVOILUTSequence = [voi]
    group.PixelMeasuresSequence = random.choice([[measures], [], [measures, measures]])
    return group


def _lie_about_tables(dataset: Dataset, random: Random) -> None:
    """Modality and VOI LUTs whose descriptors have little to do with their data."""
    item = Dataset()
    item.add_new("LUTDescriptor", random.choice(["US", "SS"]), _descriptor(random))
    data = bytes(random.randrange(256) for _ in range(random.choice([0, 2, 6, 256, 512, 8192])))
    if random.random() < 0.8:
        item.add_new("LUTData", "OW", data)
    else:
        item.add_new("LUTData", "US", [random.randrange(65536) for _ in range(random.choice([1, 3, 256]))])
    setattr(dataset, random.choice(["ModalityLUTSequence", "VOILUTSequence"]), [item])


def _descriptor(random: Random) -> Any:
    numbers = [
        random.choice([0, 1, 2, 3, 256, 4096, 32767]),
        random.choice([0, 1, 255, 32767]),
        random.choice([0, 8, 12, 16, 17]),
    ]
    return random.choice([numbers, numbers, numbers, numbers[:2], numbers[:1], numbers * 2])


def _lie_about_palette(dataset: Dataset, random: Random) -> None:
    """Descriptors and (segmented) tables at odds."""
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    dataset.SamplesPerPixel = 1
    for color in random.sample(["Red", "Green", "Blue"], random.choice([1, 3, 3])):
        dataset.add_new(f"{color}PaletteColorLookupTableDescriptor", "US", _descriptor(random))
        words = [random.choice([0, 1, 2, 3, 5, 255, 65535]) for _ in range(random.choice([0, 1, 6, 30, 256, 3000]))]
        segmented = random.random() < 0.5
        keyword = f"{'Segmented' if segmented else ''}{color}PaletteColorLookupTableData"
        dataset.add_new(keyword, "OW", struct.pack(f"<{len(words)}H", *words))


def _add_overlay(dataset: Dataset, random: Random) -> None:
    for group in random.sample(range(0x6000, 0x6020, 2), 2):
        for element, vr, value in (
            (0x10, "US", random.choice([0, 1, 65535])),
            (0x11, "US", random.choice([0, 1, 65535])),
            (0x15, "IS", random.choice(["1", "-1", "999999999"])),
            (0x50, "SS", [1, 1]),
            (0x100, "US", random.choice([1, 8, 16])),
            (0x102, "US", random.choice([0, 12, 15, 99])),
            (0x3000, "OW", b"\xff" * random.choice([0, 2, 512])),
        ):
            dataset.add_new((group << 16) | element, vr, value)


def _fragments(content: bytes) -> tuple[bytes, list[bytes]]:
    """Basic offset table and fragments of encapsulated pixels."""
    items, at = [], 0
    while content[at : at + 4] == b"\xfe\xff\x00\xe0":
        (length,) = struct.unpack("<I", content[at + 4 : at + 8])
        items.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    return items[0], items[1:]


def _rearrange_fragments(dataset: Dataset, random: Random) -> None:
    """Reordered, lost, doubled, emptied, divided, with an offset table that lies."""
    table, fragments = _fragments(dataset.PixelData)
    for _ in range(random.choice([1, 1, 2])):
        kind = random.randrange(6)
        if kind == 0:
            random.shuffle(fragments)
        elif kind == 1:
            del fragments[random.randrange(len(fragments))]
        elif kind == 2:
            fragments *= random.choice([2, 50])
        elif kind == 3:
            fragments.insert(random.randrange(len(fragments) + 1), random.choice([b"", b"\0\0", b"\xff\xd8\xff\xd9"]))
        elif kind == 4:
            fragments = [piece for f in fragments for piece in (f[: len(f) // 4 * 2], f[len(f) // 4 * 2 :])]
        else:
            numbers = [random.choice([0, 8, 100, 2**31, 2**32 - 1]) for _ in range(random.choice([1, 2, 3, 1000]))]
            table = struct.pack(f"<{len(numbers)}I", *numbers)
    _set_fragments(dataset, table, fragments)


def _set_fragments(dataset: Dataset, table: bytes, fragments: Sequence[bytes]) -> None:
    items = (b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in (table, *fragments))
    dataset["PixelData"]._value = b"".join(items)


def _add_extended_offsets(dataset: Dataset, random: Random) -> None:
    count = random.choice([0, 1, 2, 3, 1000])
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        numbers = [random.choice([0, 8, 100, 2**31, 2**63, 2**64 - 1]) for _ in range(count)]
        dataset.add_new(keyword, "OV", struct.pack(f"<{count}Q", *numbers) + b"\0" * random.choice([0, 0, 3]))


def _change_pixels(dataset: Dataset, random: Random) -> None:
    """Other pixels than the header speaks of: cut, doubled, empty, as floats, as fragments, those of another file."""
    content = dataset.PixelData
    kind = random.randrange(6)
    if kind == 0:
        content = content[: random.randrange(len(content) + 1)]
    elif kind == 1:
        content *= 3
    elif kind == 2:
        content = b""
    elif kind == 3:
        del dataset.PixelData
        keyword, vr = random.choice([("FloatPixelData", "OF"), ("DoubleFloatPixelData", "OD")])
        dataset.add_new(keyword, vr, content[: len(content) // 8 * 8])
        return
    elif kind == 4:
        content = encapsulate([content or b"\0\0"] * random.choice([1, 2]))
        dataset["PixelData"].is_undefined_length = True
    else:
        content = getattr(_parsed(random.choice(samples())), "PixelData", b"")
    dataset["PixelData"]._value = content


def _claim_syntax(dataset: Dataset, random: Random) -> None:
    """Written as the stated syntax wants it, with pixels of another."""
    dataset.file_meta.TransferSyntaxUID = random.choice([syntax for syntax in SYNTAXES if syntax])
    if random.random() < 0.5:
        dataset["PixelData"].is_undefined_length = random.random() < 0.5


_LIES: dict[str, Callable[[Dataset, Random], None]] = {
    "numbers": _lie_about_numbers,
    "image": _lie_about_image,
    "delete": _delete_elements,
    "vr": _change_vr,
    "nest": _nest,
    "groups": _cut_functional_groups,
    "tables": _lie_about_tables,
    "palette": _lie_about_palette,
    "overlay": _add_overlay,
    "fragments": _rearrange_fragments,
    "extended": _add_extended_offsets,
    "pixels": _change_pixels,
    "syntax": _claim_syntax,
}
