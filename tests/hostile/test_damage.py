"""Damage inside coded data whose ends and lengths are right: what can be told is refused, and nothing else is."""

import io
from collections.abc import Callable
from random import Random

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.damage import require_huffman_tables, require_sound_scan
from dicomprep.pixels.codecs.registry import decode_codestream
from dicomprep.pixels.stored import Layout

UID = "1.2.840.10008.1.2"
SIDE = 256
NOISE = np.random.default_rng(3).normal(0, 40, (SIDE, SIDE))
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
DEEP = np.clip(2000 + 1500 * (np.hypot(ROWS - 128, COLUMNS - 128) < 90) + NOISE, 0, 4095).astype(np.uint16)
SHALLOW = (DEEP >> 4).astype(np.uint8)


def _jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(SHALLOW).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def _wavelet(pixels: NDArray[np.generic], **options: object) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", **options))


def _rle() -> bytes:
    plane = bytes(imagecodecs.packbits_encode(SHALLOW.tobytes()))
    return np.array([1, 64, *[0] * 14], "<u4").tobytes() + plane + b"\0" * (len(plane) % 2)


CODECS: dict[str, tuple[str, int, Callable[[], bytes]]] = {
    "JPEG": ("4.50", 8, _jpeg),
    "JPEG of 12 bits": ("4.51", 12, lambda: bytes(imagecodecs.jpeg8_encode(DEEP, level=95, bitspersample=12))),
    "JPEG-LS": ("4.80", 12, lambda: bytes(imagecodecs.jpegls_encode(DEEP))),
    "JPEG 2000": ("4.90", 12, lambda: _wavelet(DEEP, reversible=True)),
    "JPEG 2000, lossy": ("4.91", 8, lambda: _wavelet(SHALLOW, level=45)),
    "RLE": ("5", 8, _rle),
}


def _layout(bits: int) -> Layout:
    return Layout(SIDE, SIDE, 1, 8 if bits == 8 else 16, bits, bits - 1, False, "MONOCHROME2")


def _decoded(code: bytes, syntax: str, bits: int) -> NDArray[np.generic]:
    return decode_codestream(code, _layout(bits), transfer_syntax=f"{UID}.{syntax}").pixels


def _code_begins(code: bytes) -> int:
    markers = (code.rfind(b"\xff\xda") + 12, code.find(b"\xff\x93") + 2, 64)
    return next(at for at in markers if at > 20)


@pytest.mark.parametrize("name", CODECS)
def test_holes_of_zeros_are_refused(name: str) -> None:
    """Each is of 512 bytes somewhere, or goes on to the end."""
    syntax, bits, make = CODECS[name]
    code, random = make(), Random(name)
    assert _decoded(code, syntax, bits).shape == (SIDE, SIDE)
    begins, ends = _code_begins(code), len(code) - 4
    for number in range(12):
        start = random.randrange(begins, ends - 512)
        end = ends if number % 3 == 0 else start + 512
        with pytest.raises(InputError) as caught:
            _decoded(code[:start] + bytes(end - start) + code[end:], syntax, bits)
        assert caught.value.code in (ErrorCode.CORRUPT_PIXELS, ErrorCode.TRUNCATED)


GRID = ((ROWS % 16 == 0) | (COLUMNS % 16 == 0)) * 1000
REGULAR = {
    "grid": GRID,
    "checkers": (ROWS // 8 + COLUMNS // 8) % 2 * 4095,
    "grid beside noise": np.where(ROWS < 128, GRID, DEEP),
    "bars": COLUMNS // 16 * 16,
    "black": np.zeros((SIDE, SIDE)),
    "constant": np.full((SIDE, SIDE), 1000),
    "a point": (ROWS == 100) & (COLUMNS == 100),
}


@pytest.mark.parametrize("name", REGULAR)
def test_test_patterns_and_empty_pictures_are_drawn(name: str) -> None:
    """Of those that repeat themselves exactly, coders do write zeros."""
    deep = REGULAR[name].astype(np.uint16)
    shallow = (deep >> 4).astype(np.uint8)
    assert np.array_equal(_decoded(_wavelet(deep, reversible=True), "4.90", 12), deep)
    assert np.array_equal(_decoded(bytes(imagecodecs.htj2k_encode(deep)), "4.201", 12), deep)
    assert np.array_equal(_decoded(bytes(imagecodecs.jpegls_encode(deep)), "4.80", 12), deep)
    file = io.BytesIO()
    Image.fromarray(shallow).save(file, "JPEG2000", no_jp2=True, quality_layers=[80, 40, 20, 10, 0], tile_size=(64, 64))
    assert np.array_equal(_decoded(file.getvalue(), "4.90", 8), shallow)
    for optimize in (False, True):
        file = io.BytesIO()
        Image.fromarray(shallow).save(file, "JPEG", quality=90, optimize=optimize)
        assert _decoded(file.getvalue(), "4.50", 8).shape == (SIDE, SIDE)


@pytest.mark.parametrize("marker", [b"\xff\x90", b"\xff\x93", b"\xff\xff", b"\xff\xd9"])
def test_a_marker_within_packets_is_refused(marker: bytes) -> None:
    code = _wavelet(DEEP, reversible=True)
    middle = len(code) // 2
    with pytest.raises(InputError, match="marker within"):
        _decoded(code[:middle] + marker + code[middle + 2 :], "4.90", 12)


@pytest.mark.parametrize("marker", [b"\xff\xd0", b"\xff\xd5", b"\xff\xc4"])
def test_a_marker_within_a_scan_of_12_bits_is_refused(marker: bytes) -> None:
    """Of which libjpeg-turbo's warnings do not come through."""
    code = CODECS["JPEG of 12 bits"][2]()
    middle = len(code) // 2
    with pytest.raises(InputError):
        _decoded(code[:middle] + marker + code[middle + 2 :], "4.51", 12)


@pytest.mark.parametrize("start", [0, 4000])
def test_a_second_end_marker_hides_no_end(start: int) -> None:
    code = CODECS["JPEG of 12 bits"][2]()
    begins = _code_begins(code)
    with pytest.raises(InputError, match="truncated"):
        _decoded(code[: begins + start] + b"\xff\xd9" + code[begins + start :], "4.51", 12)


def test_a_table_that_is_missing_is_not_made_up() -> None:
    code = CODECS["JPEG of 12 bits"][2]()
    at = code.rfind(b"\xff\xc4")
    end = at + 2 + int.from_bytes(code[at + 2 : at + 4], "big")
    with pytest.raises(InputError, match="missing Huffman table"):
        _decoded(code[:at] + code[end:], "4.51", 12)


def test_restart_markers_are_counted() -> None:
    code = _jpeg(restart_marker_rows=1)
    assert _decoded(code, "4.50", 8).shape == (SIDE, SIDE)
    with pytest.raises(InputError):
        _decoded(code.replace(b"\xff\xd3", b"\xff\xd5", 1), "4.50", 8)


@pytest.mark.parametrize("bits", [8, 12])
def test_a_thumbnail_or_fill_bytes_in_the_header_are_no_damage(bits: int) -> None:
    """What lies in a segment, scans and all, is not looked at; FF before a marker is legal (T.81 B.1.1.2)."""
    pixels = SHALLOW if bits == 8 else DEEP
    stream = imagecodecs.jpeg8_encode(pixels, level=90, bitspersample=bits)
    inner = b"JFXX\0" + b"\xff\xd8\xff\xda\x00\x08\x01\x05\x77\x00\x3f\x00" + bytes(300) + b"\xff\xd9"
    segment = b"\xff\xe0" + (len(inner) + 2).to_bytes(2, "big") + inner
    scan = stream.index(b"\xff\xda")
    for odd in (stream[:2] + segment + stream[2:], stream[:scan] + b"\xff\xff" + stream[scan:]):
        require_sound_scan(odd)
        require_huffman_tables(odd)
