"""Stored values from bytes and bits (DICOM PS3.5 section 8, PS3.3 C.7.6.3.1)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Layout", "expand_bits", "unpack_native"]

_WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a frame's samples are laid out."""

    rows: int
    columns: int
    samples: int
    """1 (gray or palette) or 3 (color)."""
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric_interpretation: str
    planar: bool = False
    """Color by color (Planar Configuration 1) instead of pixel by pixel."""
    kind: str = "integer"
    """integer, or float for (Double) Float Pixel Data."""
    overlaid: bool = False
    """Overlay planes lie in unused bits of the samples (PS3.3 C.9.2, retired)."""
    tiled: bool = False
    """Frames are tiles of a larger image, of which those at its edge may be smaller."""

    @property
    def is_grayscale(self) -> bool:
        """One sample a pixel, which is no palette index."""
        return self.photometric_interpretation.startswith("MONOCHROME")

    @property
    def is_palette(self) -> bool:
        """One sample a pixel, which is a palette index."""
        return self.photometric_interpretation == "PALETTE COLOR"

    @property
    def subsampled(self) -> bool:
        """Two pixels share one pair of chroma samples in native data (YBR_FULL_422, YBR_PARTIAL_422)."""
        return self.samples == 3 and self.photometric_interpretation.endswith("_422")

    @property
    def frame_bits(self) -> int:
        """Bits that one frame takes in native encoding; frames of single bits follow without a gap."""
        samples = 2 * self.rows * self.columns if self.subsampled else self.rows * self.columns * self.samples
        return samples * self.bits_allocated

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the decoded frame."""
        return self.rows * self.columns * self.samples * self.dtype.itemsize

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a decoded sample."""
        kind = "f" if self.kind == "float" else "i" if self.signed else "u"
        width = next(width for width in _WIDTHS if self.bits_allocated <= width)
        return np.dtype(f"{kind}{width // 8}")


def unpack_native(
    data: bytes | memoryview, layout: Layout, *, big_endian: bool = False, bit_offset: int = 0
) -> NDArray[Any]:
    """Unpack the bytes of one native frame into samples that are not yet masked (PS3.5 section 8.1, PS3.3 C.7.6.3.1).

    `bit_offset` is where a frame of packed samples (single bits, or the 12 of ACR-NEMA) begins in its first byte (0…7).
    Returns (rows, columns) or (rows, columns, 3) of `layout.dtype`. Raises ValueError where bytes are missing.
    """
    if layout.bits_allocated in _WIDTHS and not bit_offset:
        stored = layout.dtype.newbyteorder(">" if big_endian else "<")
        samples = np.frombuffer(data, stored).astype(layout.dtype, copy=False)
    else:
        samples = _unpack_bits(data, layout, bit_offset)
    if layout.subsampled:
        return _upsample_422(samples, layout)
    if layout.samples == 1:
        return samples.reshape(layout.rows, layout.columns)
    if layout.planar:
        return np.moveaxis(samples.reshape(3, layout.rows, layout.columns), 0, -1)
    return samples.reshape(layout.rows, layout.columns, 3)


def _unpack_bits(data: bytes | memoryview, layout: Layout, bit_offset: int) -> NDArray[Any]:
    """Samples that follow each other without regard to bytes, the lowest bit first (PS3.5 8.1.1)."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    samples = bits[bit_offset : bit_offset + layout.frame_bits].reshape(-1, layout.bits_allocated)
    if layout.bits_allocated == 1:
        return samples
    room = np.zeros((len(samples), 8 * layout.dtype.itemsize), np.uint8)
    room[:, : layout.bits_allocated] = samples
    return np.packbits(room, axis=1, bitorder="little").view(layout.dtype.newbyteorder("<")).astype(layout.dtype)


def expand_bits(pixels: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Keep the stored bits of each sample and extend its sign (PS3.5 8.1.1).

    `pixels` is of any shape and dtype; bits beyond Bits Stored and High Bit, overlays or garbage, are cleared. Returns
    the same shape and dtype, signed where `layout` is.
    """
    shift = layout.high_bit + 1 - layout.bits_stored
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype.kind == "f" or (shift == 0 and layout.bits_stored >= bits):
        return pixels
    if layout.signed:
        left = bits - layout.bits_stored - shift
        signed: NDArray[Any] = pixels.view(f"i{pixels.dtype.itemsize}")
        return (signed << left) >> (left + shift)
    mask = pixels.dtype.type(2**layout.bits_stored - 1)
    if shift == 0 and pixels.size and pixels.max() <= mask:  # nothing to clear, which is faster to see than to do
        return pixels
    return (pixels >> shift) & mask if shift else pixels & mask


def _upsample_422(samples: NDArray[Any], layout: Layout) -> NDArray[Any]:
    quads = samples.reshape(layout.rows, layout.columns // 2, 4)  # Y1 Y2 Cb Cr, PS3.3 C.7.6.3.1.2
    ybr = np.empty((layout.rows, layout.columns, 3), samples.dtype)
    ybr[:, 0::2, 0], ybr[:, 1::2, 0] = quads[..., 0], quads[..., 1]
    ybr[:, 0::2, 1:] = ybr[:, 1::2, 1:] = quads[..., 2:]
    return ybr
