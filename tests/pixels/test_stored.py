"""Stored values out of bytes and bits: what was packed by the rules of PS3.5 section 8 comes out again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dicomprep.pixels.codecs.native import decode_native
from dicomprep.pixels.stored import Layout, expand_bits, unpack_native

ROWS, COLUMNS = 5, 6


@st.composite
def bit_layouts(draw: st.DrawFn, *, allocated: int, signed: bool) -> Layout:
    """A layout of one sample with any number of stored bits at any place."""
    stored = draw(st.integers(1, allocated))
    high_bit = draw(st.integers(stored - 1, allocated - 1))
    return Layout(ROWS, COLUMNS, 1, allocated, stored, high_bit, signed, "MONOCHROME2")


def pack(values: NDArray[np.int64], layout: Layout, rubbish: list[int], *, big_endian: bool) -> bytes:
    """Put values at their bits, and rubbish at all others."""
    shift = layout.high_bit + 1 - layout.bits_stored
    mask = (2**layout.bits_stored - 1) << shift
    order = "big" if big_endian else "little"
    words = [
        ((int(value) << shift) & mask) | (other & ~mask & (2**layout.bits_allocated - 1))
        for value, other in zip(values.ravel(), rubbish, strict=True)
    ]
    return b"".join(word.to_bytes(layout.bits_allocated // 8, order) for word in words)  # type: ignore[arg-type]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("allocated", [8, 16, 32, 64])
@given(data=st.data())
def test_stored_bits_come_out_of_rubbish(allocated: int, signed: bool, big_endian: bool, data: st.DataObject) -> None:
    layout = data.draw(bit_layouts(allocated=allocated, signed=signed))
    stored = layout.bits_stored
    low, high = (-(2 ** (stored - 1)), 2 ** (stored - 1) - 1) if signed else (0, 2**stored - 1)
    count = ROWS * COLUMNS
    values = data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
    values[:2] = low, high
    rubbish = data.draw(st.lists(st.integers(0, 2**allocated - 1), min_size=count, max_size=count))
    array = np.array(values, f"{'i' if signed else 'u'}{allocated // 8}").reshape(ROWS, COLUMNS)
    packed = pack(array, layout, rubbish, big_endian=big_endian)
    decoded = decode_native(packed, layout, big_endian=big_endian, bit_offset=0)
    assert decoded.pixels.dtype == array.dtype
    assert decoded.pixels.dtype.isnative
    assert decoded.bits_stored == stored
    np.testing.assert_array_equal(decoded.pixels, array)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("bits", [32, 64])
def test_float_pixels_come_out_as_they_are(bits: int, big_endian: bool) -> None:
    layout = Layout(2, 3, 1, bits, bits, bits - 1, False, "MONOCHROME2", kind="float")
    values = np.array([[0.5, -1e9, np.nan], [np.inf, -0.0, 3.14]], f"f{bits // 8}")
    packed = values.astype(values.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    decoded = decode_native(packed, layout, big_endian=big_endian, bit_offset=0).pixels
    assert decoded.dtype == values.dtype
    np.testing.assert_array_equal(decoded, values)


def test_expanding_leaves_its_input_alone() -> None:
    for dtype, signed in (("u2", False), ("i2", True)):
        pixels = np.arange(-30, 30).astype(dtype).reshape(6, 10)
        before = pixels.copy()
        pixels.flags.writeable = False
        expand_bits(pixels, Layout(6, 10, 1, 16, 5, 9, signed, "MONOCHROME2"))
        np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("big_endian", [False, True])
def test_planar_configurations(dtype: str, planar: bool, big_endian: bool) -> None:
    image = np.random.default_rng(3).integers(0, 256, (ROWS, COLUMNS, 3)).astype(dtype)
    laid_out = np.moveaxis(image, -1, 0) if planar else image
    bits = 8 * image.itemsize
    layout = Layout(ROWS, COLUMNS, 3, bits, bits, bits - 1, False, "RGB", planar=planar)
    packed = laid_out.astype(image.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    assert layout.frame_bits == 8 * len(packed)
    np.testing.assert_array_equal(unpack_native(packed, layout, big_endian=big_endian), image)


@pytest.mark.parametrize("label", ["YBR_FULL_422", "YBR_PARTIAL_422"])
def test_two_pixels_share_their_chroma(label: str) -> None:
    layout = Layout(2, 4, 3, 8, 8, 7, False, label)
    stored = bytes(range(16))  # Y1 Y2 Cb Cr, four times
    assert layout.frame_bits == 8 * 16
    pixels = unpack_native(stored, layout)
    assert pixels[0].tolist() == [[0, 2, 3], [1, 2, 3], [4, 6, 7], [5, 6, 7]]
    assert pixels[1].tolist() == [[8, 10, 11], [9, 10, 11], [12, 14, 15], [13, 14, 15]]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_frames_of_single_bits_begin_inside_bytes(rows: int, columns: int, frames: int, seed: int) -> None:
    masks = np.random.default_rng(seed).integers(0, 2, (frames, rows, columns)).astype(np.uint8)
    packed = np.packbits(masks.ravel(), bitorder="little").tobytes()
    layout = Layout(rows, columns, 1, 1, 1, 0, False, "MONOCHROME2")
    assert layout.frame_bits == rows * columns
    for index, mask in enumerate(masks):
        first = index * layout.frame_bits
        held = packed[first // 8 : (first + layout.frame_bits + 7) // 8]
        decoded = decode_native(held, layout, big_endian=False, bit_offset=first % 8)
        np.testing.assert_array_equal(decoded.pixels, mask)


@pytest.mark.parametrize(
    ("samples", "allocated", "photometric", "bits", "bytes_decoded"),
    [
        (1, 1, "MONOCHROME2", 35, 35),
        (1, 16, "MONOCHROME2", 560, 70),
        (3, 8, "RGB", 840, 105),
        (3, 16, "RGB", 1680, 210),
    ],
)
def test_sizes(samples: int, allocated: int, photometric: str, bits: int, bytes_decoded: int) -> None:
    layout = Layout(5, 7, samples, allocated, allocated, allocated - 1, False, photometric)
    assert (layout.frame_bits, layout.decoded_bytes) == (bits, bytes_decoded)


@pytest.mark.parametrize("fixed", [None, 8, 16, 32])
@given(st.integers(2, 63), st.booleans(), st.integers(0, 7), st.data())
def test_samples_of_any_number_of_bits_follow_without_a_gap(
    fixed: int | None, allocated: int, signed: bool, bit_offset: int, data: st.DataObject
) -> None:
    """The lowest bit is first (PS3.5 8.1.1); rubbish before and after them does not come through."""
    allocated = fixed or allocated  # whole bytes can begin inside a byte, too
    layout = Layout(ROWS, COLUMNS, 1, allocated, allocated, allocated - 1, signed, "MONOCHROME2")
    count = ROWS * COLUMNS
    stored = data.draw(st.lists(st.integers(0, 2**allocated - 1), min_size=count, max_size=count))
    stored[:2] = 0, 2**allocated - 1
    whole = sum(value << bit_offset + allocated * number for number, value in enumerate(stored))
    rubbish = (2**bit_offset - 1) | 0xFF << bit_offset + allocated * count
    length = (bit_offset + layout.frame_bits + 7) // 8
    packed = (whole | rubbish).to_bytes(length + 2, "little")[:length]
    decoded = decode_native(packed, layout, big_endian=False, bit_offset=bit_offset)
    expected = [value - 2**allocated * (signed and value >= 2 ** (allocated - 1)) for value in stored]
    assert decoded.pixels.dtype == layout.dtype
    assert decoded.pixels.ravel().tolist() == expected
