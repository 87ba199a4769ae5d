"""Codestreams to samples: what was encoded comes out; what is cut, damaged or of another size never does."""

import io
import json
import struct
import subprocess
import sys
import zlib
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import get_encoder

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import Detail
from dicomprep.pixels.codecs.markers import identify_syntax, read_jpegxl_shape
from dicomprep.pixels.codecs.registry import decode_codestream, is_supported
from dicomprep.pixels.stored import Layout
from tests.damaging import CUTS, DAMAGED, SAMPLES, sample
from tests.running import PROJECT

Pixels = NDArray[Any]
UID = "1.2.840.10008.1.2"
BROKEN = {ErrorCode.TRUNCATED, ErrorCode.CORRUPT_PIXELS}


def layout_of(pixels: Pixels, *, bits: int | None = None, photometric: str | None = None) -> Layout:
    samples = 3 if pixels.ndim == 3 else 1
    allocated = 1 if pixels.dtype.kind == "b" else 8 * pixels.dtype.itemsize
    stored = bits or allocated
    return Layout(
        *pixels.shape[:2], samples, allocated, stored, stored - 1, pixels.dtype.kind == "i",
        photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
    )  # fmt: skip


def picture(dtype: str, bits: int, *, color: bool = False, shape: tuple[int, int] = (37, 52)) -> Pixels:
    """A smooth picture with some noise and both ends of the range."""
    rows, columns = np.indices(shape)
    planes = [np.sin(rows / 9 + phase) * np.cos(columns / 7) for phase in (range(3) if color else range(1))]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype[0] == "i" else (0, 2**bits - 1)
    shades = (np.stack(planes, axis=-1) + 1.2) / 2.4
    noise = np.random.default_rng(bits).normal(0, 0.01, shades.shape)
    pixels = np.clip(low + (shades + noise) * (high - low), low, high).astype(dtype)
    pixels[0, :2] = low
    pixels[-1, -2:] = high
    return pixels if color else pixels[..., 0]


def as_bits(pixels: Pixels, bits: int) -> Pixels:
    """Two's complement in `bits` bits: what codecs without a sign are given."""
    return pixels.view(f"u{pixels.itemsize}") & (2**bits - 1) if pixels.dtype.kind == "i" else pixels


def jpeg(pixels: Pixels, bits: int) -> bytes:
    """RGB stays RGB."""
    color = {"colorspace": "RGB", "outcolorspace": "RGB", "subsampling": "444"} if pixels.ndim == 3 else {}
    return imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=bits if bits > 8 else None, **color)


def jpeg_lossless(pixels: Pixels, bits: int) -> bytes:
    if pixels.ndim == 3:
        return imagecodecs.jpeg8_encode(pixels, lossless=True)
    return imagecodecs.ljpeg_encode(as_bits(pixels, bits), bitspersample=bits)


def jpeg_ls(pixels: Pixels, bits: int) -> bytes:
    return imagecodecs.jpegls_encode(as_bits(pixels, bits))


def jpeg_ls_near(pixels: Pixels, bits: int) -> bytes:
    return imagecodecs.jpegls_encode(as_bits(pixels, bits), level=2)


def jpeg2000(pixels: Pixels, bits: int) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k", bitspersample=bits)


def jpeg2000_lossy(pixels: Pixels, bits: int) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, level=60, codecformat="j2k", bitspersample=bits)


def htj2k(pixels: Pixels, _bits: int) -> bytes:
    return imagecodecs.htj2k_encode(pixels, reversible=True)


def htj2k_lossy(pixels: Pixels, bits: int) -> bytes:
    return imagecodecs.htj2k_encode(pixels, reversible=False, level=2e-3)


def jpegxl_lossy(pixels: Pixels, _bits: int) -> bytes:
    return imagecodecs.jpegxl_encode(pixels, distance=1.0)


def jpegxl(pixels: Pixels, _bits: int) -> bytes:
    return imagecodecs.jpegxl_encode(pixels, lossless=True)


def jpegxl_of_jpeg(pixels: Pixels, bits: int) -> bytes:
    return imagecodecs.jpegxl_encode_jpeg(jpeg(pixels, bits))


def rle(pixels: Pixels, bits: int) -> bytes:
    layout = layout_of(pixels)
    return get_encoder(f"{UID}.5").encode(
        np.ascontiguousarray(pixels).tobytes(), encoding_plugin="pydicom", rows=layout.rows, columns=layout.columns,
        samples_per_pixel=layout.samples, number_of_frames=1, bits_allocated=layout.bits_allocated, bits_stored=bits,
        pixel_representation=int(layout.signed), photometric_interpretation=layout.photometric_interpretation,
        planar_configuration=0,
    )  # fmt: skip


def native(pixels: Pixels, _bits: int) -> bytes:
    return pixels.tobytes()


def deflated(pixels: Pixels, _bits: int) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(pixels.tobytes()) + compressor.flush()


class Case(NamedTuple):
    """How one transfer syntax is encoded, and how far what comes out may be off."""

    syntax: str
    encode: Callable[[Pixels, int], bytes]
    dtype: str
    bits: int
    color: bool = False
    tolerance: float = 0

    def __str__(self) -> str:
        kind = "rgb" if self.color else "gray"
        return f"{self.syntax.removeprefix(UID)}-{self.encode.__name__}-{kind}-{self.dtype}-{self.bits}"


GRAY_KINDS = [("u1", 8), ("u2", 16), ("u2", 12), ("i2", 16), ("i2", 12)]
CASES = [
    *(Case(f"{UID}.4.{process}", jpeg, "u1", 8, tolerance=6) for process in (50, 51, 53, 55)),
    Case(f"{UID}.4.50", jpeg, "u1", 8, color=True, tolerance=12),
    Case(f"{UID}.4.51", jpeg, "u2", 12, tolerance=40),
    *(Case(f"{UID}.4.{process}", jpeg_lossless, *kind) for process in (57, 70) for kind in GRAY_KINDS),
    Case(f"{UID}.4.70", jpeg_lossless, "u1", 8, color=True),
    *(Case(f"{UID}.4.80", jpeg_ls, *kind) for kind in GRAY_KINDS if kind[1] in (8, 16)),
    Case(f"{UID}.4.80", jpeg_ls, "u1", 8, color=True),
    Case(f"{UID}.4.81", jpeg_ls_near, "u2", 16, tolerance=2),
    *(Case(f"{UID}.4.{process}", jpeg2000, *kind) for process in (90, 92) for kind in GRAY_KINDS),
    Case(f"{UID}.4.90", jpeg2000, "u1", 8, color=True),
    *(Case(f"{UID}.4.{process}", jpeg2000_lossy, "u2", 16, tolerance=600) for process in (91, 93)),
    Case(f"{UID}.4.91", jpeg2000_lossy, "u1", 8, color=True, tolerance=12),
    Case(f"{UID}.4.203", htj2k_lossy, "u2", 16, tolerance=300),
    Case(f"{UID}.4.203", htj2k_lossy, "u1", 8, color=True, tolerance=12),
    *(Case(f"{UID}.4.{process}", htj2k, *kind) for process in (201, 202, 203) for kind in (("u1", 8), ("u2", 16))),
    Case(f"{UID}.4.201", htj2k, "i2", 16),
    Case(f"{UID}.4.201", htj2k, "u1", 8, color=True),
    *(Case(f"{UID}.4.{process}", jpegxl, *kind) for process in (110, 112) for kind in (("u1", 8), ("u2", 16))),
    Case(f"{UID}.4.110", jpegxl, "u1", 8, color=True),
    Case(f"{UID}.4.112", jpegxl_lossy, "u1", 8, tolerance=20),
    Case(f"{UID}.4.112", jpegxl_lossy, "u1", 8, color=True, tolerance=40),
    Case(f"{UID}.4.111", jpegxl_of_jpeg, "u1", 8, tolerance=6),
    *(Case(f"{UID}.5", rle, *kind) for kind in GRAY_KINDS),
    *(Case(f"{UID}.5", rle, *kind, color=True) for kind in (("u1", 8), ("u2", 16))),
    *(Case(f"{UID}.1.98", native, *kind) for kind in GRAY_KINDS),
    Case(f"{UID}.1.98", native, "u1", 8, color=True),
    *(Case(f"{UID}.8.1", deflated, *kind) for kind in GRAY_KINDS),
]
EACH_CODEC = list({case.encode: case for case in reversed(CASES)}.values())
EACH_KIND = list({(case.encode, *case[2:5]): case for case in reversed(CASES)}.values())
UNMARKED = {jpegxl, jpegxl_lossy, jpegxl_of_jpeg, rle, native, deflated}
"""Their frames have no end marker that could be put behind what is left of them."""

REDUCING = {jpeg, jpeg2000, jpeg2000_lossy, htj2k, htj2k_lossy}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_encoded_comes_out(case: Case) -> None:
    pixels = picture(case.dtype, case.bits, color=case.color)
    before = pixels.copy()
    layout = layout_of(pixels, bits=case.bits)
    decoded = decode_codestream(case.encode(pixels, case.bits), layout, transfer_syntax=case.syntax)
    assert decoded.pixels.dtype == pixels.dtype
    assert decoded.bits_stored == case.bits
    assert decoded.photometric_interpretation == layout.photometric_interpretation
    assert decoded.notes == ()
    np.testing.assert_allclose(decoded.pixels.astype(int), before.astype(int), rtol=0, atol=case.tolerance)


def test_single_bits_are_packed_in_rle_too() -> None:
    mask = picture("u1", 8, shape=(16, 24)) > 100
    layout = layout_of(mask)
    packed = np.packbits(mask.ravel(), bitorder="little").reshape(1, -1)
    for syntax, stream in ((f"{UID}.5", rle(packed, 8)), (f"{UID}.1.98", packed.tobytes())):
        np.testing.assert_array_equal(decode_codestream(stream, layout, transfer_syntax=syntax).pixels, mask)


CUT_CASES = [
    (case, ending) for case in EACH_KIND for ending in CUTS if ending != "cut and ended" or case.encode not in UNMARKED
]
NOT_SEEN = {
    (native, "cut and filled"): (99, "zeros are as good as any other samples"),
    (jpegxl, "cut and filled"): (2, "there is no check sum: zeros may decode to something by chance"),
}
"""In how many of 99 cases a stream that lacks its end cannot be told from a whole one, and why."""


@pytest.mark.parametrize(("case", "ending"), CUT_CASES, ids=str)
def test_a_cut_codestream_never_gives_pixels(case: Case, ending: str) -> None:
    pixels = picture(case.dtype, case.bits, color=case.color, shape=(60, 75))
    stream, layout = case.encode(pixels, case.bits), layout_of(pixels, bits=case.bits)
    drawn = []
    for percent in range(1, 100):
        cut = CUTS[ending](stream, max(1, len(stream) * percent // 100))
        for reduction in (0, 1, 3) if case.encode in REDUCING else (0,):
            try:
                decode_codestream(cut, layout, transfer_syntax=case.syntax, detail=Detail(reduction))
                drawn.append((percent, reduction))
            except InputError as error:
                assert error.code in BROKEN, percent
                assert error.detail
    most, _ = NOT_SEEN.get((case.encode, ending), (0, ""))
    assert len(drawn) <= most, drawn


@pytest.mark.parametrize("ending", CUTS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_cut_sample_never_gives_pixels(name: str, ending: str) -> None:
    """Up to 98 %: zeros in place of the last 1 % of an RLE segment may be runs; a JPEG-LS of 150 bytes has to spare."""
    stream, layout, syntax = sample(name)
    assert decode_codestream(stream, layout, transfer_syntax=syntax).pixels.shape[0] == layout.rows
    for percent in (0.01, 1, 3, 7, 15, 30, 50, 70, 90, 95, 98):
        cut = CUTS[ending](stream, int(len(stream) * percent / 100))
        with pytest.raises(InputError) as caught:
            decode_codestream(cut, layout, transfer_syntax=syntax)
        assert caught.value.code in BROKEN, percent


@pytest.mark.parametrize(
    "case",
    [c for c in EACH_KIND if c.encode in (jpeg, jpeg_ls, jpeg_ls_near) and (c.encode, c.bits) != (jpeg, 12)],
    ids=str,
)
def test_a_hole_of_zeros_is_seen(case: Case) -> None:
    """The end is there, but a block before it was never written.

    In JPEG 2000, zeros are as good as any code; with 12-bit JPEG, libjpeg-turbo's word of bytes left over is not to be
    had.
    """
    pixels = picture(case.dtype, case.bits, color=case.color, shape=(60, 75))
    stream = case.encode(pixels, case.bits)
    for percent in range(30, 96, 5):
        length = len(stream) * percent // 100
        holed = stream[:length] + bytes(len(stream) - length - 2) + stream[-2:]
        with pytest.raises(InputError) as caught:
            decode_codestream(holed, layout_of(pixels, bits=case.bits), transfer_syntax=case.syntax)
        assert caught.value.code in BROKEN, percent


@pytest.fixture(scope="module")
def survival() -> dict[str, str]:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.damaging"],
        check=True, capture_output=True, timeout=60, cwd=PROJECT,
    )  # fmt: skip
    return json.loads(finished.stdout)


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_codestream_gives_its_shape_or_an_input_error(damage: str, survival: dict[str, str]) -> None:
    assert survival[damage] == "survived"


@pytest.mark.parametrize("change", [{"rows": 36}, {"rows": 38}, {"columns": 51}, {"columns": 104}, {"rows": 74}])
@pytest.mark.parametrize("case", [c for c in EACH_CODEC if c.encode not in (rle, native, deflated)], ids=str)
def test_a_codestream_of_another_size_is_refused(case: Case, change: dict[str, int]) -> None:
    pixels = picture(case.dtype, case.bits, color=case.color)
    layout = replace(layout_of(pixels, bits=case.bits), **change)
    with pytest.raises(InputError, match=r"stream size \(37×52\) contradicts Rows/Columns") as caught:
        decode_codestream(case.encode(pixels, case.bits), layout, transfer_syntax=case.syntax)
    assert caught.value.code == ErrorCode.CORRUPT_PIXELS


@pytest.mark.parametrize("case", [c for c in EACH_CODEC if c.encode in (rle, native, deflated)], ids=str)
@pytest.mark.parametrize("change", [{"rows": 38}, {"columns": 53}, {"rows": 74}])
def test_too_few_samples_are_refused(case: Case, change: dict[str, int]) -> None:
    pixels = picture(case.dtype, case.bits, color=case.color)
    layout = replace(layout_of(pixels, bits=case.bits), **change)
    with pytest.raises(InputError) as caught:
        decode_codestream(case.encode(pixels, case.bits), layout, transfer_syntax=case.syntax)
    assert caught.value.code == ErrorCode.TRUNCATED


@pytest.mark.parametrize("case", [c for c in EACH_CODEC if c.encode in (rle, native, deflated)], ids=str)
def test_far_too_many_samples_are_refused(case: Case) -> None:
    """A frame that is twice as large as the header says would be drawn askew."""
    pixels = picture(case.dtype, case.bits, color=case.color, shape=(90, 52))
    layout = replace(layout_of(pixels, bits=case.bits), columns=26)
    with pytest.raises(InputError) as caught:
        decode_codestream(case.encode(pixels, case.bits), layout, transfer_syntax=case.syntax)
    assert caught.value.code == ErrorCode.CORRUPT_PIXELS


@pytest.mark.parametrize("encode", [jpeg, jpeg_ls, jpeg2000, htj2k, jpegxl])
def test_other_components_than_the_header_says_are_refused(encode: Callable[[Pixels, int], bytes]) -> None:
    syntax = next(case.syntax for case in CASES if case.encode is encode)
    color, grayscale = picture("u1", 8, color=True), picture("u1", 8)
    for pixels, other in ((color, grayscale), (grayscale, color)):
        with pytest.raises(InputError) as caught:
            decode_codestream(encode(pixels, 8), layout_of(other), transfer_syntax=syntax)
        assert caught.value.code == ErrorCode.CORRUPT_PIXELS


@pytest.mark.parametrize(
    "syntax", [f"{UID}.4.{n}" for n in (94, 95, 100, 102, 106, 107, 204)] + [f"{UID}.7.1", "1.2.3.4", ""]
)
def test_unsupported_syntaxes_say_so(syntax: str) -> None:
    assert not is_supported(syntax)
    with pytest.raises(InputError, match=f"{syntax}$") as caught:
        decode_codestream(b"\xff\xd8", layout_of(np.zeros((2, 2), "u1")), transfer_syntax=syntax)
    assert caught.value.code == ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX


def test_every_case_is_said_to_be_supported() -> None:
    assert all(is_supported(case.syntax) for case in CASES)
    assert all(is_supported(syntax) for syntax in (UID, f"{UID}.1", f"{UID}.2", f"{UID}.1.99", "1.2.840.113619.5.2"))


@pytest.mark.parametrize("syntax", sorted({case.syntax for case in CASES}))
@pytest.mark.parametrize("stream", [b"", b"\0", b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51", b"rubbish" * 20, b"\0" * 500])
def test_rubbish_is_an_input_error(syntax: str, stream: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode_codestream(stream, layout_of(np.zeros((64, 64), "u2")), transfer_syntax=syntax)
    assert caught.value.code in BROKEN


@pytest.mark.parametrize(("signed", "expected"), [(False, [3000, 1000]), (True, [-1096, 1000])])
def test_bits_of_the_codestream_win_and_are_noted(signed: bool, expected: list[int]) -> None:
    """The header says 16 bits; the sign is in bit 11, where the codestream ends (pydicom#2073)."""
    pixels = np.tile(np.array([[3000, 1000]], "u2"), (20, 20))
    stream = jpeg_lossless(pixels, 12)
    layout = replace(layout_of(pixels), signed=signed)
    decoded = decode_codestream(stream, layout, transfer_syntax=f"{UID}.4.70")
    assert decoded.pixels[0, :2].tolist() == expected
    assert decoded.bits_stored == 12
    assert decoded.notes == ("Bits Stored (0028,0101) is 16, codestream has 12 bits",)


@pytest.mark.parametrize("encode", [jpeg_lossless, jpeg_ls, jpeg2000, htj2k, jpegxl])
def test_deeper_codestreams_than_the_header_says_do_not_wrap(encode: Callable[[Pixels, int], bytes]) -> None:
    syntax = next(case.syntax for case in CASES if case.encode is encode)
    pixels = picture("u2", 16)
    decoded = decode_codestream(encode(pixels, 16), layout_of(pixels.astype("u1")), transfer_syntax=syntax)
    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert decoded.bits_stored == 16
    assert decoded.notes == ("Bits Stored (0028,0101) is 8, codestream has 16 bits",)


@pytest.mark.parametrize("case", [c for c in CASES if c.encode not in (native, deflated)], ids=str)
def test_a_codestream_tells_a_syntax_that_decodes_it(case: Case) -> None:
    pixels = picture(case.dtype, case.bits, color=case.color)
    stream = case.encode(pixels, case.bits)
    syntax = identify_syntax(stream)
    assert syntax is not None
    layout = layout_of(pixels, bits=case.bits)
    found, stated = (decode_codestream(stream, layout, transfer_syntax=s) for s in (syntax, case.syntax))
    assert found.decoder == stated.decoder
    np.testing.assert_array_equal(found.pixels, stated.pixels)


@pytest.mark.parametrize("stream", [b"", b"\0", b"rubbish" * 20, bytes(100), b"\x89PNG\r\n", b"\xff" * 99])
def test_rubbish_tells_no_syntax(stream: bytes) -> None:
    assert identify_syntax(stream) is None


@pytest.mark.parametrize("encode", [jpeg2000, jpeg2000_lossy])
def test_jpeg2000_labels_after_its_component_transform(encode: Callable[[Pixels, int], bytes]) -> None:
    """What the decoder has undone is RGB, whatever it was called; nothing undone, and it is what it was called."""
    pixels = picture("u1", 8, color=True)
    plain = imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k", mct=False)
    high_throughput = imagecodecs.htj2k_encode(pixels, reversible=True, rgb=False)
    for label in ("YBR_RCT", "YBR_ICT", "YBR_FULL", "YBR_FULL_422", "RGB"):
        layout = layout_of(pixels, photometric=label)
        decoded = decode_codestream(encode(pixels, 8), layout, transfer_syntax=f"{UID}.4.91")
        assert decoded.photometric_interpretation == "RGB"
        for stream, syntax in ((plain, f"{UID}.4.90"), (high_throughput, f"{UID}.4.201")):
            decoded = decode_codestream(stream, layout, transfer_syntax=syntax)
            assert decoded.photometric_interpretation == ("RGB" if label == "RGB" else "YBR_FULL")
            np.testing.assert_array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize(("main", "tiles", "after"), [(False, True, "RGB"), (True, False, "YBR_FULL")])
def test_a_tile_overrides_the_main_header(main: bool, tiles: bool, after: str) -> None:
    """COD in a tile-part header comes before that of the main one (T.800 A.6.1)."""
    pixels = picture("u1", 8, color=True)
    stream = imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k", mct=tiles)
    stream = with_tile_coding(stream, main=main)
    layout = layout_of(pixels, photometric="YBR_ICT")
    decoded = decode_codestream(stream, layout, transfer_syntax=f"{UID}.4.90")
    assert decoded.photometric_interpretation == after
    np.testing.assert_array_equal(decoded.pixels, pixels)


def with_tile_coding(stream: bytes, *, main: bool) -> bytes:
    """The same, its COD segment copied to the only tile, and the main one's transformation changed."""
    at, tile = stream.index(b"\xff\x52"), stream.index(b"\xff\x90")
    end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    coding = bytearray(stream[at:end])
    length = int.from_bytes(stream[tile + 6 : tile + 10], "big") + len(coding)
    part = stream[tile : tile + 6] + struct.pack(">I", length) + stream[tile + 10 : tile + 12] + coding
    coding[8] = main
    return bytes(stream[:at] + coding + stream[end:tile] + part + stream[tile + 12 :])


@pytest.mark.parametrize(("across", "down"), [(2, 1), (2, 2)])
@pytest.mark.parametrize("label", ["YBR_FULL_422", "YBR_ICT", "YBR_FULL", "RGB"])
def test_subsampled_chroma_is_converted_once(label: str, across: int, down: int) -> None:
    luma, blue, red = np.full((32, 32), 120, "u1"), np.full((32, 32), 90, "u1"), np.full((32, 32), 200, "u1")
    planes = [luma, *(plane[::down, ::across].copy() for plane in (blue, red))]
    for reduction in (0, 1):
        decoded = decode_codestream(
            subsampled_jpeg2000(planes, across, down),
            layout_of(np.zeros((32, 32, 3), "u1"), photometric=label),
            transfer_syntax=f"{UID}.4.90",
            detail=Detail(reduction),
        )
        assert decoded.photometric_interpretation == "RGB"
        expected = [120 + 1.402 * 72, 120 - 0.344 * (90 - 128) - 0.714 * 72, 120 + 1.772 * (90 - 128)]
        assert np.abs(decoded.pixels[4:-4, 4:-4] - np.array(expected)).max() <= 2


def subsampled_jpeg2000(planes: list[Pixels], across: int, down: int) -> bytes:
    """Codestreams of one component each, put together: one component after another is a progression, too (CPRL)."""
    streams = [imagecodecs.jpeg2k_encode(p, reversible=True, codecformat="j2k", resolutions=1) for p in planes]
    first = streams[0]
    tile = first.index(b"\xff\x90")
    head = bytearray(first[:tile])
    coding = head.index(b"\xff\x52")
    head[coding + 5] = 4
    components = b"".join(bytes([7, *step]) for step in ((1, 1), (across, down), (across, down)))
    size = head[6:40] + struct.pack(">H", 3) + components
    packets = b"".join(stream[stream.index(b"\xff\x93") + 2 : -2] for stream in streams)
    part = struct.pack(">2sHHIBB2s", b"\xff\x90", 10, 0, len(packets) + 14, 0, 1, b"\xff\x93")
    return bytes(head[:4] + struct.pack(">H", len(size) + 2) + size + head[45:]) + part + packets + b"\xff\xd9"


def test_a_jp2_file_in_place_of_a_codestream_is_read() -> None:
    pixels = picture("u2", 16)
    boxed = imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="jp2")
    decoded = decode_codestream(boxed, layout_of(pixels), transfer_syntax=f"{UID}.4.90")
    np.testing.assert_array_equal(decoded.pixels, pixels)


# JPEG: what is odd and no matter


def pillow_jpeg(pixels: Pixels, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=98, subsampling=0, **options)
    return file.getvalue()


ODD_JPEGS: dict[str, dict[str, Any]] = {
    "progressive": {"progressive": True},
    "restart intervals": {"restart_marker_blocks": 3},
    "restart intervals, progressive": {"restart_marker_rows": 1, "progressive": True},
    "tables of its own": {"optimize": True},
    "a comment": {"comment": b"\xff\xd9 no end"},
    "Exif": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"},
}


@pytest.mark.parametrize("color", [False, True], ids=["gray", "color"])
@pytest.mark.parametrize("name", ODD_JPEGS)
def test_odd_jpegs_are_drawn_and_refused_when_they_are_cut(name: str, color: bool) -> None:
    pixels = picture("u1", 8, color=color, shape=(60, 75))
    stream = pillow_jpeg(pixels, **ODD_JPEGS[name])
    layout = layout_of(pixels, photometric="YBR_FULL" if color else None)
    decoded = decode_codestream(stream, layout, transfer_syntax=f"{UID}.4.50")
    assert decoded.notes == ()
    np.testing.assert_allclose(decoded.pixels.astype(int), pixels.astype(int), rtol=0, atol=9)
    for ending in CUTS if "progressive" not in name else ("cut", "cut and filled"):
        for percent in range(2, 100, 3):
            cut = CUTS[ending](stream, len(stream) * percent // 100)
            with pytest.raises(InputError) as caught:
                decode_codestream(cut, layout, transfer_syntax=f"{UID}.4.50")
            assert caught.value.code in BROKEN, percent


@pytest.mark.parametrize("name", [name for name in ODD_JPEGS if "progressive" in name])
def test_what_is_left_of_a_progressive_jpeg_is_drawn_only_in_whole_scans(name: str) -> None:
    """With fewer scans it is a coarser picture, in which nothing is amiss; a cut table is."""
    pixels = picture("u1", 8, shape=(60, 75))
    stream = pillow_jpeg(pixels, **ODD_JPEGS[name])
    for length in range(2, len(stream) - 2):
        try:
            decoded = decode_codestream(
                CUTS["cut and ended"](stream, length), layout_of(pixels), transfer_syntax=f"{UID}.4.55"
            )
        except InputError:
            continue
        assert decoded.notes == ()


def test_a_wrong_spectral_selection_is_noted() -> None:
    """As some old writers have it; the standard fixes it for sequential JPEG (T.81 B.2.3)."""
    pixels = picture("u1", 8)
    decoded = decode_codestream(with_wrong_selection(jpeg(pixels, 8)), layout_of(pixels), transfer_syntax=f"{UID}.4.50")
    assert "Invalid SOS parameters" in decoded.notes[0]
    np.testing.assert_allclose(decoded.pixels.astype(int), pixels.astype(int), rtol=0, atol=6)


def test_a_wrong_spectral_selection_does_not_hide_that_the_end_is_missing() -> None:
    pixels = picture("u1", 8)
    stream = with_wrong_selection(jpeg(pixels, 8))
    for percent in (30, 60, 90):
        cut = CUTS["cut and ended"](stream, len(stream) * percent // 100)
        with pytest.raises(InputError):
            decode_codestream(cut, layout_of(pixels), transfer_syntax=f"{UID}.4.50")


def with_wrong_selection(stream: bytes) -> bytes:
    """The same JPEG of one component, whose scan claims to begin at coefficient 5."""
    at = stream.index(b"\xff\xda") + 7
    return stream[:at] + b"\5" + stream[at + 1 :]


@pytest.mark.parametrize("count", [1, 2, 50, 5000])
@pytest.mark.parametrize("encode", [jpeg, jpeg_lossless, jpeg_ls, jpeg2000, htj2k])
def test_zeros_behind_the_end_are_no_matter(encode: Callable[[Pixels, int], bytes], count: int) -> None:
    for case in (case for case in EACH_KIND if case.encode is encode):
        pixels = picture(case.dtype, case.bits, color=case.color)
        stream, layout = encode(pixels, case.bits), layout_of(pixels, bits=case.bits)
        padded, plain = (
            decode_codestream(data, layout, transfer_syntax=case.syntax) for data in (stream + bytes(count), stream)
        )
        np.testing.assert_array_equal(padded.pixels, plain.pixels)
        assert padded.notes == plain.notes


@pytest.mark.parametrize("color", [False, True], ids=["gray", "color"])
@pytest.mark.parametrize("reduction", [0, 1])
def test_a_few_bytes_of_padding_before_the_end_are_noted(reduction: int, color: bool) -> None:
    """Some encoders fill up a word."""
    pixels = picture("u1", 8, color=color)
    stream, layout = jpeg(pixels, 8), layout_of(pixels, photometric="YBR_FULL" if color else None)
    plain = decode_codestream(stream, layout, transfer_syntax=f"{UID}.4.50", detail=Detail(reduction))
    for count in range(1, 8):
        padded = stream[:-2] + bytes(count) + stream[-2:]
        decoded = decode_codestream(padded, layout, transfer_syntax=f"{UID}.4.50", detail=Detail(reduction))
        np.testing.assert_array_equal(decoded.pixels, plain.pixels)
        # libjpeg-turbo has read up to four bytes ahead and does not count them
        assert count <= 4 or "extraneous bytes before marker 0xd9" in decoded.notes[0]
    for rest in (bytes(12), bytes(400), b"\x12\x34\x56" * 4):
        with pytest.raises(InputError, match="damaged") as caught:
            decode_codestream(stream[:-2] + rest + stream[-2:], layout, transfer_syntax=f"{UID}.4.50")
        assert caught.value.code == ErrorCode.CORRUPT_PIXELS


# JPEG: what its three components are

JFIF = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
ADOBE = b"\xff\xee" + struct.pack(">H", 14) + b"Adobe\0\x64\0\0\0\0"
MARKERS = {
    "none": b"",
    "JFIF": JFIF,
    "Adobe 0": ADOBE + b"\0",
    "Adobe 1": ADOBE + b"\1",
    "JFIF and Adobe 0": JFIF + ADOBE + b"\0",
    "JFIF and Adobe 1": JFIF + ADOBE + b"\1",
    "Adobe 0 and JFIF": ADOBE + b"\0" + JFIF,
    "Adobe 1 and JFIF": ADOBE + b"\1" + JFIF,
    "JFIF and others": JFIF + b"\xff\xe0\0\x08JFXX\0\0" + b"\xff\xee\0\x09Adopted" + b"\xff\xe1\0\x04no",
}
"""Application segments: what they say of the components may contradict itself, the ids and the components."""


def color_jpeg(*, coded_rgb: bool, markers: bytes, ids: bytes) -> bytes:
    """A JPEG whose components are RGB or YCbCr, with these segments in place of its own, and with component ids."""
    coded = "RGB" if coded_rgb else "YCBCR"
    stream = bytearray(imagecodecs.jpeg8_encode(flat_color(), level=99, colorspace="RGB", outcolorspace=coded))
    (length,) = struct.unpack(">H", stream[4:6])
    assert stream[3] == (0xEE if coded_rgb else 0xE0)
    frame, scan = stream.find(b"\xff\xc0"), stream.find(b"\xff\xda")
    for number, component in enumerate(ids):
        stream[frame + 10 + 3 * number] = component
        stream[scan + 5 + 2 * number] = component
    return bytes(stream[:2] + markers + stream[4 + length :])


def flat_color() -> Pixels:
    return np.tile(np.array([200, 100, 30], np.uint8), (32, 32, 1))


@pytest.mark.parametrize("reduction", [0, 1])
@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("ids", [b"\1\2\3", b"\0\1\2", b"RGB"])
@pytest.mark.parametrize("marker", MARKERS)
def test_jpeg_color_is_told_by_adobe_then_ids_then_jfif_then_label(
    marker: str, ids: bytes, label: str, reduction: int
) -> None:
    """Whatever libjpeg-turbo would make of it: it believes JFIF first."""
    if "Adobe" in marker:
        taken_as_rgb = "Adobe 0" in marker
    elif ids == b"RGB":
        taken_as_rgb = True
    else:
        taken_as_rgb = "JFIF" not in marker and label == "RGB"  # JFIF is always YCbCr
    layout = layout_of(flat_color(), photometric=label)
    for coded_rgb in (True, False):
        stream = color_jpeg(coded_rgb=coded_rgb, markers=MARKERS[marker], ids=ids)
        decoded = decode_codestream(stream, layout, transfer_syntax=f"{UID}.4.50", detail=Detail(reduction))
        assert decoded.photometric_interpretation == "RGB"
        right = np.abs(decoded.pixels.astype(int) - [200, 100, 30]).max() <= 4
        assert right == (taken_as_rgb == coded_rgb)
        assert bool(decoded.notes) == (taken_as_rgb != (label == "RGB"))


def test_subsampled_jpeg_is_upsampled() -> None:
    stream = imagecodecs.jpeg8_encode(flat_color(), level=95, subsampling="420")
    layout = layout_of(flat_color(), photometric="YBR_FULL_422")
    decoded = decode_codestream(stream, layout, transfer_syntax=f"{UID}.4.50")
    np.testing.assert_allclose(decoded.pixels.astype(int), flat_color(), atol=4)


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("ids", [b"RGB", b"\1\2\3", b"\0\1\2"])
@pytest.mark.parametrize(
    "marker", [b"", JFIF, ADOBE + b"\0", ADOBE + b"\1"], ids=["none", "JFIF", "Adobe 0", "Adobe 1"]
)
def test_lossless_components_come_out_as_they_are(marker: bytes, ids: bytes, label: str) -> None:
    """Nothing was transformed on the way in, so the header's label stays true."""
    pixels = picture("u1", 8, color=True)
    stream = bytearray(imagecodecs.jpeg8_encode(pixels, lossless=True))
    (length,) = struct.unpack(">H", stream[4:6])
    frame, scan = stream.find(b"\xff\xc3"), stream.find(b"\xff\xda")
    for number, component in enumerate(ids):
        stream[frame + 10 + 3 * number] = component
        stream[scan + 5 + 2 * number] = component
    marked = bytes(stream[:2]) + marker + bytes(stream[4 + length :])
    decoded = decode_codestream(marked, layout_of(pixels, photometric=label), transfer_syntax=f"{UID}.4.70")
    assert decoded.photometric_interpretation == label
    np.testing.assert_array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize("bits", range(8, 17))
def test_every_depth_of_jpeg_lossless(bits: int) -> None:
    pixels = picture("u1" if bits <= 8 else "u2", bits)
    stream = imagecodecs.ljpeg_encode(pixels, bitspersample=bits)
    decoded = decode_codestream(stream, layout_of(pixels, bits=bits), transfer_syntax=f"{UID}.4.57")
    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert decoded.notes == ()


@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor_of_jpeg_lossless(predictor: int) -> None:
    for dtype, bits, color in (("u1", 8, False), ("u2", 16, False), ("u1", 8, True)):
        pixels = picture(dtype, bits, color=color)
        stream = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=predictor, bitspersample=bits)
        decoded = decode_codestream(stream, layout_of(pixels), transfer_syntax=f"{UID}.4.57")
        np.testing.assert_array_equal(decoded.pixels, pixels)


@pytest.mark.parametrize("boxes", [False, True], ids=["bare", "in boxes"])
@pytest.mark.parametrize("shape", [(8, 8), (37, 52), (16, 24), (1080, 1920), (2457, 1890), (9000, 3)], ids=str)
def test_the_size_of_jpeg_xl_is_known_before_it_is_decoded(shape: tuple[int, int], boxes: bool) -> None:
    stream = bytes(imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), usecontainer=boxes))
    assert read_jpegxl_shape(stream) == shape


ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoK"
    "CgoKBggLDAsKDAkKCgr/yQALCAAYACABAREA/8wABgAQEAX/2gAIAQEAAD8A/wDz4TkWBbxvnC0CscYx7YxySYK3pCJsMtec6/mB"
    "0OiFE5Q2zKafeedteA3TJg1XcJkpP+3iVOtxe4MkgZ3VMSxJjWT/2Q=="
)
ARITHMETIC_PROGRESSIVE = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoK"
    "CgoKBggLDAsKDAkKCgr/ygALCAAYACABAREA/8wABAAQ/9oACAEBAAAAAf8A58K75WTkzKIs8zP/zAAEEAX/2gAIAQEAAQUCFffy"
    "jKrEfmLBjYnnozSkR1tKyKyKyf/MAAQQBf/aAAgBAQAGPwJhxDYzG260EP/MAAQQBf/aAAgBAQABPyHXbnHFI7T/2gAIAQEAAAAQ"
    "S9D/zAAEEAX/2gAIAQEAAT8Q1cJx2y2uTUpSyv/Z"
)
"""By `cjpeg -arithmetic`, of np.add.outer(5 * rows, 3 * columns): what decodes them here does not encode them."""


@pytest.mark.parametrize(
    ("process", "stream"), [(52, ARITHMETIC), (54, ARITHMETIC_PROGRESSIVE), (56, ARITHMETIC_PROGRESSIVE)]
)
def test_retired_processes_with_arithmetic_coding_are_decoded(process: int, stream: str) -> None:
    expected = np.add.outer(5 * np.arange(24), 3 * np.arange(32)).astype(np.uint8)
    layout = layout_of(expected)
    decoded = decode_codestream(b64decode(stream), layout, transfer_syntax=f"{UID}.4.{process}")
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 1
