"""What writers get wrong is mended, and noted."""

import struct
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicomprep.config import ImageOptions
from dicomprep.dicom.header import name_syntax
from dicomprep.errors import InputError
from dicomprep.models import Frame
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.intensity import Rescale, ValueRange, Window
from tests.building import make_dicom
from tests.dicom.test_header import insert, item, words
from tests.pixels.test_codecs import UID, Pixels, as_bits, htj2k, jpeg, jpeg2000, jpeg_lossless, jpeg_ls, picture, rle
from tests.reading import decoded_frames, opened_image

Encode = Callable[[Pixels, int], bytes]
GRAY, SIGNED, BYTES, COLOR = picture("u2", 12), picture("i2", 12), picture("u1", 8), picture("u1", 8, color=True)
MOVIE = [np.roll(BYTES, 7 * number, 0) for number in range(4)]
UNENDING = 0xFFFFFFFF
END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def made(folder: Path, pixels: Pixels, stream: bytes | None = None, *, name: str = "a", **options: Any) -> Path:
    """A file of one of these pictures, encapsulated where there is a codestream."""
    kind = {"BitsStored": 12, "HighBit": 11} if pixels.dtype.itemsize == 2 else {"color": pixels.shape[-1] == 3}
    codestreams = None if stream is None else [stream]
    return make_dicom(folder / f"{name}.dcm", pixels, codestreams=codestreams, **kind | options)


def bare(folder: Path, pixels: Pixels, **options: Any) -> Path:
    """A file that describes a picture and does not hold it."""
    return made(folder, pixels, PixelData=None, **options)


def with_element(path: Path, content: bytes, *, vr: str = "OB", length: int = UNENDING, implicit: bool = False) -> Path:
    """A file that was made without pixel data, and now ends with these."""
    form = b"" if implicit else vr.encode() + b"\0\0"
    path.write_bytes(path.read_bytes() + b"\xe0\x7f\x10\x00" + form + struct.pack("<I", length) + content)
    return path


def only_frame(path: Path, *notes: str) -> Frame:
    """The frame of a file of which exactly this is noted."""
    (frame,) = decoded_frames(path)
    assert frame.notes == notes
    return frame


def drawn(frame: Frame, *, depth: int = 8) -> Pixels:
    return normalize(frame, ImageOptions(depth=depth)).pixels


def assert_near(found: Pixels, expected: Pixels, tolerance: float = 0) -> None:
    np.testing.assert_allclose(found.astype(int), expected.astype(int), rtol=0, atol=tolerance)


def even(content: bytes) -> bytes:
    return content + b"\0" * (len(content) % 2)


def fragments(*values: bytes, starts: list[int] | None = None, end: bytes = END) -> bytes:
    table = struct.pack(f"<{len(starts or [])}I", *starts or [])
    return item(table) + b"".join(item(even(value)) for value in values) + end


def element(number: int, vr: str, value: bytes) -> bytes:
    """An element of group 0028, Explicit VR Little Endian."""
    length = struct.pack("<H", len(value)) if vr in ("US", "SS", "DS", "IS") else struct.pack("<2xI", len(value))
    return struct.pack("<2H", 0x28, number) + vr.encode() + length + value


def decimal(number: int, text: str) -> bytes:
    return element(number, "DS", (text + " " * (len(text) % 2)).encode())


def understood(stated: str | None, term: str) -> list[str]:
    """What is noted of a photometric interpretation that is not quite its defined term."""
    said = "is treated as" if stated else "is missing; treated as"
    return [] if stated == term else [f"Photometric Interpretation (0028,0004) {said} {term}"]


# Codestreams


def rle_stream(*, first: int = 64, gap: int = 0, padding: int = 0) -> bytes:
    """GRAY in RLE: its first segment at byte `first`, and `gap` bytes before the second."""
    planes = (np.ascontiguousarray(plane) for plane in (GRAY >> 8, GRAY & 255))
    high, low = (even(bytes(imagecodecs.packbits_encode(plane.astype(np.uint8)))) for plane in planes)
    header = struct.pack("<16I", 2, first, first + len(high) + gap, *[0] * 13)
    return header.ljust(first, b"\0") + high + bytes(gap) + low + bytes(padding)


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        pytest.param(RLELossless, rle_stream(), id="RLE as it should be"),
        pytest.param(RLELossless, rle_stream(padding=500), id="RLE with padding"),
        pytest.param(RLELossless, rle_stream(gap=32), id="RLE with a gap"),
        pytest.param(RLELossless, rle_stream(first=80), id="RLE from byte 80"),
        pytest.param(JPEG2000Lossless, jpeg2000(GRAY, 12) + bytes(100), id="JPEG 2000 and zeros"),
        pytest.param(JPEG2000Lossless, jpeg2000(GRAY, 12) + b"\xff" * 64, id="JPEG 2000 and FF"),
        pytest.param(JPEG2000Lossless, jpeg2000(GRAY, 12) + b"trailing", id="JPEG 2000 and text"),
        pytest.param(JPEG2000Lossless, jpeg2000(GRAY, 12)[:-2], id="JPEG 2000 without its end"),
        pytest.param(HTJ2K, htj2k(GRAY, 12)[:-2], id="HTJ2K without its end"),
        pytest.param(JPEGLosslessSV1, jpeg_lossless(GRAY, 12) + bytes(64), id="JPEG Lossless and zeros"),
        pytest.param(JPEGLSLossless, jpeg_ls(GRAY, 12) + bytes(64), id="JPEG-LS and zeros"),
    ],
)
def test_what_surrounds_a_codestream_is_passed_over(tmp_path: Path, syntax: str, stream: bytes) -> None:
    assert_near(only_frame(made(tmp_path, GRAY, stream, transfer_syntax=syntax)).pixels, GRAY)


@pytest.mark.parametrize("label", ["YBR_FULL", "RGB"])
@pytest.mark.parametrize("space", [16, 17, 18])
def test_the_color_space_of_a_jp2_file_does_not_count(tmp_path: Path, space: int, label: str) -> None:
    """16 is sRGB, 17 gray, 18 sYCC (T.800 table I.10); the header's word counts (PS3.5 A.4.4)."""
    boxed = imagecodecs.jpeg2k_encode(COLOR, reversible=True, codecformat="jp2", mct=False)
    at = boxed.index(b"colr") + 7
    stream = boxed[:at] + struct.pack(">I", space) + boxed[at + 4 :]
    frame = only_frame(made(tmp_path, COLOR, stream, transfer_syntax=JPEG2000Lossless, PhotometricInterpretation=label))
    assert_near(frame.pixels, COLOR)
    assert frame.photometric_interpretation == label


@pytest.mark.parametrize(
    ("stated", "pixels", "encode", "found"),
    [
        (JPEG2000Lossless, BYTES, jpeg, f"{UID}.4.50"),
        (JPEGBaseline8Bit, BYTES, jpeg2000, f"{UID}.4.90"),
        (JPEGBaseline8Bit, GRAY, jpeg_lossless, f"{UID}.4.57"),
        (JPEGBaseline8Bit, COLOR, jpeg_lossless, f"{UID}.4.57"),
        (JPEGLosslessSV1, BYTES, jpeg_ls, f"{UID}.4.80"),
        (RLELossless, BYTES, jpeg, f"{UID}.4.50"),
        (JPEGLSLossless, GRAY, rle, f"{UID}.5"),
        (HTJ2K, GRAY, jpeg2000, None),
        (JPEG2000Lossless, GRAY, htj2k, None),
    ],
)
def test_codestreams_are_decoded_as_what_they_are(
    tmp_path: Path, stated: str, pixels: Pixels, encode: Encode, found: str | None
) -> None:
    """JPEG 2000 and HTJ2K have one decoder, which needs no note."""
    stream = encode(pixels, 12 if pixels is GRAY else 8)
    note = f"codestream is not of the stated transfer syntax; its markers say {found}"
    frame = only_frame(made(tmp_path, pixels, stream, transfer_syntax=stated), *([note] if found else []))
    assert_near(frame.pixels, pixels, 6 if encode is jpeg else 0)


@pytest.mark.parametrize(
    ("syntax", "encode"), [(JPEGLosslessSV1, jpeg_lossless), (JPEGLSLossless, jpeg_ls), (JPEG2000Lossless, jpeg2000)]
)
@pytest.mark.parametrize("high_bits", ["zero", "sign"])
def test_samples_keep_their_sign_in_a_codestream_without_one(
    tmp_path: Path, syntax: str, encode: Encode, high_bits: str
) -> None:
    """Of its 16 bits, the upper four may repeat the sign of the twelve that are stored, or not."""
    stored = SIGNED.view("u2") if high_bits == "sign" else as_bits(SIGNED, 12)
    path = made(tmp_path, SIGNED, encode(stored, 16), transfer_syntax=syntax)
    frame = only_frame(path)
    assert_near(frame.pixels, SIGNED)
    assert frame.bits_stored == 12


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_lossy_htj2k_saturates(tmp_path: Path, dtype: str) -> None:
    """Quantization leads beyond the range; what wrapped around would be black specks in white."""
    white = int(np.iinfo(dtype).max)
    pixels = np.where(np.random.default_rng(0).random((64, 64)) > 0.5, white, 0).astype(dtype)
    stream = imagecodecs.htj2k_encode(pixels, reversible=False, level=0.02)
    wrapped = np.abs(imagecodecs.htj2k_decode(stream).astype(int) - pixels) > white // 2
    assert wrapped.any()
    frame = only_frame(make_dicom(tmp_path / "a.dcm", pixels, transfer_syntax=HTJ2K, codestreams=[stream]))
    assert_near(frame.pixels, imagecodecs.jpeg2k_decode(stream))
    assert_near(frame.pixels[wrapped], pixels[wrapped], white // 8)


# Fragments, lengths and numbers of frames

SEVERAL_FRAMES = "Number of Frames (0028,0008) is {}, but 4 frames are present"


@pytest.mark.parametrize("stated", [None, 1, 2])
@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize(("syntax", "encode"), [(JPEGBaseline8Bit, jpeg), (RLELossless, rle), (HTJ2K, htj2k)])
def test_frames_beyond_the_stated_number_are_drawn(
    tmp_path: Path, syntax: str, encode: Encode, has_table: bool, stated: int | None
) -> None:
    streams = [even(encode(pixels, 8)) for pixels in MOVIE]
    starts = list(accumulate((len(stream) + 8 for stream in streams[:-1]), initial=0))
    path = bare(tmp_path, BYTES, transfer_syntax=syntax, NumberOfFrames=stated)
    frames = decoded_frames(with_element(path, fragments(*streams, starts=starts if has_table else None)))
    assert [frame.notes for frame in frames] == [(SEVERAL_FRAMES.format(stated or 1),)] * 4
    for frame, pixels in zip(frames, MOVIE, strict=True):
        assert_near(frame.pixels, pixels, 6 if encode is jpeg else 0)


@pytest.mark.parametrize(("stated", "has_table"), [(4, False), (4, True), (None, True)])
@pytest.mark.parametrize(("syntax", "encode"), [(JPEGBaseline8Bit, jpeg), (RLELossless, rle)])
def test_frames_of_several_fragments_are_put_together(
    tmp_path: Path, syntax: str, encode: Encode, has_table: bool, stated: int | None
) -> None:
    streams = [even(encode(pixels, 8)) for pixels in MOVIE]
    parts = [stream[at : at + 600] for stream in streams for at in range(0, len(stream), 600)]
    starts = list(accumulate((len(s) + 8 * -(-len(s) // 600) for s in streams[:-1]), initial=0))
    path = bare(tmp_path, BYTES, transfer_syntax=syntax, NumberOfFrames=stated)
    frames = decoded_frames(with_element(path, fragments(*parts, starts=starts if has_table else None)))
    told = "the basic offset table" if has_table else "codestream markers"
    note = f"{len(parts)} fragments, split into frames by {told}" if stated else SEVERAL_FRAMES.format(1)
    assert [frame.notes for frame in frames] == [(note,)] * 4
    for frame, pixels in zip(frames, MOVIE, strict=True):
        assert_near(frame.pixels, pixels, 6 if encode is jpeg else 0)


@pytest.mark.parametrize("stated", [None, 2])
def test_room_for_more_native_frames_is_noted_only(tmp_path: Path, stated: int | None) -> None:
    frames = decoded_frames(make_dicom(tmp_path / "a.dcm", np.stack(MOVIE), NumberOfFrames=stated))
    note = f"Pixel Data (7FE0,0010) holds 4 frames; Number of Frames (0028,0008) is {stated or 1}"
    assert [frame.notes for frame in frames] == [(note,)] * (stated or 1)
    for frame, pixels in zip(frames, MOVIE, strict=False):
        assert_near(frame.pixels, pixels)


@pytest.mark.parametrize("after", ["nothing", "delimiter", "delimiter and padding"])
@pytest.mark.parametrize(("syntax", "encode"), [(JPEG2000Lossless, jpeg2000), (RLELossless, rle)])
def test_fragments_may_have_an_explicit_length(tmp_path: Path, syntax: str, encode: Encode, after: str) -> None:
    """With or without a delimiter; an element of padding may follow."""
    content = fragments(encode(GRAY, 12), end=b"" if after == "nothing" else END)
    padding = b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<I", 10) + bytes(10) if "padding" in after else b""
    path = with_element(bare(tmp_path, GRAY, transfer_syntax=syntax), content + padding, length=len(content))
    assert_near(only_frame(path, "Pixel Data (7FE0,0010) is encapsulated; its explicit length is ignored").pixels, GRAY)


@pytest.mark.parametrize("zeros", [1, 8, 64, 500])
def test_zeros_may_stand_for_the_end_of_the_fragments(tmp_path: Path, zeros: int) -> None:
    path = bare(tmp_path, GRAY, transfer_syntax=JPEG2000Lossless)
    assert_near(only_frame(with_element(path, fragments(jpeg2000(GRAY, 12), end=bytes(zeros)))).pixels, GRAY)


def plain(pixels: Pixels, _bits: int) -> bytes:
    return pixels.tobytes()


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(
    ("encode", "found"),
    [(jpeg, f"{UID}.4.50"), (jpeg2000, f"{UID}.4.90"), (rle, f"{UID}.5"), (plain, f"{UID}.1.98")],
)
@pytest.mark.parametrize("frames", [1, 4])
def test_fragments_under_a_native_syntax_are_what_they_look_like(
    tmp_path: Path, frames: int, encode: Encode, found: str, implicit: bool
) -> None:
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    path = bare(tmp_path, BYTES, transfer_syntax=syntax, NumberOfFrames=frames)
    with_element(path, fragments(*(encode(pixels, 8) for pixels in MOVIE[:frames])), implicit=implicit)
    for frame, pixels in zip(decoded_frames(path), MOVIE[:frames], strict=True):
        assert_near(frame.pixels, pixels, 6 if encode is jpeg else 0)
        assert frame.notes == (f"transfer syntax detected from the codestream: {name_syntax(found)}",)


@pytest.mark.parametrize("vr", ["OB", "OW", "OL", "OV", "UN"])
def test_pixel_data_of_any_representation_are_drawn(tmp_path: Path, vr: str) -> None:
    path = with_element(bare(tmp_path, GRAY), GRAY.tobytes(), vr=vr, length=GRAY.nbytes)
    assert_near(only_frame(path).pixels, GRAY)


# Values that are no proper values


@pytest.mark.parametrize(
    ("center", "width"),
    [("40,5", "400,25"), ("40.5HU", "400.25 HU"), ("40,5\\7", "400,25\\9,5"), (" 40,5 ", "400,25%")],
)
def test_a_comma_and_a_unit_do_not_cost_the_window(tmp_path: Path, center: str, width: str) -> None:
    path = made(tmp_path, GRAY)
    insert(path, decimal(0x1050, center) + decimal(0x1051, width))
    (frame,) = decoded_frames(path)
    assert frame.grayscale[0].voi == Window(40.5, 400.25)
    taken = [note for note in frame.notes if note.startswith("Window") and " treated as 40" in note]
    assert taken == list(frame.notes)
    assert taken


@pytest.mark.parametrize(("intercept", "slope"), [("-1000HU", "2,0"), ("-1000,0", "2 HU"), ("-1000 HU ", "2.0")])
def test_a_comma_and_a_unit_do_not_cost_the_rescale(tmp_path: Path, intercept: str, slope: str) -> None:
    path = made(tmp_path, GRAY, WindowCenter=40, WindowWidth=400)
    insert(path, decimal(0x1052, intercept) + decimal(0x1053, slope))
    (frame,) = decoded_frames(path)
    assert (frame.grayscale[0].modality, frame.grayscale[0].voi) == (Rescale(2, -1000), Window(40, 400))
    assert frame.notes
    assert all(note.startswith("Rescale") and " treated as " in note for note in frame.notes)


@pytest.mark.parametrize("value", [element(0x0120, "US", b"\1"), element(0x0120, "DS", b"abc ")])
@pytest.mark.parametrize("keyword", ["Pixel Padding Value (0028,0120)", "Pixel Padding Range Limit (0028,0121)"])
def test_malformed_padding_is_none(tmp_path: Path, keyword: str, value: bytes) -> None:
    path = made(tmp_path, GRAY, WindowCenter=40, WindowWidth=400)
    before = element(0x0120, "US", b"\0\0") + element(0x0121, "", value)[:4] + value[4:]
    insert(path, value if "0120" in keyword else before)
    frame = only_frame(path, f"{keyword} is malformed; no padding assumed")
    assert_near(frame.pixels, GRAY)
    assert frame.grayscale[0].padding is None


@pytest.mark.parametrize(
    ("stated", "pixels", "term"),
    [
        ("monochrome2", GRAY, "MONOCHROME2"),
        ("MONOCHROME 2", GRAY, "MONOCHROME2"),
        ("Monochrome1", GRAY, "MONOCHROME1"),
        (None, GRAY, "MONOCHROME2"),
        ("rgb", COLOR, "RGB"),
        (None, COLOR, "RGB"),
        ("ybr full", COLOR, "YBR_FULL"),
        ("Ybr_Full", COLOR, "YBR_FULL"),
        ("YBR-FULL", COLOR, "YBR_FULL"),
    ],
)
def test_photometric_interpretations_are_understood(
    tmp_path: Path, stated: str | None, pixels: Pixels, term: str
) -> None:
    frame = only_frame(made(tmp_path, pixels, PhotometricInterpretation=stated), *understood(stated, term))
    proper = only_frame(made(tmp_path, pixels, name="b", PhotometricInterpretation=term))
    assert frame.photometric_interpretation == term
    assert_near(drawn(frame), drawn(proper))


def test_a_photometric_interpretation_of_nothing_but_punctuation_is_missing(tmp_path: Path) -> None:
    note = "Photometric Interpretation (0028,0004) is missing; treated as MONOCHROME2"
    assert (
        only_frame(made(tmp_path, GRAY, PhotometricInterpretation="_"), note).photometric_interpretation
        == "MONOCHROME2"
    )


def test_signed_colors_are_unsigned(tmp_path: Path) -> None:
    path = made(tmp_path, COLOR, PixelRepresentation=1)
    note = "Pixel Representation (0028,0103) is signed for a color image; treated as unsigned"
    assert_near(drawn(only_frame(path, note)), COLOR)


@pytest.mark.parametrize("columns", [51, 52])
@pytest.mark.parametrize("planar", [0, 1])
def test_full_size_chroma_is_not_taken_as_halved(tmp_path: Path, planar: int, columns: int) -> None:
    pixels = COLOR[:, :columns]
    content = even((np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes())
    options = {"PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": planar, "PixelData": content}
    note = "Photometric Interpretation (0028,0004) is YBR_FULL_422, but chroma is not subsampled"
    assert_near(only_frame(made(tmp_path, pixels, **options), note).pixels, pixels)


# Tables

RAMP = np.arange(256)
CHANNELS = RAMP, 255 - RAMP, RAMP * 3 % 256
LOOKED_UP = np.stack([channel[BYTES] for channel in CHANNELS], axis=-1).astype(np.uint8)


def palette(folder: Path, tables: list[tuple[int, int, Pixels]], *, vr: str = "OW", **options: Any) -> Path:
    """BYTES as indices; of each channel the first index, the bits of an entry, and the entries."""
    path = made(folder, BYTES, **{"PhotometricInterpretation": "PALETTE COLOR", **options})
    for number, (first, bits, entries) in enumerate(tables):
        insert(path, element(0x1101 + number, "US", struct.pack("<3H", len(entries), first, bits)))
        insert(path, element(0x1201 + number, vr, words(entries.tolist())))
    return path


@pytest.mark.parametrize("label", ["PALETTE COLOR", "PALETTE_COLOR", "palette color"])
@pytest.mark.parametrize("vr", ["OW", "US", "SS"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_palettes_of_any_depth_and_form(tmp_path: Path, bits: int, vr: str, label: str) -> None:
    tables = [(0, bits, channel * (2**bits - 1) // 255) for channel in CHANNELS]
    path = palette(tmp_path, tables, vr=vr, PhotometricInterpretation=label)
    assert_near(drawn(only_frame(path, *understood(label, "PALETTE COLOR"))), LOOKED_UP)


@pytest.mark.parametrize("stated", [12, 16])
def test_palette_entries_of_8_bits_may_be_called_more(tmp_path: Path, stated: int) -> None:
    path = palette(tmp_path, [(0, stated, channel) for channel in CHANNELS])
    assert_near(drawn(only_frame(path)), LOOKED_UP)


@pytest.mark.parametrize(
    "parts",
    [[(0, 256), (0, 256), (0, 255)], [(0, 256), (30, 200), (0, 256)], [(90, 166), (7, 100), (40, 9)]],
    ids=["shorter", "within", "apart"],
)
def test_channels_of_a_palette_may_differ_in_length_and_first_index(
    tmp_path: Path, parts: list[tuple[int, int]]
) -> None:
    """Each goes on with its own first and last entry (PS3.3 C.7.6.3.1.5)."""
    ranges = list(zip(parts, CHANNELS, strict=True))
    path = palette(tmp_path, [(first, 16, 257 * channel[first : first + count]) for (first, count), channel in ranges])
    expected = [channel[np.clip(BYTES, first, first + count - 1)] for (first, count), channel in ranges]
    assert_near(drawn(only_frame(path)), np.stack(expected, axis=-1))


INVERTING = 4095 - np.arange(4096)


def voi_lut(first: int, bits: int, data: bytes | list[int], *, vr: str = "OW") -> list[Dataset]:
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [4096, first, bits])
    table.add_new("LUTData", vr, data)
    return [table]


def inverted(values: Pixels) -> Pixels:
    return np.floor(INVERTING[values] / 4095 * 255 + 0.5)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("first", [-2048, 63488])
@pytest.mark.parametrize("rescaled", [True, False])
def test_a_table_may_begin_at_a_negative_value_written_unsigned(
    tmp_path: Path, rescaled: bool, first: int, syntax: str
) -> None:
    """Its data are words; in the big-endian file, a list of US."""
    pixels, intercept = (GRAY, -2048) if rescaled else (SIGNED, 0)
    entries = INVERTING.tolist()
    table = (
        voi_lut(first, 12, entries, vr="US") if syntax == ExplicitVRBigEndian else voi_lut(first, 12, words(entries))
    )
    options = {"RescaleIntercept": intercept, "RescaleSlope": 1, "VOILUTSequence": table}
    frame = only_frame(made(tmp_path, pixels, transfer_syntax=syntax, **options))
    assert_near(drawn(frame), inverted(GRAY if rescaled else SIGNED.astype(int) + 2048))


def test_a_table_of_unsigned_values_may_begin_at_a_great_one(tmp_path: Path) -> None:
    pixels = GRAY + np.uint16(61440)
    path = make_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=voi_lut(61440, 12, words(INVERTING.tolist())))
    assert_near(drawn(only_frame(path)), inverted(GRAY))


@pytest.mark.parametrize("vr", ["US", "OW", "OB"])
def test_table_entries_of_8_bits_may_be_packed_in_words(tmp_path: Path, vr: str) -> None:
    entries = (INVERTING // 16).astype(np.uint8)
    data = entries.view("<u2").tolist() if vr == "US" else entries.tobytes()
    frame = only_frame(made(tmp_path, GRAY, VOILUTSequence=voi_lut(0, 8, data, vr=vr)))
    assert_near(drawn(frame), entries[GRAY])


@pytest.mark.parametrize("empty", [{"WindowCenter": "", "WindowWidth": ""}, {"WindowCenter": None}], ids=str)
def test_an_empty_window_of_a_frame_leaves_it_to_the_shared_one(tmp_path: Path, empty: dict[str, Any]) -> None:
    macros = [[{"FrameVOILUTSequence": [w]}] for w in (empty, {"WindowCenter": 7, "WindowWidth": 70})]
    shared = {"FrameVOILUTSequence": [{"WindowCenter": 8, "WindowWidth": 80}]}
    groups = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": macros[0] + macros[1]}
    path = make_dicom(tmp_path / "a.dcm", np.stack([GRAY, GRAY]), WindowCenter=9, WindowWidth=90, **groups)
    assert [frame.grayscale[0].voi for frame in decoded_frames(path)] == [Window(8, 80), Window(7, 70)]


# What is drawn


@pytest.mark.parametrize("label", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_the_presentation_lut_shape_wins_over_monochrome1(tmp_path: Path, shape: str | None, label: str) -> None:
    """PS3.3 C.11.6: with IDENTITY, low values are black whatever the photometric interpretation."""
    path = made(tmp_path, BYTES, PhotometricInterpretation=label, PresentationLUTShape=shape)
    inverse = shape == "INVERSE" if shape else label == "MONOCHROME1"
    assert_near(drawn(only_frame(path)), 255 - BYTES if inverse else BYTES)


WIDE = imagecodecs.cms_profile("adobergb")


def test_the_profile_of_a_palette_image_is_that_of_its_colors(tmp_path: Path) -> None:
    indexed = palette(tmp_path, [(0, 8, channel) for channel in CHANNELS], ICCProfile=WIDE)
    full = made(tmp_path, LOOKED_UP, name="b", ICCProfile=WIDE)
    assert_near(drawn(only_frame(indexed)), drawn(only_frame(full)))
    assert np.abs(drawn(only_frame(indexed)).astype(int) - LOOKED_UP).max() > 20


@pytest.mark.parametrize("depth", [8, 16])
def test_a_profile_is_applied_to_colors_of_16_bits(tmp_path: Path, depth: int) -> None:
    files = {"deep": (COLOR * np.uint16(257), WIDE), "flat": (COLOR, WIDE), "bare": (COLOR, None)}
    pictures = {}
    for name, (pixels, profile) in files.items():
        path = make_dicom(tmp_path / f"{name}.dcm", pixels, color=True, ICCProfile=profile)
        pictures[name] = drawn(only_frame(path), depth=depth)
    step = 1 if depth == 8 else 257
    assert pictures["deep"].dtype == f"u{depth // 8}"
    assert_near(pictures["deep"], pictures["flat"], step)
    assert np.abs(pictures["deep"].astype(int) - pictures["bare"]).max() > 20 * step


@pytest.mark.parametrize(
    ("syntax", "encode"), [(JPEGBaseline8Bit, jpeg), (JPEG2000Lossless, jpeg2000), (JPEGLSLossless, jpeg_ls)]
)
def test_a_codestream_of_colors_is_drawn_in_color(tmp_path: Path, syntax: str, encode: Encode) -> None:
    """Whatever the header calls it; and one of a single component is gray."""
    path = made(tmp_path, BYTES, encode(COLOR, 8), transfer_syntax=syntax)
    (frame,) = decoded_frames(path)
    assert "codestream has 3" in frame.notes[0]
    assert frame.photometric_interpretation == "RGB"
    grayscale = made(tmp_path, COLOR, encode(BYTES, 8), transfer_syntax=syntax)
    (frame,) = decoded_frames(grayscale)
    assert "codestream has 1" in frame.notes[0]
    assert frame.grayscale
    assert_near(frame.pixels, BYTES, 6 if encode is jpeg else 0)


# What looks like a mistake and is none, and mistakes that come in company


def test_half_chroma_is_not_taken_for_full_where_frames_are_more_than_said(tmp_path: Path) -> None:
    quads = np.random.default_rng(0).integers(0, 256, (2, 37, 26, 4)).astype(np.uint8)
    expected = np.empty((37, 52, 3), np.uint8)
    expected[:, 0::2, 0], expected[:, 1::2, 0] = quads[0, ..., 0], quads[0, ..., 1]
    expected[:, 0::2, 1:] = expected[:, 1::2, 1:] = quads[0, ..., 2:]
    path = made(tmp_path, COLOR, PhotometricInterpretation="YBR_FULL_422", PixelData=quads.tobytes())
    np.testing.assert_array_equal(decoded_frames(path)[0].pixels, expected)


def test_a_table_may_begin_above_32767_where_values_get_so_high(tmp_path: Path) -> None:
    path = make_dicom(
        tmp_path / "a.dcm",
        GRAY + np.uint16(40_000),
        RescaleSlope=1,
        RescaleIntercept=-1000,
        VOILUTSequence=voi_lut(39_000, 12, words(INVERTING.tolist())),
    )
    assert_near(drawn(decoded_frames(path)[0]), inverted(GRAY), 1)


def test_a_modality_table_of_signed_pixels_may_begin_below_zero(tmp_path: Path) -> None:
    table = voi_lut(63_488, 12, words(INVERTING.tolist()))
    table[0].ModalityLUTType = "US"
    path = made(tmp_path, SIGNED, ModalityLUTSequence=table, WindowCenter=2048, WindowWidth=4096)
    assert_near(drawn(decoded_frames(path)[0]), inverted(SIGNED.astype(int) + 2048), 1)


def test_palette_channels_of_unequal_depth_are_each_scaled(tmp_path: Path) -> None:
    channels = [(0, 16, CHANNELS[0] * 257), (0, 16, CHANNELS[1] * 257), (0, 8, CHANNELS[2])]
    assert_near(drawn(decoded_frames(palette(tmp_path, channels))[0]), LOOKED_UP, 1)


def test_signed_colors_of_a_codestream_are_moved_up(tmp_path: Path) -> None:
    signed = (COLOR.astype(int) - 128).astype(np.int8)
    path = made(tmp_path, signed, jpeg2000(signed, 8), transfer_syntax=JPEG2000Lossless)
    (frame,) = decoded_frames(path)
    assert_near(drawn(frame), COLOR, 1)
    assert any("signed color samples" in note for note in frame.notes)


def test_native_pixels_may_have_a_delimiter_instead_of_a_length(tmp_path: Path) -> None:
    path = with_element(bare(tmp_path, GRAY), GRAY.tobytes() + END, vr="OW")
    assert_near(
        only_frame(path, "Pixel Data (7FE0,0010) is native; its length is computed").pixels,
        GRAY,
    )


def test_fragments_with_a_length_under_a_native_syntax_are_fragments(tmp_path: Path) -> None:
    content = fragments(jpeg2000(GRAY, 12)) + END
    path = with_element(bare(tmp_path, GRAY), content, length=len(content))
    assert_near(decoded_frames(path)[0].pixels, GRAY)


def test_packed_samples_in_big_endian_are_refused(tmp_path: Path) -> None:
    content = bytes(3 * GRAY.size)
    depth = {"BitsAllocated": 24, "BitsStored": 24, "HighBit": 23, "PixelData": content}
    path = make_dicom(tmp_path / "a.dcm", GRAY.astype(np.uint32), transfer_syntax=f"{UID}.2", **depth)
    with pytest.raises(InputError, match="packed samples of 24 bits in big endian are not supported"):
        decoded_frames(path)


def test_a_comma_before_three_digits_may_stand_for_thousands_and_is_no_number(tmp_path: Path) -> None:
    path = made(tmp_path, GRAY)
    insert(path, decimal(0x1050, "1,024") + decimal(0x1051, "2,048"))
    (frame,) = decoded_frames(path)
    assert isinstance(frame.grayscale[0].voi, ValueRange)
    assert "Window Center (0028,1050) is malformed" in frame.notes[0]


def test_frames_in_several_fragments_are_found_by_their_first_markers(tmp_path: Path) -> None:
    streams = [even(jpeg(frame, 8)) for frame in MOVIE]
    parts = [part for stream in streams for part in (stream[:600], stream[600:])]
    path = with_element(bare(tmp_path, BYTES, transfer_syntax=JPEGBaseline8Bit), fragments(*parts))
    frames = decoded_frames(path)
    assert len(frames) == len(MOVIE)
    assert frames[0].notes == (f"Number of Frames (0028,0008) is 1, but {len(MOVIE)} frames are present",)


def test_a_frame_is_not_torn_apart_where_a_fragment_begins_like_another_codec(tmp_path: Path) -> None:
    """FF 0A begins a JPEG XL codestream, and occurs in any other's data."""
    stream = even(jpeg2000(GRAY, 12))
    middle = bytes(stream[:400]), b"\xff\x0a" + stream[402:]
    path = with_element(bare(tmp_path, GRAY, transfer_syntax=JPEG2000Lossless), fragments(*middle))
    with opened_image(path) as image:
        assert image.frame_count == 1


def test_a_table_that_fits_is_believed_before_markers(tmp_path: Path) -> None:
    streams = [even(jpeg(frame, 8)) for frame in MOVIE]
    parts = [part for stream in streams for part in (stream[:600], stream[:4] + stream[604:])]
    starts = [0, *accumulate(len(part) + 8 for part in parts)][:-1:2]
    path = bare(tmp_path, BYTES, transfer_syntax=JPEGBaseline8Bit, NumberOfFrames=len(MOVIE))
    with opened_image(with_element(path, fragments(*parts, starts=starts))) as image:
        assert image.frame_count == len(MOVIE)


def test_deeper_codestreams_than_the_header_says_have_a_range_of_their_own(tmp_path: Path) -> None:
    shallow = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Modality": "CR"}
    path = made(tmp_path, GRAY, jpeg_ls(GRAY, 16), transfer_syntax=JPEGLSLossless, **shallow)
    (frame,) = decoded_frames(path)
    assert isinstance(frame.grayscale[0].voi, ValueRange)
    assert frame.grayscale[0].voi.high > 3000


def test_a_jp2_file_may_have_a_long_box_and_a_text_that_looks_like_one(tmp_path: Path) -> None:
    stream = jpeg2000(GRAY, 12)
    text = struct.pack(">I4s", 24, b"uuid") + b"jp2c\xff\x4f".ljust(16, b"x")
    long_box = struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream)) + stream
    signature = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
    path = made(tmp_path, GRAY, signature + text + long_box, transfer_syntax=JPEG2000Lossless)
    assert_near(only_frame(path).pixels, GRAY)


def test_a_table_of_several_frames_is_believed_where_their_number_is_missing(tmp_path: Path) -> None:
    streams = [GRAY.tobytes(), (GRAY + np.uint16(1)).tobytes()]
    parts = [part for stream in streams for part in (stream[:1000], stream[1000:])]
    starts = [0, 2 * 8 + len(streams[0])]
    path = with_element(bare(tmp_path, GRAY, transfer_syntax=f"{UID}.1.98"), fragments(*parts, starts=starts))
    first, second = decoded_frames(path)
    assert_near(first.pixels, GRAY)
    assert_near(second.pixels, (GRAY + np.uint16(1)) & 0xFFF)
    assert first.notes == ("Number of Frames (0028,0008) is 1, but 2 frames are present",)


def test_a_table_that_lists_the_fragments_of_one_frame_does_not_tear_it_apart(tmp_path: Path) -> None:
    stream = even(jpeg2000(GRAY, 12))
    parts = [stream[:400], stream[400:1000], stream[1000:]]
    starts = [0, *accumulate(len(part) + 8 for part in parts[:-1])]
    path = with_element(bare(tmp_path, GRAY, transfer_syntax=JPEG2000Lossless), fragments(*parts, starts=starts))
    assert_near(only_frame(path).pixels, GRAY)
