"""The same image in every transfer syntax: fill bytes, overlay bits, odd padding, tiles at an edge, components."""

import shutil
import struct
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from dicomprep import process_dicom
from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import Detail
from dicomprep.pixels.codecs.native import decode_native
from dicomprep.pixels.codecs.registry import decode_codestream, resolve_components
from dicomprep.pixels.codecs.transfer_syntaxes import NATIVE
from tests.pixels.test_codecs import UID, jpeg, jpeg2000, jpeg_lossless, jpeg_ls, jpegxl, layout_of, picture, rle
from tests.reference_table import FOLDER, REFERENCE

Pixels = NDArray[Any]
Encode = Callable[[Pixels, int], bytes]
CELLS: dict[str, Encode] = {
    f"{UID}.4.70": jpeg_lossless,
    f"{UID}.4.80": jpeg_ls,
    f"{UID}.4.90": jpeg2000,
    f"{UID}.4.201": lambda pixels, _bits: imagecodecs.htj2k_encode(pixels, reversible=True),
    f"{UID}.4.110": jpegxl,
    f"{UID}.5": rle,
}
"""Lossless codecs of whole cells of 16 bits."""

FILLED = {
    "lossless": (f"{UID}.4.70", "u2", 16, jpeg_lossless),
    "lossless of 8 bits": (f"{UID}.4.57", "u1", 8, jpeg_lossless),
    "12 bits": (f"{UID}.4.51", "u2", 12, jpeg),
    "baseline": (f"{UID}.4.50", "u1", 8, jpeg),
    "JPEG-LS": (f"{UID}.4.80", "u2", 16, jpeg_ls),
}


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("name", FILLED)
def test_fill_bytes_before_markers_are_legal(name: str, count: int) -> None:
    """Any marker may be preceded by bytes FF (T.81 B.1.1.2); DCMTK makes the length even so."""
    syntax, dtype, bits, encode = FILLED[name]
    pixels = picture(dtype, bits)
    pixels[-3:, -3:] = 0  # its last sample is as if it were invented
    stream, layout = encode(pixels, bits), layout_of(pixels, bits=bits)
    plain = decode_codestream(stream, layout, transfer_syntax=syntax)
    frame = next(
        at for at in range(2, len(stream)) if stream[at] == 0xFF and stream[at + 1] in (*range(0xC0, 0xC4), 0xF7)
    )
    scan = stream.index(b"\xff\xda")
    fill = b"\xff" * count
    filled = stream[:frame] + fill + stream[frame:scan] + fill + stream[scan:-2] + fill + stream[-2:]
    if name == "JPEG-LS":
        filled = stream[:frame] + fill + stream[frame:]
    decoded = decode_codestream(filled, layout, transfer_syntax=syntax)
    np.testing.assert_array_equal(decoded.pixels, plain.pixels)
    for percent in (30, 60, 90):
        with pytest.raises(InputError):
            decode_codestream(
                stream[: len(stream) * percent // 100] + fill + b"\xff\xd9", layout, transfer_syntax=syntax
            )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored", "high_bit"), [(8, 7), (12, 11), (10, 9), (12, 15)])
@pytest.mark.parametrize("syntax", CELLS)
def test_bits_stored_and_high_bit_mask_every_codec(syntax: str, stored: int, high_bit: int, signed: bool) -> None:
    random = np.random.default_rng(stored)
    values = random.integers(0, 2**stored, (24, 30)).astype("u2") << (high_bit + 1 - stored)
    cells = values.astype("u2")
    cells[5:9, 4:20] |= np.uint16(1 << (0 if high_bit == 15 else stored + 1))
    layout = replace(layout_of(cells, bits=stored), high_bit=high_bit, signed=signed, overlaid=True)
    expected = decode_native(cells.tobytes(), layout, big_endian=False, bit_offset=0)
    decoded = decode_codestream(
        CELLS[syntax](cells, 16), layout, transfer_syntax=syntax, detail=Detail(1, tolerance=2.0, shrink=4.0)
    )
    np.testing.assert_array_equal(decoded.pixels, expected.pixels)
    assert decoded.bits_stored == stored
    rubbish = decode_codestream(CELLS[syntax](cells, 16), replace(layout, overlaid=False), transfer_syntax=syntax)
    assert rubbish.bits_stored == stored


def test_what_loss_carries_beyond_the_range_is_clipped_not_wrapped() -> None:
    pixels = np.tile(np.array([[4097, 4090, 0]], "u2"), (12, 4))
    layout = layout_of(pixels, bits=12)
    decoded = decode_codestream(jpeg2000(pixels, 16), layout, transfer_syntax=f"{UID}.4.91")
    assert decoded.pixels[0, :3].tolist() == [4095, 4090, 0]


def test_an_overlay_within_a_narrower_codestream_is_masked() -> None:
    pixels = picture("u1", 8).astype("u2")
    cells = pixels.copy()
    cells[3:6] |= 1 << 10
    layout = replace(layout_of(pixels, bits=8), overlaid=True)
    decoded = decode_codestream(jpeg2000(cells, 12), layout, transfer_syntax=f"{UID}.4.90")
    np.testing.assert_array_equal(decoded.pixels, pixels)
    alone = decode_codestream(jpeg2000(cells, 12), replace(layout, overlaid=False), transfer_syntax=f"{UID}.4.90")
    assert alone.bits_stored == 12


def segments_of(stream: bytes) -> list[bytes]:
    count, *offsets = struct.unpack("<16I", stream[:64])
    return [stream[a:b] for a, b in zip(offsets, [*offsets[1:count], len(stream)], strict=False)]


def rle_frame(segments: list[bytes], *, order: list[int] | None = None, gap: bytes = b"") -> bytes:
    """Segments, in the file in this order, with this behind each."""
    body, offsets = b"", [0] * 15
    for number in order or range(len(segments)):
        offsets[number] = 64 + len(body)
        body += segments[number] + gap
    return struct.pack("<16I", len(segments), *offsets) + body


@pytest.mark.parametrize("gap", [b"", b"\x20", b"\x11\x22", b"\x80", b"\x80\x80\x80", b"\xff" * 9, b"\x7f" * 20])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_rle_segments_may_be_padded_by_anything_and_lie_in_any_order(gap: bytes, order: list[int]) -> None:
    pixels = picture("u2", 16)
    stream = rle_frame(segments_of(rle(pixels, 16)), order=order, gap=gap)
    decoded = decode_codestream(stream, layout_of(pixels), transfer_syntax=f"{UID}.5")
    np.testing.assert_array_equal(decoded.pixels, pixels)


def test_rle_planes_that_are_not_full_are_refused() -> None:
    pixels = picture("u2", 16)
    segments = segments_of(rle(pixels, 16))
    cut = [segments[0][: len(segments[0]) // 2], segments[1]]
    for stream in (rle_frame(cut), rle_frame(cut, gap=b"\x20"), rle_frame(segments)[:-40]):
        with pytest.raises(InputError) as caught:
            decode_codestream(stream, layout_of(pixels), transfer_syntax=f"{UID}.5")
        assert caught.value.code in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT_PIXELS)


@pytest.mark.parametrize("reduction", [0, 1])
@pytest.mark.parametrize("shape", [(30, 64), (64, 30), (17, 23)])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [(f"{UID}.4.50", jpeg), (f"{UID}.4.90", jpeg2000), (f"{UID}.4.80", jpeg_ls), (f"{UID}.4.110", jpegxl)],
)
def test_tiles_at_an_edge_are_at_the_top_left_of_a_black_frame(
    syntax: str, encode: Encode, shape: tuple[int, int], reduction: int
) -> None:
    tile = np.full((*shape, 3), (230, 200, 220), "u1")
    layout = replace(layout_of(np.zeros((64, 64, 3), "u1")), tiled=True)
    decoded = decode_codestream(encode(tile, 8), layout, transfer_syntax=syntax, detail=Detail(reduction))
    step = decoded.grid.step
    assert decoded.pixels.shape == (64 // step, 64 // step, 3)
    rows, columns = (-(-length // step) for length in shape)
    assert decoded.pixels[:rows, :columns].min() > 150
    assert decoded.pixels[rows:].max(initial=0) == decoded.pixels[:, columns:].max(initial=0) == 0
    with pytest.raises(InputError):
        decode_codestream(encode(tile, 8), replace(layout, tiled=False), transfer_syntax=syntax)
    with pytest.raises(InputError):
        decode_codestream(encode(tile, 8), replace(layout, rows=16), transfer_syntax=syntax)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (f"{UID}.4.50", jpeg),
        (f"{UID}.4.70", jpeg_lossless),
        (f"{UID}.4.80", jpeg_ls),
        (f"{UID}.4.90", jpeg2000),
        (f"{UID}.5", rle),
    ],
)
def test_the_codestream_knows_how_many_components_it_has(syntax: str, encode: Encode) -> None:
    grayscale, color = picture("u1", 8), picture("u1", 8, color=True)
    found, notes = resolve_components(encode(grayscale, 8), layout_of(color, photometric="YBR_FULL"), syntax)
    assert (found.samples, found.photometric_interpretation) == (1, "MONOCHROME2")
    assert notes
    np.testing.assert_allclose(
        decode_codestream(encode(grayscale, 8), found, transfer_syntax=syntax).pixels.astype(int), grayscale, atol=6
    )
    found, notes = resolve_components(encode(color, 8), layout_of(grayscale), syntax)
    assert found.samples == 3
    assert notes
    decoded = decode_codestream(encode(color, 8), found, transfer_syntax=syntax)
    assert decoded.photometric_interpretation == "RGB"
    for pixels in (grayscale, color):
        assert resolve_components(encode(pixels, 8), layout_of(pixels), syntax) == (layout_of(pixels), ())


LOSSLESS = {
    "JPEG Lossless": ["dcmcjpeg", "+e1"],
    "JPEG Lossless, predictor 6": ["dcmcjpeg", "+e14", "+sv", "6"],
    "JPEG-LS": ["dcmcjpls"],
    "RLE": ["dcmcrle"],
}


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("name", sorted(path for path, expected in REFERENCE.items() if expected.has_images))
def test_a_sample_that_dcmtk_compresses_gives_the_same_picture(name: str, tmp_path: Path) -> None:
    """Native ones, for DCMTK converts colors on its own when it expands others; `scripts/recompress.py` does all."""
    with warnings.catch_warnings(action="ignore"):
        header = pydicom.dcmread(FOLDER / name, stop_before_pixels=True, force=True)
    syntax = header.file_meta.get("TransferSyntaxUID", UID)
    if syntax not in NATIVE or (header.BitsAllocated > 16 and syntax == f"{UID}.2"):
        pytest.skip("compressed already, or of 32 bits in big endian, which DCMTK compresses with swapped words")
    place = tmp_path / "x.dcm"
    compressed = 0
    for codec, command in LOSSLESS.items():
        if subprocess.run([*command, str(FOLDER / name), str(place)], check=False, capture_output=True).returncode:
            continue
        compressed += 1
        for fidelity in ("exact", "high"):
            before, after = (process_dicom(path, frames="first", fidelity=fidelity) for path in (FOLDER / name, place))
            np.testing.assert_array_equal(after[0].array, before[0].array, err_msg=f"{codec}, {fidelity}")
    if not compressed:
        pytest.skip("DCMTK does not compress it")
