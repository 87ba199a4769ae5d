"""What every decoder gives back, and what is held against the header before and after it decodes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codestream import Codestream
from dicomprep.pixels.geometry import EVERY_PIXEL, Grid, halve
from dicomprep.pixels.stored import Layout, expand_bits

__all__ = ["WHOLE", "Decoded", "Detail", "checked", "matched", "reduced"]


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a frame is wanted; a codec that cannot leave anything out gives all of it."""

    reduction: int = 0
    """It may be halved so often."""
    tolerance: float = 0.0
    """Stored values may be rounded to steps of so much."""
    shrink: float = 1.0
    """So many rows and columns of the image become one of the thumbnail."""


WHOLE = Detail()

MOST_PARTS = 2**21
"""Precincts or code-blocks of a JPEG 2000 component."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Samples of one frame, masked and sign-extended: (rows, columns) or (rows, columns, 3)."""

    pixels: NDArray[Any]
    photometric_interpretation: str
    bits_stored: int
    decoder: str
    notes: tuple[str, ...] = ()
    grid: Grid = EVERY_PIXEL
    """Where the samples lie in the image, of which some codecs decode a smaller version."""
    step: int = 0
    """Samples are rounded to about such steps, fine detail more coarsely; 0: they are as they were stored."""
    digest: bytes = b""
    """Of all stored values; of the codestream where only a part of it was decoded."""


def checked(stream: Codestream, layout: Layout, data: bytes) -> Codestream:
    """Refuse a codestream that is cut or that is not the image of which the header speaks."""
    found = (stream.rows, stream.columns, stream.components)
    wanted = (layout.rows, layout.columns, layout.samples)
    if found != wanted:
        said = "{}×{} with {} component(s)"
        message = f"the codestream is {said.format(*found)}, the header says {said.format(*wanted)}"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if stream.parts > MOST_PARTS:
        message = "the JPEG 2000 image is divided into more precincts or code-blocks than are decoded"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if not stream.complete:
        raise InputError(ErrorCode.TRUNCATED, f"the codestream breaks off after {len(data):,} bytes")
    return stream


def matched(
    pixels: NDArray[Any],
    stream: Codestream,
    layout: Layout,
    decoder: str,
    *,
    photometric: str | None = None,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Give decoded samples the header's type, with the bits that the codestream really has."""
    bits = stream.bits
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if bits > layout.bits_stored and not stream.signed and int(pixels.max()) < 2**layout.bits_stored:
        bits = layout.bits_stored  # the codestream has room for more, as a word of native data has
    elif bits != layout.bits_stored:
        notes = (*notes, f"the header says {layout.bits_stored} bits stored, the codestream has {bits}")
    if stream.signed and layout.samples == 3:
        pixels = pixels.astype(np.int64) + 2 ** (stream.bits - 1)
        notes = (*notes, "the codestream's colours are signed; their middle is taken as half of the range")
    width = next(width for width in (8, 16, 32) if bits <= width)
    typed = pixels.astype(np.dtype(f"{'i' if layout.signed else 'u'}{width // 8}"), copy=False)
    true_layout = replace(layout, bits_allocated=width, bits_stored=bits, high_bit=bits - 1)
    label = photometric or layout.photometric_interpretation
    return Decoded(expand_bits(typed, true_layout), label, bits, decoder, notes)


def reduced(decoded: Decoded, *, times: int) -> Decoded:
    """The same frame at 1/2ⁿ of its size, as means of blocks; unchanged where its samples are of more than 16 bits."""
    if times == 0 or decoded.pixels.dtype.str[1:] not in ("u1", "u2", "i2"):
        return decoded
    grid = Grid(decoded.grid.step * 2**times, decoded.grid.phase)
    return replace(decoded, pixels=halve(decoded.pixels, times=times), grid=grid)
