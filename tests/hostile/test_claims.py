"""Codestreams that claim far more work than their bytes could ask for are refused before any of it is done."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.registry import decode_codestream
from dicomprep.pixels.stored import Layout

UID = "1.2.840.10008.1.2.4"


def layout(side: int) -> Layout:
    return Layout(side, side, 1, 8, 8, 7, False, "MONOCHROME2")


def small_jpeg2000() -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(np.zeros((64, 64), np.uint8), codecformat="j2k", level=0))


def claiming(side: int) -> bytes:
    """A JPEG 2000 codestream of a small image whose SIZ segment speaks of a large one, of one tile."""
    data, lengths = bytearray(small_jpeg2000()), side.to_bytes(4, "big") * 2
    data[8:16] = lengths
    data[24:32] = lengths
    return bytes(data)


def progressive(side: int, *, scans: int) -> bytes:
    """Of which the last scan stands there many times."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


@pytest.mark.parametrize("side", [9_000, 20_000])
@pytest.mark.parametrize("process", [90, 91, 201])
def test_few_bytes_of_jpeg_2000_are_no_huge_image(side: int, process: int) -> None:
    with pytest.raises(InputError, match="implausible JPEG 2000 stream") as caught:
        decode_codestream(claiming(side), layout(side), transfer_syntax=f"{UID}.{process}")
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_an_empty_picture_of_a_scanner_s_size_is_drawn() -> None:
    data = bytes(imagecodecs.jpeg2k_encode(np.zeros((4_000, 5_000), np.uint8), codecformat="j2k", level=0))
    shape = Layout(4_000, 5_000, 1, 8, 8, 7, False, "MONOCHROME2")
    assert not decode_codestream(data, shape, transfer_syntax=f"{UID}.90").pixels.any()


def test_scans_of_a_large_progressive_image_are_counted() -> None:
    with pytest.raises(InputError, match="too many scans") as caught:
        decode_codestream(progressive(3_000, scans=400), layout(3_000), transfer_syntax=f"{UID}.55")
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_a_progressive_image_of_ordinary_scans_is_drawn() -> None:
    decoded = decode_codestream(progressive(3_000, scans=0), layout(3_000), transfer_syntax=f"{UID}.55")
    assert decoded.pixels.shape == (3_000, 3_000)
