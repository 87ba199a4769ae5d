"""From bytes to plain numbers: what a file is, where its frames lie, and how its header says they are drawn."""

import re
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicomprep import process_dicom
from dicomprep.config import ImageOptions
from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.encapsulation import FrameTable, locate_frames
from dicomprep.dicom.fast_scan import PIXEL_KEYWORDS, WANTED, scan_dataset, to_dataset, wanted_tags
from dicomprep.dicom.header import name_syntax
from dicomprep.dicom.patient import PatientIdentity
from dicomprep.dicom.sniff import sniff
from dicomprep.dicom.values import read_raw_values
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pipeline.stages.decode import decode
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.intensity import LookupTable, Rescale, ValueRange, Window
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import HEAD_BYTES, MemoryFile
from tests.building import gradient, make_dicom
from tests.reading import decoded_frames, opened_header, opened_image
from tests.reference_table import FOLDER, REFERENCE

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def split_file(path: Path) -> tuple[bytes, bytes]:
    """File meta information (without preamble and prefix) and data set of a file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[140:144])
    return content[132 : 144 + length], content[144 + length :]


def set_syntax(meta: bytes, syntax: str) -> bytes:
    """File meta information that names another transfer syntax, or none."""
    at = meta.index(b"\x02\x00\x10\x00UI")
    (length,) = struct.unpack("<H", meta[at + 6 : at + 8])
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = meta[at : at + 6] + struct.pack("<H", len(value)) + value if syntax else b""
    rest = meta[12:at] + element + meta[at + 8 + length :]
    return meta[:8] + struct.pack("<I", len(rest)) + rest


# What a file is


@pytest.mark.parametrize("syntax", [*SYNTAXES, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("start", ["preamble", "prefix only", "meta only"])
def test_files_with_meta_information(tmp_path: Path, syntax: str, start: str) -> None:
    meta, dataset = split_file(make_dicom(tmp_path / "a.dcm", transfer_syntax=syntax))
    before = {"preamble": bytes(128) + b"DICM", "prefix only": b"DICM", "meta only": b""}[start]
    encoding = sniff(before + meta + dataset)
    assert encoding is not None
    assert encoding.offset == len(before) + len(meta)
    assert encoding.transfer_syntax == syntax
    assert encoding.implicit == (syntax == ImplicitVRLittleEndian)
    assert encoding.big_endian == (syntax == ExplicitVRBigEndian)
    assert encoding.deflated == (syntax == DeflatedExplicitVRLittleEndian)
    assert not encoding.notes
    place = tmp_path / "b"
    place.write_bytes(before + meta + dataset)
    np.testing.assert_array_equal(decoded_frames(place)[0].pixels, gradient())


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_bare_data_sets(tmp_path: Path, syntax: str) -> None:
    _, dataset = split_file(make_dicom(tmp_path / "a.dcm", transfer_syntax=syntax))
    encoding = sniff(dataset)
    assert encoding is not None
    assert (encoding.offset, encoding.transfer_syntax) == (0, syntax)
    place = tmp_path / "1.2.840.5"
    place.write_bytes(dataset)
    frame = decoded_frames(place)[0]
    np.testing.assert_array_equal(frame.pixels, gradient())
    assert frame.notes == ("no file meta information",)


@pytest.mark.parametrize("written", SYNTAXES)
@pytest.mark.parametrize("said", [*SYNTAXES, ""])
def test_mislabeled_data_sets_are_read_as_they_are_written(tmp_path: Path, written: str, said: str) -> None:
    meta, dataset = split_file(make_dicom(tmp_path / "a.dcm", transfer_syntax=written))
    place = tmp_path / "b.dcm"
    place.write_bytes(bytes(128) + b"DICM" + set_syntax(meta, said) + dataset)
    encoding = sniff(place.read_bytes())
    assert encoding is not None
    assert encoding.transfer_syntax == written
    assert bool(encoding.notes) == (said != written)
    assert all("Transfer Syntax UID (0002,0010)" in note for note in encoding.notes)
    np.testing.assert_array_equal(decoded_frames(place)[0].pixels, gradient())


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "examples_ybr_color.dcm"]
)
def test_an_unstated_compression_is_worked_out(tmp_path: Path, name: str) -> None:
    meta, dataset = split_file(FOLDER / name)
    place = tmp_path / "a.dcm"
    place.write_bytes(bytes(128) + b"DICM" + set_syntax(meta, "") + dataset)
    found, expected = decoded_frames(place), decoded_frames(FOLDER / name)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.pixels, theirs.pixels)
        assert any("Transfer Syntax UID (0002,0010) is missing" in note for note in mine.notes)


def test_a_compression_that_cannot_be_worked_out_is_named(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", transfer_syntax=JPEGBaseline8Bit, codestreams=[b"rubbish!" * 9])
    meta, dataset = split_file(path)
    path.write_bytes(bytes(128) + b"DICM" + set_syntax(meta, "") + dataset)
    with pytest.raises(InputError, match=r"Transfer Syntax UID \(0002,0010\)") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER


def test_the_private_syntax_of_ge_has_big_endian_pixels(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "a.dcm", transfer_syntax=ImplicitVRLittleEndian, PixelData=gradient().byteswap().tobytes()
    )
    meta, dataset = split_file(path)
    path.write_bytes(bytes(128) + b"DICM" + set_syntax(meta, "1.2.840.113619.5.2") + dataset)
    frame = decoded_frames(path)[0]
    np.testing.assert_array_equal(frame.pixels, gradient())
    assert not frame.notes


@given(st.binary(max_size=600))
def test_random_bytes_are_not_dicom(content: bytes) -> None:
    assert sniff(content) is None


@pytest.mark.parametrize("start", ["", "0800", "080005004353", "000800054353"])
def test_a_plausible_beginning_is_not_enough(start: str) -> None:
    random = np.random.default_rng(0)
    assert not any(sniff(bytes.fromhex(start) + random.bytes(300)) for _ in range(1000))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(300),
        b"PK\x03\x04" + bytes(range(256)),
        bytes(1000),
        b"Patient,Study\n1,2\n" * 40,
        b"DICM is not at byte 128 of this text. " * 30,
        b"\x08\x00" * 400,
        np.arange(100, dtype="<u4").tobytes(),
        np.arange(100, dtype="<u2").tobytes(),
        struct.pack("<40H", 8, 5, 4, *[0] * 3, *range(9000, 9034)),
    ],
)
def test_other_files_are_not_dicom(content: bytes) -> None:
    assert sniff(content) is None


@given(st.binary(max_size=200))
def test_what_follows_the_prefix_never_makes_it_fail(rest: bytes) -> None:
    assert sniff(bytes(128) + b"DICM" + rest) is not None or rest[:2] != b"\x02\x00"
    sniff(b"DICM" + rest)
    sniff(bytes(128) + b"DICM\x02\x00" + rest)


# Where the frames lie


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


def encapsulated(offsets: list[int], fragments: list[bytes], *, ended: bool = True) -> MemoryFile:
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if ended else b""
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    return MemoryFile(b"before" + b"".join(map(item, [table, *fragments])) + end)


def locate(file: MemoryFile, frame_count: int, extended: list[int] | None = None) -> FrameTable:
    return locate_frames(file, 6, frame_count=frame_count, extended_offsets=extended)


def read_all(file: MemoryFile, table: FrameTable) -> list[bytes]:
    return [table.read(file, index) for index in range(len(table.frames))]


def stream(text: str) -> bytes:
    """What looks like a JPEG codestream, of an even number of bytes."""
    return b"\xff\xd8\xff\xe0" + text.encode() * 2


FRAMES = [stream("one"), stream("number two"), stream("three")]
HALVES = [part for frame in FRAMES for part in (frame[:6], frame[6:])]
STARTS = [0, len(FRAMES[0]) + 16, len(FRAMES[0]) + len(FRAMES[1]) + 32]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("offsets", [[], [0, 22, 54], [0, 1, 2], [5], [2**32 - 1] * 3, [0, 54, 22]])
def test_one_fragment_a_frame_needs_no_table(offsets: list[int], ended: bool) -> None:
    file = encapsulated(offsets, FRAMES, ended=ended)
    assert read_all(file, locate(file, 3)) == FRAMES


@pytest.mark.parametrize(
    ("basic", "extended", "told_by"),
    [
        (STARTS, None, "basic"),
        ([], STARTS, "extended"),
        ([0, 4, 8], STARTS, "extended"),
        (STARTS, [0, 4, 8], "basic"),
        ([], None, "codestream markers"),
        ([0, 4, 8], None, "codestream markers"),
        (STARTS[:2], None, "codestream markers"),
        ([STARTS[1], STARTS[0], STARTS[2]], None, "codestream markers"),
        ([], [], "codestream markers"),
    ],
)
def test_several_fragments_a_frame(basic: list[int], extended: list[int] | None, told_by: str) -> None:
    file = encapsulated(basic, HALVES)
    table = locate(file, 3, extended)
    assert read_all(file, table) == FRAMES
    assert len(table.notes) == 1
    assert told_by in table.notes[0]


@pytest.mark.parametrize("offsets", [[], [0], [99]])
def test_a_single_frame_is_all_fragments(offsets: list[int]) -> None:
    file = encapsulated(offsets, [b"ab", b"cd", b"efgh"])
    assert read_all(file, locate(file, 1)) == [b"abcdefgh"]


def test_fragments_that_nothing_tells_apart_are_refused() -> None:
    file = encapsulated([], [b"some", b"thing", b"els", b"e..."])
    with pytest.raises(InputError, match="cannot assign 4 fragments to 3 frames") as caught:
        locate(file, 3)
    assert caught.value.code == ErrorCode.CORRUPT_PIXELS


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4), min_size=2, max_size=6),
    st.booleans(),
)
def test_frames_by_their_table(frames: list[list[bytes]], extended: bool) -> None:
    ends = np.cumsum([sum(len(part) + 8 for part in frame) for frame in frames]).tolist()
    starts = [0, *ends[:-1]]
    file = encapsulated([] if extended else starts, [part for frame in frames for part in frame])
    table = locate(file, len(frames), starts if extended else None)
    assert read_all(file, table) == [b"".join(frame) for frame in frames]


@pytest.mark.parametrize("basic", [[], STARTS])
@pytest.mark.parametrize("fragments", [FRAMES, HALVES])
def test_a_cut_file_keeps_the_frames_before_the_cut(fragments: list[bytes], basic: list[int]) -> None:
    whole = encapsulated(basic, fragments, ended=False)
    content = whole.read_at(0, whole.size)
    for cut in range(1, len(fragments[-1]) + 1):
        file = MemoryFile(content[:-cut])
        table = locate(file, 3)
        assert [table.read(file, index) for index in (0, 1)] == FRAMES[:2]
        with pytest.raises(InputError) as caught:
            table.read(file, 2)
        assert caught.value.code == ErrorCode.TRUNCATED


def test_fewer_fragments_than_frames() -> None:
    file = encapsulated([], FRAMES)
    table = locate(file, 5)
    assert [table.read(file, index) for index in range(3)] == FRAMES
    for index in (3, 4):
        with pytest.raises(InputError, match=r"only 3 frames present, .* Number of Frames \(0028") as caught:
            table.read(file, index)
        assert caught.value.code == ErrorCode.TRUNCATED


def test_without_a_table_item_no_frame_takes_another_ones_place() -> None:
    """The first item is a frame, although it must be the offset table."""
    file = MemoryFile(b"before" + b"".join(map(item, FRAMES)))
    try:
        table = locate(file, 3)
        first = table.read(file, 0)
    except InputError as error:
        assert error.code == ErrorCode.CORRUPT_PIXELS
    else:
        assert first == FRAMES[0]


@pytest.mark.parametrize("rubbish", [b"\0" * 8, b"rubbish!", b"\xe0\x7f\x10\x00\0\0\0\0"])
def test_what_is_no_item_is_refused(rubbish: bytes) -> None:
    with pytest.raises(InputError, match=r"Pixel Data \(7FE0,0010\) at byte 14") as caught:
        locate(MemoryFile(b"before" + item(b"") + rubbish), 1)
    assert caught.value.code == ErrorCode.CORRUPT_PIXELS


# How frames are drawn

PIXELS = np.stack([gradient(8, 6)] * 3)


def per_frame(macro: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{macro: [attributes]} if attributes else {} for attributes in items]


def test_per_frame_groups_stand_over_shared_ones_and_those_over_the_root(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "a.dcm",
        PIXELS,
        RescaleSlope=7,
        RescaleIntercept=70,
        WindowCenter=700,
        WindowWidth=7000,
        PixelSpacing=[7, 1],
        SharedFunctionalGroupsSequence=[
            {
                "PixelValueTransformationSequence": [{"RescaleSlope": 2, "RescaleIntercept": 20}],
                "FrameVOILUTSequence": [{"WindowCenter": 200, "WindowWidth": 2000}],
                "PixelMeasuresSequence": [{"PixelSpacing": [2, 1]}],
            }
        ],
        PerFrameFunctionalGroupsSequence=[
            {"PixelValueTransformationSequence": [{"RescaleSlope": 3, "RescaleIntercept": 30}]},
            {"FrameVOILUTSequence": [{"WindowCenter": 300, "WindowWidth": 3000, "VOILUTFunction": "SIGMOID"}]},
            {"PixelMeasuresSequence": [{"PixelSpacing": [3, 1]}]},
        ],
    )
    frames = decoded_frames(path)
    grays = [frame.grayscale[0] for frame in frames]
    assert [grayscale and grayscale.modality for grayscale in grays] == [Rescale(3, 30), Rescale(2, 20), Rescale(2, 20)]
    shared = Window(200, 2000)
    assert [grayscale and grayscale.voi for grayscale in grays] == [shared, Window(300, 3000, "SIGMOID"), shared]
    assert [frame.aspect for frame in frames] == [2, 2, 3]


def test_the_root_serves_where_there_are_no_groups(tmp_path: Path) -> None:
    root = {"RescaleSlope": 7, "RescaleIntercept": -70, "WindowCenter": 700, "WindowWidth": 7000}
    groups = [{"FrameContentSequence": [{"FrameAcquisitionNumber": n}]} for n in range(3)]
    path = make_dicom(tmp_path / "a.dcm", PIXELS, PerFrameFunctionalGroupsSequence=groups, PixelSpacing=[2, 4], **root)
    for frame in decoded_frames(path):
        assert (frame.grayscale[0].modality, frame.grayscale[0].voi, frame.aspect) == (
            Rescale(7, -70),
            Window(700, 7000),
            0.5,
        )


def test_a_range_is_shared_by_all_frames_and_measured_after_their_own_rescale(tmp_path: Path) -> None:
    groups = per_frame(
        "PixelValueTransformationSequence", [{"RescaleSlope": s, "RescaleIntercept": 0} for s in (1, 2, 4)]
    )
    path = make_dicom(tmp_path / "a.dcm", PIXELS, Modality="MR", PerFrameFunctionalGroupsSequence=groups)
    frames = decoded_frames(path)
    vois = [frame.grayscale[0].voi for frame in frames]
    assert len(set(vois)) == 1
    assert isinstance(vois[0], ValueRange)
    assert vois[0].low < 100
    assert vois[0].high > 4 * 4000


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_spacing_is_row_then_column(tmp_path: Path, keyword: str) -> None:
    frame = decoded_frames(make_dicom(tmp_path / "a.dcm", **{keyword: [0.5, 0.25], "PixelAspectRatio": [9, 1]}))[0]
    assert frame.aspect == 2


@pytest.mark.parametrize(
    ("attributes", "aspect", "note"),
    [
        ({}, 1, None),
        ({"PixelAspectRatio": [5, 4]}, 1.25, None),
        ({"PixelSpacing": [0, 0]}, 1, "Pixel Spacing (0028,0030)"),
        ({"PixelSpacing": [1, -1]}, 1, "Pixel Spacing (0028,0030)"),
        ({"PixelSpacing": [100, 0.1]}, 1, "Pixel Spacing (0028,0030)"),
        ({"PixelSpacing": 0.5}, 1, None),
    ],
)
def test_impossible_shapes_of_pixels_are_taken_as_square(
    tmp_path: Path, attributes: dict[str, Any], aspect: float, note: str | None
) -> None:
    frame = decoded_frames(make_dicom(tmp_path / "a.dcm", **attributes))[0]
    assert frame.aspect == aspect
    assert [note in text for text in frame.notes] == ([True] if note else [])


@pytest.mark.parametrize(
    ("attributes", "voi", "note"),
    [
        ({"WindowCenter": [40, 400], "WindowWidth": [80, 2000]}, Window(40, 80), None),
        (
            {"WindowCenter": 40, "WindowWidth": 80, "VOILUTFunction": "LINEAR_EXACT"},
            Window(40, 80, "LINEAR_EXACT"),
            None,
        ),
        ({"WindowCenter": 40, "WindowWidth": 0.5, "VOILUTFunction": "SIGMOID"}, Window(40, 0.5, "SIGMOID"), None),
        ({"WindowCenter": 40, "WindowWidth": 0.5}, Window(40, 0.5, "LINEAR_EXACT"), "Window Width (0028,1051)"),
        (
            {"WindowCenter": 40, "WindowWidth": 80, "VOILUTFunction": "CUBIC"},
            Window(40, 80),
            "(0028,1056) is unknown",
        ),
        ({"WindowCenter": 40, "WindowWidth": 0}, None, "Window Width (0028,1051) 0 is invalid"),
        ({"WindowCenter": 40, "WindowWidth": -5}, None, "Window Width (0028,1051) -5 is invalid"),
        (
            {"WindowCenter": 40, "WindowWidth": 0, "VOILUTFunction": "CUBIC"},
            None,
            "Window Width (0028,1051) 0 is invalid",
        ),
        ({"WindowCenter": "nan", "WindowWidth": 5}, None, "Window Center (0028,1050) is not a finite number"),
        ({"WindowCenter": 40}, None, None),
    ],
)
def test_windows(tmp_path: Path, attributes: dict[str, Any], voi: Window | None, note: str | None) -> None:
    frame = decoded_frames(make_dicom(tmp_path / "a.dcm", **attributes))[0]
    assert frame.grayscale[0].voi == voi or (voi is None and isinstance(frame.grayscale[0].voi, ValueRange))
    assert any(note in text for text in frame.notes) if note else not frame.notes
    assert normalize(frame, ImageOptions()).pixels.dtype == np.uint8


def lut(descriptor: list[int], data: bytes | list[int]) -> dict[str, Any]:
    return {"LUTDescriptor": descriptor, "LUTData": data, "ModalityLUTType": "US"}


@pytest.mark.parametrize("kind", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize(
    ("syntax", "descriptor", "entries", "data"),
    [
        (ExplicitVRLittleEndian, [4, 10, 16], [0, 9, 300, 65535], None),
        (ExplicitVRBigEndian, [4, 10, 16], [0, 9, 300, 65535], None),
        (ImplicitVRLittleEndian, [4, 0, 12], [0, 9, 300, 4095], None),
        (ExplicitVRLittleEndian, [4, 10, 8], [0, 9, 30, 255], b"\x00\x09\x1e\xff"),
        (ExplicitVRLittleEndian, [0, 0, 16], list(range(65536)), None),
        (ExplicitVRLittleEndian, [40_000, 0, 16], list(range(40_000)), None),
    ],
)
def test_tables(
    tmp_path: Path, kind: str, syntax: str, descriptor: list[int], entries: list[int], data: bytes | None
) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    packed = data or np.array(entries, f"{order}u2").tobytes()
    path = make_dicom(tmp_path / "a.dcm", transfer_syntax=syntax, **{kind: [lut(descriptor, packed)]})
    grayscale = decoded_frames(path)[0].grayscale[0]
    table = grayscale.modality if kind == "ModalityLUTSequence" else grayscale.voi
    assert isinstance(table, LookupTable)
    assert (table.first, table.bits) == (descriptor[1], descriptor[2])
    assert table.values.tolist() == entries


@pytest.mark.parametrize("count", [50, 40_000])
def test_a_table_of_signed_pixels_may_begin_below_zero(tmp_path: Path, count: int) -> None:
    data = np.arange(count, dtype="<u2").tobytes()
    pixels = gradient().astype(np.int16) - 1000
    path = make_dicom(tmp_path / "a.dcm", pixels, ModalityLUTSequence=[lut([count, -1000, 16], data)])
    grayscale = decoded_frames(path)[0].grayscale[0]
    assert isinstance(grayscale.modality, LookupTable)
    assert (grayscale.modality.first, len(grayscale.modality.values)) == (-1000, count)


@pytest.mark.parametrize("descriptor", [[2, 0], [2, 0, 99], [2, 0, 0]])
def test_a_broken_table_is_left_out_and_noted(tmp_path: Path, descriptor: list[int]) -> None:
    broken = [lut(descriptor, b"\0\0\1\0")]
    path = make_dicom(
        tmp_path / "a.dcm", VOILUTSequence=broken, ModalityLUTSequence=broken, WindowCenter=40, WindowWidth=80
    )
    frame = decoded_frames(path)[0]
    assert (frame.grayscale[0].modality, frame.grayscale[0].voi) == (Rescale(), Window(40, 80))
    for name in ("Modality LUT Sequence (0028,3000)", "VOI LUT Sequence (0028,3010)"):
        assert any(note.startswith(f"{name} ignored") for note in frame.notes)


def test_a_table_stands_before_a_window_and_the_frame_before_the_root(tmp_path: Path) -> None:
    tables = [lut([2, 0, 8], struct.pack("<2H", 0, n)) for n in (100, 200)]
    window = {"WindowCenter": 40, "WindowWidth": 80}
    root = decoded_frames(make_dicom(tmp_path / "a.dcm", VOILUTSequence=tables, **window))[0].grayscale[0]
    assert root is not None
    assert isinstance(root.voi, LookupTable)
    assert root.voi.values.tolist() == [0, 100]
    groups = per_frame("FrameVOILUTSequence", [{}, window, {"VOILUTSequence": [tables[1]], **window}])
    path = make_dicom(tmp_path / "b.dcm", PIXELS, VOILUTSequence=tables, PerFrameFunctionalGroupsSequence=groups)
    first, second, third = (frame.grayscale[0].voi for frame in decoded_frames(path))
    assert isinstance(first, LookupTable)
    assert second == Window(40, 80)
    assert isinstance(third, LookupTable)
    assert third.values.tolist() == [0, 200]


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "IDENTITY", False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "INVERSE", True),
    ],
)
def test_inversion(tmp_path: Path, photometric: str, shape: str | None, inverted: bool) -> None:
    path = make_dicom(tmp_path / "a.dcm", PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    grayscale = decoded_frames(path)[0].grayscale[0]
    assert grayscale.inverted == inverted


@pytest.mark.parametrize(
    ("dtype", "value", "limit", "padding"),
    [
        ("i2", -2000, None, (-2000, -2000)),
        ("i2", 63536, None, (-2000, -2000)),  # written as if pixels were unsigned
        ("u2", -2000, None, (63536, 63536)),  # written as if they were signed
        ("u2", 0, 15, (0, 15)),
        ("u2", 15, 0, (0, 15)),
        ("i2", 63530, 63536, (-2006, -2000)),
        ("u1", 255, None, (255, 255)),
        ("u2", None, None, None),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_padding_as_it_is_stored(
    tmp_path: Path, syntax: str, dtype: str, value: int | None, limit: int | None, padding: tuple[int, int] | None
) -> None:
    if syntax == ImplicitVRLittleEndian and value is not None:
        value, limit = as_read(value, dtype), limit if limit is None else as_read(limit, dtype)
    pixels = (gradient() // 16).astype(dtype)
    path = make_dicom(tmp_path / "a.dcm", pixels, transfer_syntax=syntax)
    elements = [(0x0120, value), (0x0121, limit)]
    insert(path, b"".join(us_or_ss(0x0028, element, v, syntax) for element, v in elements if v is not None))
    grayscale = decoded_frames(path)[0].grayscale[0]
    assert grayscale.padding == padding


def as_read(value: int, dtype: str) -> int:
    """Implicit VR has no sign of its own: the pixels' counts."""
    return value % 65536 if dtype[0] == "u" else (value + 32768) % 65536 - 32768


def us_or_ss(group: int, element: int, value: int, syntax: str) -> bytes:
    head = struct.pack("<2H", group, element)
    size = struct.pack("<I", 2) if syntax == ImplicitVRLittleEndian else (b"SS" if value < 0 else b"US") + b"\2\0"
    return head + size + struct.pack("<h" if value < 0 else "<H", value)


def insert(path: Path, elements: bytes) -> None:
    """Put elements of group 0028 right before the pixel data."""
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(content[:at] + elements + content[at:])


# Palettes


def palette_file(path: Path, indices: NDArray[Any], descriptor: list[int], data: list[bytes], **options: Any) -> Path:
    """A PALETTE COLOR file; `segmented=True` for segmented data."""
    prefix = "Segmented" if options.pop("segmented", False) else ""
    colors = ("Red", "Green", "Blue")
    attributes: dict[str, Any] = {f"{color}PaletteColorLookupTableDescriptor": descriptor for color in colors}
    attributes |= {f"{prefix}{c}PaletteColorLookupTableData": raw for c, raw in zip(colors, data, strict=True)}
    return make_dicom(path, indices, PhotometricInterpretation="PALETTE COLOR", **attributes | options)


def words(values: list[int], order: str = "<") -> bytes:
    return np.array(values, f"{order}u2").tobytes()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_palette_of_16_bits(tmp_path: Path, syntax: str) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    table = [[0, 1000, 30_000, 65_535], [5, 6, 7, 40_000], [65_535, 300, 20, 1]]
    indices = np.array([[0, 9, 10, 11, 12, 13, 14, 255]], np.uint8)
    path = palette_file(
        tmp_path / "a.dcm", indices, [4, 10, 16], [words(c, order) for c in table], transfer_syntax=syntax
    )
    frame = decoded_frames(path)[0]
    entry = [0, 0, 0, 1, 2, 3, 3, 3]  # outside of the table: its ends
    expected = np.array(table).T[entry][np.newaxis]
    np.testing.assert_array_equal(normalize(frame, ImageOptions(depth=16)).pixels, expected)
    np.testing.assert_array_equal(normalize(frame, ImageOptions()).pixels, expected >> 8)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("count", [4, 256])
def test_palette_of_8_bits(tmp_path: Path, count: int, packed: bool) -> None:
    table = np.random.default_rng(count).integers(0, 256, (3, count)).astype(np.uint8)
    table[0, 0] = 255
    data = [c.tobytes() if packed else words(c.tolist()) for c in table]
    indices = np.arange(count, dtype=np.uint8).reshape(2, -1)
    frame = decoded_frames(palette_file(tmp_path / "a.dcm", indices, [count, 0, 8], data))[0]
    expected = table.T.reshape(2, -1, 3)
    np.testing.assert_array_equal(normalize(frame, ImageOptions()).pixels, expected)
    np.testing.assert_array_equal(normalize(frame, ImageOptions(depth=16)).pixels, expected * np.uint16(257))


def test_palette_of_65536_entries(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 300, 65_535]], np.uint16)
    data = [words(list(range(65_536)))] * 3
    frame = decoded_frames(palette_file(tmp_path / "a.dcm", indices, [0, 0, 16], data))[0]
    assert normalize(frame, ImageOptions(depth=16)).pixels[0, :, 0].tolist() == [0, 1, 300, 65_535]


def test_palette_of_signed_indices(tmp_path: Path) -> None:
    indices = np.array([[-3, -2, -1, 0]], np.int16)
    data = [words([100, 20_000, 65_535])] * 3
    frame = decoded_frames(palette_file(tmp_path / "a.dcm", indices, [3, -2, 16], data))[0]
    assert normalize(frame, ImageOptions(depth=16)).pixels[0, :, 1].tolist() == [100, 100, 20_000, 65_535]


def test_segmented_palette_of_16_bits(tmp_path: Path) -> None:
    """Two discrete entries, four on a line to 50,000, then both segments again."""
    segments = [0, 2, 10_000, 20_000, 1, 4, 50_000, 2, 2, 0, 0]
    once = [10_000, 20_000, 27_500, 35_000, 42_500, 50_000]
    indices = np.arange(12, dtype=np.uint8).reshape(1, 12)
    path = palette_file(tmp_path / "a.dcm", indices, [12, 0, 16], [words(segments)] * 3, segmented=True)
    drawn = normalize(decoded_frames(path)[0], ImageOptions(depth=16)).pixels
    assert drawn[0, :, 2].tolist() == once * 2


def test_segmented_palette_of_8_bits(tmp_path: Path) -> None:
    segments = bytes([0, 3, 250, 100, 0, 1, 4, 200, 0, 1, 7, 0])
    indices = np.arange(8, dtype=np.uint8).reshape(1, 8)
    path = palette_file(tmp_path / "a.dcm", indices, [8, 0, 8], [segments] * 3, segmented=True)
    drawn = normalize(decoded_frames(path)[0], ImageOptions()).pixels
    assert drawn[0, :, 0].tolist() == [250, 100, 0, 50, 100, 150, 200, 7]


@pytest.mark.parametrize(
    ("descriptor", "data", "names"),
    [
        ([4, 0], words([1, 2, 3, 4]), "Red Palette Color Lookup Table Descriptor (0028,1101)"),
        ([4, 0, 0], words([1, 2, 3, 4]), "Red Palette Color Lookup Table Descriptor (0028,1101)"),
        ([4, 0, 17], words([1, 2, 3, 4]), "Red Palette Color Lookup Table Descriptor (0028,1101)"),
        ([4, 0, 16], b"", "Red Palette Color Lookup Table Data (0028,1201)"),
    ],
)
def test_broken_palettes_are_named(tmp_path: Path, descriptor: list[int], data: bytes, names: str) -> None:
    path = palette_file(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), descriptor, [data] * 3)
    with pytest.raises(InputError) as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER
    assert names in caught.value.detail


@pytest.mark.parametrize("color", ["Red", "Green", "Blue"])
def test_every_channel_of_a_palette_must_be_there(tmp_path: Path, color: str) -> None:
    absent = {f"{color}PaletteColorLookupTableDescriptor": None}
    path = palette_file(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), [4, 0, 16], [words([1, 2, 3, 4])] * 3, **absent)
    with pytest.raises(InputError, match=rf"{color} Palette Color Lookup Table Descriptor \(0028,110.\)") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER


@pytest.mark.parametrize("segments", [[0], [0, 9, 1], [1, 4], [7, 1, 1], [2, 1, 0, 0]])
def test_broken_segments_are_named(tmp_path: Path, segments: list[int]) -> None:
    path = palette_file(
        tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), [16, 0, 16], [words(segments)] * 3, segmented=True
    )
    with pytest.raises(InputError, match=r"Segmented Red Palette Color Lookup Table Data \(0028,1221\)") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER


# Headers that are wrong

COLOR = {"pixels": np.zeros((4, 4, 3), np.uint8), "color": True}


@pytest.mark.parametrize(
    ("attributes", "code", "names"),
    [
        ({"Rows": None}, "corrupt_header", "Rows (0028,0010) is missing"),
        ({"Rows": 0}, "corrupt_header", "Rows (0028,0010) is 0"),
        ({"Columns": None}, "corrupt_header", "Columns (0028,0011) is missing"),
        ({"BitsAllocated": None}, "corrupt_header", "Bits Allocated (0028,0100) is missing"),
        ({"BitsAllocated": 65}, "unsupported_pixels", "Bits Allocated (0028,0100) 65"),
        ({"BitsAllocated": 24, "BitsStored": 24}, "truncated", "pixel data truncated: 6,144 of 9,216 bytes"),
        ({"SamplesPerPixel": 2}, "unsupported_pixels", "Samples per Pixel (0028,0002) 2"),
        ({"SamplesPerPixel": 4, "PhotometricInterpretation": "CMYK"}, "unsupported_pixels", "(0028,0002) 4 with CMYK"),
        ({"SamplesPerPixel": 4, "PhotometricInterpretation": "ARGB"}, "unsupported_pixels", "(0028,0002) 4 with ARGB"),
        ({"SamplesPerPixel": 3}, "unsupported_pixels", "Samples per Pixel (0028,0002) 3 with MONOCHROME2"),
        ({"NumberOfFrames": -2}, "corrupt_header", "Number of Frames (0028,0008) is -2"),
        ({"NumberOfFrames": 10**9}, "limit_exceeded", "Number of Frames (0028,0008) is 1,000,000,000"),
        ({"SamplesPerPixel": 4, "PhotometricInterpretation": "RGB"}, "unsupported_pixels", "(0028,0002) 4 with RGB"),
        ({"PhotometricInterpretation": "RGB"}, "unsupported_pixels", "(0028,0002) 1 with RGB"),
        ({"PhotometricInterpretation": "HSV"}, "unsupported_pixels", "HSV"),
        ({**COLOR, "PhotometricInterpretation": "HSV"}, "unsupported_pixels", "(0028,0004) HSV is unknown"),
        ({**COLOR, "PhotometricInterpretation": "MONOCHROME2"}, "unsupported_pixels", "(0028,0002) 3 with MONOCHROME2"),
    ],
)  # fmt: skip
def test_wrong_headers_are_named(tmp_path: Path, attributes: dict[str, Any], code: str, names: str) -> None:
    path = make_dicom(tmp_path / "a.dcm", **attributes)
    with pytest.raises(InputError) as caught:
        [normalize(frame, ImageOptions()) for frame in decoded_frames(path)]
    assert (caught.value.code, names in caught.value.detail) == (code, True), caught.value.detail


@pytest.mark.parametrize(
    ("element", "names"),
    [
        (b"\x28\x00\x08\x00IS\x02\x001A", "Number of Frames (0028,0008) is malformed"),
        (b"\x28\x00\x10\x00US\x01\x00\x05", "Rows (0028,0010)"),
        (b"\x28\x00\x10\x00FL\x04\x00\x00\x00\x80\x7f", "Rows (0028,0010) is malformed"),  # infinity
        (b"\x28\x00\x10\x00DS\x06\x001e999 ", "Rows (0028,0010) is malformed"),
        (b"\x28\x00\x08\x00IS\x02\x00-2", "Number of Frames (0028,0008) is -2"),
    ],
)
def test_malformed_values_are_named(tmp_path: Path, element: bytes, names: str) -> None:
    path = make_dicom(tmp_path / "a.dcm", RescaleSlope=1, WindowWidth=100)
    insert(path, element)
    with pytest.raises(InputError) as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER
    assert names in caught.value.detail


@pytest.mark.parametrize(
    ("element", "said"),
    [
        (b"\x28\x00\x52\x10DS\x04\x00abc ", "Rescale Intercept (0028,1052) is malformed"),
        (b"\x28\x00\x53\x10DS\x02\x00HU", "Rescale Slope (0028,1053) is malformed"),
        (b"\x28\x00\x53\x10DS\x04\x00NaN ", "Rescale Slope (0028,1053) is not a finite number"),
    ],
)
def test_a_malformed_rescale_costs_the_window_but_not_the_image(tmp_path: Path, element: bytes, said: str) -> None:
    """The stored values are in unknown units then, which no window of the file's fits."""
    window = {"WindowCenter": 40, "WindowWidth": 400}
    path = make_dicom(tmp_path / "a.dcm", **window)
    insert(path, element)
    (frame,) = decoded_frames(path)
    (bare,) = decoded_frames(make_dicom(tmp_path / "b.dcm"))
    np.testing.assert_array_equal(frame.pixels, gradient())
    assert isinstance(bare.grayscale[0].voi, ValueRange)
    assert frame.grayscale == bare.grayscale
    (note,) = frame.notes
    assert note.startswith(said)
    assert note.endswith("stored values are drawn as they are, without the file's window")


@pytest.mark.parametrize("text", [b"AUTO", b"40;5", b"1,2,3 ", b"4 5 ", b"40,5\\AUTO "])
def test_a_window_that_is_no_number_is_not_used_and_noted(tmp_path: Path, text: bytes) -> None:
    path = make_dicom(tmp_path / "a.dcm", WindowWidth=400)
    insert(path, b"\x28\x00\x50\x10DS" + struct.pack("<H", len(text)) + text)
    (frame,) = decoded_frames(path)
    assert isinstance(frame.grayscale[0].voi, ValueRange)
    (note,) = frame.notes
    assert note.startswith("Window Center (0028,1050) is malformed")
    assert note.endswith("window ignored")


def pack_bits(values: NDArray[np.uint32], bits: int) -> bytes:
    """Samples one after another without regard to bytes, the lowest bit first (PS3.5 8.1.1)."""
    whole = sum(int(value) << bits * number for number, value in enumerate(values.ravel()))
    return whole.to_bytes((values.size * bits + 15) // 16 * 2, "little")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [12, 24])
def test_samples_that_fill_no_word_are_unpacked(tmp_path: Path, bits: int, signed: bool) -> None:
    """The second of the frames of 5 × 7 samples of 12 bits begins in the middle of a byte."""
    values = np.random.default_rng(bits).integers(0, 2**bits, (2, 5, 7)).astype(np.uint32)
    values[:, 0, :2] = 0, 2**bits - 1
    attributes = {"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    path = make_dicom(tmp_path / "a.dcm", values, PixelData=pack_bits(values, bits), **attributes)
    expected = values.astype(np.int64) - signed * (values >= 2 ** (bits - 1)) * 2**bits
    for frame, wanted in zip(decoded_frames(path), expected, strict=True):
        np.testing.assert_array_equal(frame.pixels, wanted)
        assert (frame.bits_stored, frame.notes) == (bits, ())


@pytest.mark.parametrize("stored", [17, 32])
def test_no_more_bits_are_stored_than_allocated(tmp_path: Path, stored: int) -> None:
    (frame,) = decoded_frames(make_dicom(tmp_path / "a.dcm", BitsStored=stored, HighBit=stored - 1))
    np.testing.assert_array_equal(frame.pixels, gradient())
    assert frame.bits_stored == 16
    assert frame.notes == (f"Bits Stored (0028,0101) {stored} is more than Bits Allocated (0028,0100); treated as 16",)


def test_labels_are_name_and_tag() -> None:
    assert label("WindowCenter") == "Window Center (0028,1050)"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_file_cut_within_its_header_is_truncated(tmp_path: Path, syntax: str) -> None:
    """It must not pass for a valid file that holds no image."""
    path = make_dicom(tmp_path / "a.dcm", transfer_syntax=syntax, WindowCenter=40, WindowWidth=80)
    content = path.read_bytes()
    pixels = content.index(b"\x7f\xe0\x00\x10" if syntax == ExplicitVRBigEndian else b"\xe0\x7f\x10\x00")
    middle = content.index(b"Name^P1") + 3  # within a value
    for cut in (middle, pixels + 6):
        path.write_bytes(content[:cut])
        with pytest.raises(InputError) as caught, opened_image(path):
            pass
        assert caught.value.code in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT_HEADER), cut


@pytest.mark.parametrize("length", [0x7FFF, 0xFFFE])
def test_an_element_that_reaches_past_the_end_of_the_file_is_no_file_without_an_image(
    tmp_path: Path, length: int
) -> None:
    path = make_dicom(tmp_path / "a.dcm")
    content = path.read_bytes()
    assert content.count(b"PN\x08\0Name^P1 ") == 1
    path.write_bytes(content.replace(b"PN\x08\0Name^P1 ", b"PN" + struct.pack("<H", length) + b"Name^P1 "))
    with pytest.raises(InputError) as caught, opened_image(path):
        pass
    assert caught.value.code in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT_HEADER)


@pytest.mark.parametrize("cut", [1, 100, 5000, 6143, 6144])
def test_a_file_cut_within_its_pixels_is_truncated(tmp_path: Path, cut: int) -> None:
    path = make_dicom(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=rf"{6144 - cut:,} of 6,144 bytes") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.TRUNCATED


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PixelData": None}, "no Pixel Data (7FE0,0010)"),
        ({"PixelData": b""}, "Pixel Data (7FE0,0010) is empty"),
        ({"PixelData": None, "PixelDataProviderURL": "http://example.org"}, "only Pixel Data Provider URL"),
    ],
)
def test_files_without_an_image_say_why(tmp_path: Path, attributes: dict[str, Any], reason: str) -> None:
    path = make_dicom(tmp_path / "a.dcm", **attributes)
    with pytest.raises(InputError) as caught, opened_image(path):
        pass
    assert caught.value.code == ErrorCode.NO_PIXEL_DATA
    assert reason in caught.value.detail


def mislabeled_as_jpeg(path: Path, **attributes: Any) -> Path:
    """A file of native pixels that says it were compressed."""
    meta, dataset = split_file(make_dicom(path, **attributes))
    path.write_bytes(bytes(128) + b"DICM" + set_syntax(meta, JPEGBaseline8Bit) + dataset)
    return path


@pytest.mark.parametrize("frames", [None, 3])
def test_native_pixels_under_a_compressed_syntax_are_drawn(tmp_path: Path, frames: int | None) -> None:
    pixels = gradient(7, 5).astype(np.uint8) if frames is None else PIXELS  # the former with a byte of padding
    for frame, expected in zip(
        decoded_frames(mislabeled_as_jpeg(tmp_path / "a.dcm", pixels=pixels)),
        pixels.reshape(-1, *pixels.shape[-2:]),
        strict=True,
    ):
        np.testing.assert_array_equal(frame.pixels, expected)
        assert frame.notes == (
            f"Transfer Syntax UID (0002,0010) is {name_syntax(JPEGBaseline8Bit)}, but the pixels are not compressed",
        )


@pytest.mark.parametrize("surplus", [-2, 2, 6144])
def test_compressed_pixels_without_fragments_are_refused(tmp_path: Path, surplus: int) -> None:
    content = (gradient().tobytes() * 2)[: gradient().nbytes + surplus]
    path = mislabeled_as_jpeg(tmp_path / "a.dcm", PixelData=content)
    with pytest.raises(InputError, match=r"Pixel Data \(7FE0,0010\) is not encapsulated") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.CORRUPT_PIXELS


# What is too large, too deep, or cut


def test_a_deflated_bomb_is_not_inflated(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", transfer_syntax=DeflatedExplicitVRLittleEndian)
    meta, deflated = split_file(path)
    dataset = zlib.decompress(deflated, wbits=-15)
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(dataset) + compressor.compress(bytes(2**25)) + compressor.flush()
    path.write_bytes(bytes(128) + b"DICM" + meta + bomb)
    assert len(bomb) < 2**16
    with (
        pytest.raises(InputError, match="inflates to more than 262,144 bytes") as caught,
        opened_header(path, max_bytes=2**20),
    ):
        pass
    assert caught.value.code == ErrorCode.LIMIT_EXCEEDED


def test_a_cut_deflated_file_is_truncated(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", transfer_syntax=DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    with pytest.raises(InputError, match="deflated data set truncated after") as caught:
        decoded_frames(path)
    assert caught.value.code == ErrorCode.TRUNCATED


@pytest.mark.parametrize("size", [{"Rows": 65_535, "Columns": 65_535}, {"Rows": 30_000, "Columns": 30_000}])
def test_a_frame_that_does_not_fit_is_not_decoded(tmp_path: Path, size: dict[str, int]) -> None:
    path = make_dicom(tmp_path / "a.dcm", **size)
    with LocalSource.at(path).open() as file, pytest.raises(InputError) as caught:
        decode(file, max_bytes=2**31)
    assert caught.value.code == ErrorCode.CORRUPT_HEADER  # more memory would not help a file of a few kilobytes
    assert caught.value.detail.startswith("Rows (0028,0010) and Columns (0028,0011) imply ")
    assert f"{size['Rows']}×{size['Columns']}" in caught.value.detail


@pytest.mark.parametrize("depth", [100, 5000])
def test_deep_nesting_ends_in_an_image_or_an_input_error(tmp_path: Path, depth: int) -> None:
    path = make_dicom(tmp_path / "a.dcm")
    undefined = b"\xff\xff\xff\xff"
    opening = b"\x28\x00\x00\x30SQ\0\0" + undefined + b"\xfe\xff\x00\xe0" + undefined
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    insert(path, opening * depth + closing * depth)
    try:
        frames = decoded_frames(path)
    except InputError as error:
        assert error.code == ErrorCode.CORRUPT_HEADER
    else:
        np.testing.assert_array_equal(frames[0].pixels, gradient())


def test_the_header_tells_who_and_what_it_is(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", PIXELS, patient_id=" p 7 ", IssuerOfPatientID="Ward", InstanceNumber=None)
    with opened_image(path) as image:
        assert image.patient == PatientIdentity("p 7", "Ward")
        assert image.frame_count == 3
        assert image.instance.modality == "CT"
        assert image.instance.transfer_syntax == ExplicitVRLittleEndian
        assert image.instance.instance_number is None
    insert(path, b"\x20\x00\x13\x00IS\x02\x00x ")
    with opened_image(path) as image:
        assert image.instance.instance_number is None


# Headers and values that are read without pydicom


@pytest.mark.parametrize("path", sorted(REFERENCE))
def test_a_scanned_header_is_that_of_pydicom(path: str) -> None:
    content = (FOLDER / path).read_bytes()
    encoding = sniff(content[:HEAD_BYTES])
    scanned = None if encoding is None or encoding.deflated else scan_dataset(content, encoding, encoding.offset)
    if encoding is None or scanned is None:
        return
    stream = BytesIO(content)
    stream.seek(encoding.offset)
    expected = read_dataset(
        stream,
        encoding.implicit,
        not encoding.big_endian,
        stop_when=lambda tag, *_: int(tag) in PIXEL_KEYWORDS,
        specific_tags=list(wanted_tags()),
    )
    elements, position = scanned
    dataset = to_dataset(elements, encoding)
    assert position == stream.tell()
    assert list(dataset.keys()) == list(expected.keys())
    for tag in expected.keys():  # noqa: SIM118  (elements stay as they are)
        assert dataset.get_item(tag) == expected.get_item(tag)


@pytest.mark.parametrize("character_set", [b"ISO_IR\0 100", b"\0\0", b"\xff\xfe", b"ISO 2022 IR 87\\\\x"])
def test_a_damaged_character_set_does_not_cost_the_image(tmp_path: Path, character_set: bytes) -> None:
    path = make_dicom(tmp_path / "a.dcm", SpecificCharacterSet="ISO_IR 100")
    content = path.read_bytes()
    assert content.count(b"ISO_IR 100") == 1
    path.write_bytes(content.replace(b"ISO_IR 100", character_set.ljust(10)[:10]))
    assert len(process_dicom(path)) == 1


def test_most_headers_are_scanned() -> None:
    encodings = {path: sniff((FOLDER / path).read_bytes()[:HEAD_BYTES]) for path in REFERENCE}
    plain = {path: encoding for path, encoding in encodings.items() if encoding and not encoding.deflated}
    scanned = [path for path, e in plain.items() if scan_dataset((FOLDER / path).read_bytes(), e, e.offset)]
    with_pixels = [path for path, row in REFERENCE.items() if row.has_images]
    assert len(set(scanned) & set(with_pixels)) > 0.8 * len(with_pixels)


@pytest.mark.parametrize("path", [path for path, row in REFERENCE.items() if row.status != "failed"])
def test_values_are_those_of_pydicom(path: str) -> None:
    """Read without pydicom or with it, before or after it has converted them."""

    def read(attributes: Attributes, keyword: str) -> list[Any]:
        found: list[Any] = []
        for method in (Attributes.integers, Attributes.numbers, Attributes.text, Attributes.content):
            try:
                found.append(method(attributes, keyword))
            except InputError as error:
                found.append(error.code)
        return found

    with opened_header(FOLDER / path) as header:
        raw = {keyword: read(header.attributes, keyword) for keyword in WANTED}
        dataset = header.attributes.dataset
        for _ in dataset:
            pass
        converted = Attributes.of(dataset)
        assert raw == {keyword: read(converted, keyword) for keyword in WANTED}


@pytest.mark.parametrize(
    ("vr", "content", "value"),
    [
        ("DS", b"1.5\\ 2e3 \\\\-3 ", [1.5, 2000, -3]),
        ("IS", b" 12\\-7 ", [12, -7]),
        ("US", b"\1\0\0\x80", [1, 32768]),
        ("SS", b"\1\0\0\x80", [1, -32768]),
        ("FD", struct.pack("<d", 0.1), [0.1]),
        ("DS", b"", []),
        ("DS", b"1,5 ", None),
        ("US", b"\1\0\0", None),
        ("UN", b"12", [12]),
        ("OB", b"12", None),
    ],
)
def test_plain_values(vr: str, content: bytes, value: list[float] | None) -> None:
    element = RawDataElement(Tag(0x00281050), vr, len(content), content, 0, False, True)
    assert read_raw_values(element, float) == (value if value is None else tuple(value))


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"ABC \0", ["ABC"]), (b"\\B ", ["B"]), (b"M\xfcller", None), (b"\x1b$B", None), (b"  ", [])],
)
def test_plain_texts(content: bytes, value: list[str] | None) -> None:
    element = RawDataElement(Tag(0x00100020), "LO", len(content), content, 0, False, True)
    assert read_raw_values(element, str) == (value if value is None else tuple(value))


def test_a_frame_that_needs_more_memory_says_how_much(tmp_path: Path) -> None:
    """As much as it says is enough, and a megabyte less is not; other limits do not speak of memory."""
    path = make_dicom(tmp_path / "Große Aufnahme.dcm", np.zeros((600, 700), np.uint16))
    with LocalSource.at(path).open() as file, pytest.raises(InputError) as caught:
        decode(file, max_bytes=2**20)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
    needed = int(re.search(r"--max-memory (\d+) ", caught.value.detail)[1])  # type: ignore[index]
    with LocalSource.at(path).open() as file:
        decode(file, max_bytes=needed * 2**20)
    with LocalSource.at(path).open() as file, pytest.raises(InputError):
        decode(file, max_bytes=(needed - 1) * 2**20)
    assert ErrorCode.LIMIT_EXCEEDED.remedy is None
