"""How a data set is written: prefixes that are none, lengths that look like VRs, UN sequences, numbers with a comma."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomprep import process_dicom
from dicomprep.checks.inspect import inspect_file
from dicomprep.config import ImageOptions
from dicomprep.dicom.displayable import displayable_value
from dicomprep.dicom.header import read_header
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pipeline.stages.decode import decode
from dicomprep.storage.local_source import LocalSource
from tests.building import gradient, make_dicom
from tests.dicom.test_header import split_file

PICTURE = gradient(64, 64)
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
UNENDING = 0xFFFFFFFF


def drawn(path: Path) -> Any:
    (frame,) = process_dicom(path, size=64, fidelity="exact")
    return frame.array


EXPECTED = np.floor(PICTURE / 4095 * 255 + 0.5)


def implicit(group: int, element: int, value: bytes, *, length: int | None = None) -> bytes:
    return struct.pack("<2HI", group, element, len(value) if length is None else length) + value


def item(content: bytes, *, ended: bool) -> bytes:
    """An item in little endian."""
    if not ended:
        return struct.pack("<2HI", 0xFFFE, 0xE000, len(content)) + content
    head, tail = struct.pack("<2HI", 0xFFFE, 0xE000, UNENDING), struct.pack("<2HI", 0xFFFE, 0xE00D, 0)
    return head + content + tail


SEQUENCE_END = struct.pack("<2HI", 0xFFFE, 0xE0DD, 0)


def unknown(group: int, element: int, content: bytes, *, order: str, ended: bool) -> bytes:
    """A sequence as UN: its items are in Implicit VR Little Endian (PS3.5 6.2.2, CP-246)."""
    value = content + SEQUENCE_END if ended else content
    return struct.pack(f"{order}2H2sHI", group, element, b"UN", 0, UNENDING if ended else len(content)) + value


def put_before(path: Path, element: bytes, *, tag: tuple[int, int], order: str, deflated: bool = False) -> Path:
    content = path.read_bytes()
    if deflated:
        meta, body = split_file(path)
        raw = zlib.decompress(body, wbits=-zlib.MAX_WBITS)
        at = raw.index(struct.pack("<2H", *tag))
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        path.write_bytes(meta + packer.compress(raw[:at] + element + raw[at:]) + packer.flush())
        return path
    at = content.index(struct.pack(f"{order}2H", *tag), 132)
    path.write_bytes(content[:at] + element + content[at:])
    return path


INNER = implicit(0x0008, 0x1155, b"1.2.3.4\0")
NESTED = implicit(0x0008, 0x1140, item(INNER, ended=True) + SEQUENCE_END, length=UNENDING) + implicit(
    0x0040, 0xA170, item(INNER, ended=False)
)


@pytest.mark.parametrize(
    ("syntax", "order"),
    [(ExplicitVRBigEndian, ">"), (ExplicitVRLittleEndian, "<"), (DeflatedExplicitVRLittleEndian, "<")],
)
@pytest.mark.parametrize("ended", [True, False], ids=["undefined length", "defined length"])
@pytest.mark.parametrize("content", [INNER, NESTED], ids=["flat", "nested"])
@pytest.mark.parametrize("tag", [(0x0008, 0x2112), (0x0009, 0x1001)], ids=["known", "private"])
def test_unknown_sequences_are_implicit_little_endian(
    tmp_path: Path, syntax: str, order: str, ended: bool, content: bytes, tag: tuple[int, int]
) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, transfer_syntax=syntax, **WINDOW)
    element = unknown(*tag, item(content, ended=ended), order=order, ended=ended)
    deflated = syntax == DeflatedExplicitVRLittleEndian
    put_before(path, element, tag=(0x0010, 0x0010), order=order, deflated=deflated)
    np.testing.assert_array_equal(drawn(path), EXPECTED)


@pytest.mark.parametrize("ended", [True, False])
def test_a_wanted_sequence_as_unknown_is_read(tmp_path: Path, ended: bool) -> None:
    """A VOI LUT Sequence within a big-endian file that its last reader did not know."""
    table = implicit(0x0028, 0x3002, struct.pack("<3H", 4096, 0, 12))
    table += implicit(0x0028, 0x3006, (4095 - np.arange(4096)).astype("<u2").tobytes())
    path = make_dicom(tmp_path / "a.dcm", PICTURE, transfer_syntax=ExplicitVRBigEndian)
    element = unknown(0x0028, 0x3010, item(table, ended=ended), order=">", ended=ended)
    put_before(path, element, tag=(0x7FE0, 0x0010), order=">")
    np.testing.assert_array_equal(drawn(path), np.floor((4095 - PICTURE.astype(int)) / 4095 * 255 + 0.5))


def test_an_unknown_sequence_within_a_sequence_of_a_big_endian_file(tmp_path: Path) -> None:
    element = unknown(0x0009, 0x1001, item(INNER, ended=True), order=">", ended=True)
    start, end = struct.pack(">2HI", 0xFFFE, 0xE000, UNENDING), struct.pack(">2HI", 0xFFFE, 0xE00D, 0)
    outer = struct.pack(">2H2sHI", 0x0008, 0x1140, b"SQ", 0, UNENDING) + start + element + end
    outer += struct.pack(">2HI", 0xFFFE, 0xE0DD, 0)
    path = make_dicom(tmp_path / "a.dcm", PICTURE, transfer_syntax=ExplicitVRBigEndian, **WINDOW)
    put_before(path, outer, tag=(0x0010, 0x0010), order=">")
    np.testing.assert_array_equal(drawn(path), EXPECTED)


# Prefixes


def with_dicm_at_128(body: bytes, *, order: str, vrs: bool, at: int = 128) -> bytes:
    """Lengthen the data set before Patient's Name so that a Station Name begins with DICM at byte `at`."""
    cut = body.index(struct.pack(f"{order}2H", 0x0010, 0x0010))
    before = struct.pack(f"{order}2H", 0x0008, 0x0090)
    after = struct.pack(f"{order}2H", 0x0008, 0x1010)
    room = at - cut - 16
    if vrs:
        filler = before + b"PN" + struct.pack(f"{order}H", room) + b"X" * room
        name = after + b"SH" + struct.pack(f"{order}H", 8) + b"DICMA1  "
    else:
        filler, name = before + struct.pack("<I", room) + b"X" * room, after + struct.pack("<I", 8) + b"DICMA1  "
    made = body[:cut] + filler + name + body[cut:]
    assert made[at : at + 4] == b"DICM"
    return made


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_dicm_within_a_value_is_no_prefix(tmp_path: Path, syntax: str) -> None:
    short = {"SOPInstanceUID": "1.2", "StudyInstanceUID": "1.3", "SeriesInstanceUID": "1.4", "SOPClassUID": "1.2.3"}
    path = make_dicom(tmp_path / "a.dcm", PICTURE, transfer_syntax=syntax, **WINDOW, **short)
    _, body = split_file(path)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    path.write_bytes(with_dicm_at_128(body, order=order, vrs=syntax != ImplicitVRLittleEndian))
    np.testing.assert_array_equal(drawn(path), EXPECTED)


def test_dicm_within_meta_information_that_has_no_preamble(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW)
    meta, body = split_file(path)
    bare = meta[132:]
    filler = 128 - len(bare) - 8
    if filler < 0:
        cut = bare.index(struct.pack("<2H", 0x0002, 0x0012))
        bare, filler = bare[:cut], 128 - cut - 8
    title = struct.pack("<2H2sH", 0x0002, 0x0016, b"AE", filler + 8) + b" " * filler + b"DICM    "
    assert (bare + title)[128:132] == b"DICM"
    path.write_bytes(bare + title + body)
    np.testing.assert_array_equal(drawn(path), EXPECTED)


def test_meta_information_in_implicit_vr(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW)
    _, body = split_file(path)
    syntax = implicit(0x0002, 0x0010, ExplicitVRLittleEndian.encode() + b"\0")
    path.write_bytes(bytes(128) + b"DICM" + implicit(0x0002, 0x0000, struct.pack("<I", len(syntax))) + syntax + body)
    np.testing.assert_array_equal(drawn(path), EXPECTED)


@pytest.mark.parametrize("preamble", [b"II*\0\x08\0\0\0", b"MM\0*", b"\x08\0\x16\0UI\x04\0", b"%PDF-1.7"])
def test_any_preamble_will_do(tmp_path: Path, preamble: bytes) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW)
    path.write_bytes(preamble.ljust(128, b"\0") + path.read_bytes()[128:])
    np.testing.assert_array_equal(drawn(path), EXPECTED)


@pytest.mark.parametrize("length", [0, 4, 2**31])
def test_a_wrong_length_of_the_meta_information_is_no_matter(tmp_path: Path, length: int) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW)
    content = bytearray(path.read_bytes())
    content[140:144] = struct.pack("<I", length)
    path.write_bytes(content)
    np.testing.assert_array_equal(drawn(path), EXPECTED)


# Lengths that look like a Value Representation


@pytest.mark.parametrize("letters", [b"OB", b"CS", b"UI", b"SQ", b"UN"])
@pytest.mark.parametrize("with_meta", [True, False])
def test_a_length_that_looks_like_a_vr(tmp_path: Path, letters: bytes, with_meta: bool) -> None:
    """The first element of an implicit data set has an odd length whose bytes are two letters."""
    path = make_dicom(tmp_path / "a.dcm", PICTURE, transfer_syntax=ImplicitVRLittleEndian, **WINDOW)
    meta, body = split_file(path)
    first = implicit(0x0008, 0x0001, b"\0" * int.from_bytes(letters, "little"))
    path.write_bytes((meta if with_meta else b"") + first + body)
    np.testing.assert_array_equal(drawn(path), EXPECTED)


def test_a_length_that_looks_like_a_vr_under_an_explicit_syntax(tmp_path: Path) -> None:
    implicit_file = make_dicom(tmp_path / "a.dcm", PICTURE, transfer_syntax=ImplicitVRLittleEndian, **WINDOW)
    meta, _ = split_file(make_dicom(tmp_path / "b.dcm", PICTURE, transfer_syntax=ExplicitVRLittleEndian))
    first = implicit(0x0008, 0x0001, b"\0" * int.from_bytes(b"OB", "little"))
    implicit_file.write_bytes(meta + first + split_file(implicit_file)[1])
    np.testing.assert_array_equal(drawn(implicit_file), EXPECTED)


def test_a_damaged_vr_does_not_make_a_data_set_implicit(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW)
    content = path.read_bytes()
    at = content.index(b"\x08\0\x16\0UI")
    with LocalSource.at(path).open() as file:
        assert not read_header(file, max_bytes=2**20).encoding.implicit
    path.write_bytes(content[: at + 4] + b"OB\0\0" + struct.pack("<I", 4) + b"1.2\0" + content[at + 34 :])
    with LocalSource.at(path).open() as file:
        assert not read_header(file, max_bytes=2**20).encoding.implicit


# Numbers with a comma


SPACINGS = {
    "0,5\\0,25": (0.5, 0.25),
    "0.5 mm\\0.25 mm": (0.5, 0.25),
    "5E-1\\2.5e-01 ": (0.5, 0.25),
    " 0.5 \\ .25\0": (0.5, 0.25),
    "0.5\\0.25\\": (0.5, 0.25),
    "+0.5\\0.25\\1": (0.5, 0.25),
    "0,50\\0.25": (0.5, 0.25),
    "0_5\\0.25": (None, None),
    "0.5": (None, None),
    "NaN\\0.25": (None, None),
    "1e400\\0.25": (None, None),
    "0\\0": (None, None),
    "-0.5\\0.25": (None, None),
    "0.5\\50": (None, None),
    "0,5;0,25": (None, None),
    "0.5\\0.2 5": (None, None),
    "": (None, None),
}
"""What is written, and what it says."""


def with_spacing(path: Path, vr: bytes, value: bytes) -> Path:
    element = struct.pack("<2H2sH", 0x0028, 0x0030, vr, len(value)) + value
    put_before(make_dicom(path, PICTURE, **WINDOW), element, tag=(0x0028, 0x0100), order="<")
    return path


def spacing_by_room(path: Path) -> tuple[tuple[float | None, float | None], tuple[int, int], str]:
    """In the view `tags`, in the image, in `inspect`."""
    with LocalSource.at(path).open() as file:
        tags = read_header(file, max_bytes=2**20).instance().tags
    (frame,) = process_dicom(path, size=64)
    rows = dict(inspect_file(path, ImageOptions(), frame_number=0, max_bytes=2**20).rows)
    return (
        (tags.row_spacing_mm, tags.column_spacing_mm),
        frame.transform["geometry"]["scaled_shape"],
        rows["Pixel spacing"],
    )


@pytest.mark.parametrize(("written", "spacing"), SPACINGS.items())
def test_a_spacing_is_the_same_for_the_image_for_its_tags_and_for_inspect(
    tmp_path: Path, written: str, spacing: tuple[float | None, float | None]
) -> None:
    path = with_spacing(tmp_path / "Große Aufnahme.dcm", b"DS", written.encode() + b" " * (len(written) % 2))
    recorded, shape, explained = spacing_by_room(path)
    assert recorded == spacing
    assert tuple(shape) == ((64, 64) if spacing == (None, None) else (64, 32))
    assert explained.startswith("none in header" if spacing == (None, None) else "0.5 × 0.25 mm")


def test_a_spacing_of_binary_numbers_is_recorded_as_it_is_drawn(tmp_path: Path) -> None:
    path = with_spacing(tmp_path / "a.dcm", b"FD", struct.pack("<2d", 0.5, 0.25))
    assert spacing_by_room(path)[0] == (0.5, 0.25)
    assert tuple(spacing_by_room(path)[1]) == (64, 32)


def test_a_malformed_spacing_is_not_explained_by_another(tmp_path: Path) -> None:
    """Pixel Spacing that cannot be read makes pixels square: `inspect` must not name the detector's."""
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW, ImagerPixelSpacing=[0.5, 0.25])
    value = b"wide\\low "
    put_before(path, struct.pack("<2H2sH", 0x0028, 0x0030, b"DS", len(value)) + value, tag=(0x0028, 0x0100), order="<")
    recorded, shape, explained = spacing_by_room(path)
    assert (recorded, tuple(shape)) == ((None, None), (64, 64))
    assert "detector" not in explained


def test_what_is_recorded_by_keyword_is_read_as_what_is_drawn(tmp_path: Path) -> None:
    path = with_spacing(tmp_path / "a.dcm", b"DS", b"0,5\\0,25 ")
    with LocalSource.at(path).open() as file:
        extra = read_header(file, max_bytes=2**20, extra=("PixelSpacing",)).instance().extra_tags
    assert extra == '{"PixelSpacing":[0.5,0.25]}'
    assert displayable_value(pydicom.dcmread(path)["PixelSpacing"]) == "0.5\\0.25"


# Reasons in the words of the field


def test_a_damaged_header_is_said_to_be_damaged_and_where(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, **WINDOW)
    broken = struct.pack("<2H2sHI", 0x0008, 0x1140, b"SQ", 0, UNENDING) + b"no item here"
    put_before(path, broken, tag=(0x0010, 0x0010), order="<")
    with pytest.raises(InputError) as caught:
        process_dicom(path)
    assert caught.value.code in (ErrorCode.CORRUPT_HEADER, ErrorCode.TRUNCATED)
    assert "header" in caught.value.detail
    assert "Error" not in caught.value.detail


@pytest.mark.parametrize("max_memory", [64, 2048])
def test_a_small_file_that_claims_a_huge_frame_is_damaged(tmp_path: Path, max_memory: int) -> None:
    path = make_dicom(tmp_path / "a.dcm", PICTURE, Rows=65_535, Columns=65_535)
    with pytest.raises(InputError) as caught, LocalSource.at(path).open() as file:
        decode(file, max_bytes=max_memory * 2**20)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER
    assert caught.value.code.remedy is None
    assert f"the whole file has {path.stat().st_size:,}" in caught.value.detail
