"""The result of every decoder, and the checks against the header before and after decoding."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.markers import Codestream
from dicomprep.pixels.geometry import Box
from dicomprep.pixels.resampling import EVERY_PIXEL, Grid, halve
from dicomprep.pixels.similarity import Overview
from dicomprep.pixels.stored import Layout, expand_bits

__all__ = [
    "FULL_DETAIL",
    "Decoded",
    "Decoder",
    "Detail",
    "Halvings",
    "are_installed",
    "check_codestream",
    "match_layout",
    "measure_excess",
    "pad_tile",
    "reduce_resolution",
]


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a frame is wanted; a codec that cannot leave anything out gives all of it."""

    reduction: int = 0
    """It may be halved so often."""
    tolerance: float = 0.0
    """Stored values may be rounded to steps of so much."""
    shrink: float = 1.0
    """Rows and columns of the image per row and column of the thumbnail."""
    region: Box | None = None
    """The only part that is looked at, in pixels of the image."""
    checked: bool = False
    """The codestream was searched for damage already, or nothing is made of it."""


FULL_DETAIL = Detail()

OVERSHOOT = 8
"""Lossy codecs leave the range by less than this part of it; what is farther off was put there."""

MAX_STREAM_PARTS = 2**21
"""Precincts or code-blocks of a JPEG 2000 component; bounds memory."""

FREE_PIXELS = 2**26
"""Pixels that any image may have, however few bytes code it."""

MAX_PIXELS_PER_BYTE = 2**16
"""Pixels that a byte of a larger image may stand for; an empty image of a scanner's size needs far fewer."""


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
    """Of all stored values; of the codestream where frames of this kind and size are mostly decoded in part."""
    overview: Overview | None = None
    """What it looks like."""
    stream_digest: bytes = b""
    """Of the codestream; empty where the frame has none of its own."""


class Decoder(Protocol):
    """What each decoder file offers; the registry picks one by transfer syntax."""

    TRANSFER_SYNTAXES: frozenset[str]
    DEPENDENCIES: tuple[str, ...]
    """Packages that it imports."""

    def is_available(self) -> bool:
        """Whether these are installed."""
        ...

    def decode(self, data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
        """Decode one frame. Returns (rows, columns[, 3]) pixels; InputError where that cannot be done."""
        ...


def are_installed(packages: Iterable[str]) -> bool:
    """Whether all packages can be imported, which is not done."""
    return all(importlib.util.find_spec(package) is not None for package in packages)


def check_codestream(stream: Codestream, layout: Layout, data: bytes) -> Codestream:
    """Refuse a codestream that is cut or that is not the image of which the header speaks."""
    if (stream.rows, stream.columns) != (layout.rows, layout.columns):
        found, wanted = f"{stream.rows}×{stream.columns}", f"{layout.rows}×{layout.columns}"
        message = f"{stream.name} stream size ({found}) contradicts Rows/Columns ({wanted})"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if stream.components != layout.samples:
        found = f"{stream.name} stream with {stream.components} component(s)"
        message = f"{found} contradicts Samples per Pixel (0028,0002) {layout.samples}"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if stream.parts > MAX_STREAM_PARTS:
        message = "too many JPEG 2000 precincts or code-blocks"
        raise InputError(ErrorCode.CORRUPT_PIXELS, message)
    if stream.rows * stream.columns > max(FREE_PIXELS, MAX_PIXELS_PER_BYTE * len(data)):
        size = f"{stream.rows:,}×{stream.columns:,}"
        message = f"implausible {stream.name} stream: {size} pixels in {len(data):,} bytes"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, message)
    if not stream.complete:
        raise InputError(
            ErrorCode.TRUNCATED, f"{stream.name} stream truncated after {len(data):,} bytes (no end marker)"
        )
    return stream


def match_layout(
    pixels: NDArray[Any],
    stream: Codestream,
    layout: Layout,
    decoder: str,
    *,
    photometric: str | None = None,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Give decoded samples the type of the layout, with the bits that the codestream really has.

    `pixels` is (rows, columns), (rows, columns, 1) or (rows, columns, 3), as the decoder gives it. Returns a Decoded of
    (rows, columns) or (rows, columns, 3), masked and sign-extended, with a note where stream and layout differ.
    """
    bits = stream.bits
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if stream.signed and layout.samples == 3:
        pixels = pixels.astype(np.int64) + 2 ** (stream.bits - 1)
        notes = (*notes, "codestream has signed color samples; shifted to unsigned")
    width = next(width for width in (8, 16, 32) if bits <= width)
    typed = pixels.astype(np.dtype(f"{'i' if layout.signed else 'u'}{width // 8}"), copy=False)
    coded = expand_bits(typed, replace(layout, bits_allocated=width, bits_stored=bits, high_bit=bits - 1))
    stored, bits = _stored_values(coded, stream, layout)
    if bits != layout.bits_stored:
        notes = (*notes, f"Bits Stored (0028,0101) is {layout.bits_stored}, codestream has {bits} bits")
    label = photometric or layout.photometric_interpretation
    return Decoded(stored, label, bits, decoder, notes)


def _stored_values(coded: NDArray[Any], stream: Codestream, layout: Layout) -> tuple[NDArray[Any], int]:
    """The part of each coded sample that is stored value, and its bits.

    As in native data, that is what Bits Stored and High Bit say where the codestream holds whole cells, overlays
    and rubbish among them. Where nothing explains what is beyond, the header is wrong, and the codestream wins.
    """
    stored, shifted = layout.bits_stored, layout.high_bit >= layout.bits_stored
    if stream.bits <= stored:
        return coded, stream.bits
    holds_cells = stream.bits == layout.bits_allocated or layout.overlaid or stream.bits == layout.high_bit + 1
    if shifted and stream.bits > layout.high_bit and holds_cells:
        return expand_bits(coded, layout), stored
    beyond = measure_excess(coded, layout)
    if beyond == 0:
        return coded, stored
    if stream.lossy and not layout.overlaid and beyond <= 2**stored // OVERSHOOT:
        low, high = _range_of(layout)
        return np.clip(coded, low, high), stored
    if holds_cells and (layout.signed or not stream.signed):
        return expand_bits(coded, replace(layout, high_bit=stored - 1)), stored
    return coded, stream.bits


def measure_excess(coded: NDArray[Any], layout: Layout) -> int:
    """Measure how far samples go beyond what Bits Stored has room for, in stored values; 0 where they do not.

    `coded` is (rows, columns) or (rows, columns, 3) of integers.
    """
    low, high = _range_of(layout)
    below = low - int(coded.min()) if coded.dtype.kind == "i" else 0
    return max(0, int(coded.max()) - high, below)


def _range_of(layout: Layout) -> tuple[int, int]:
    half = 2 ** (layout.bits_stored - 1)
    return (-half, half - 1) if layout.signed else (0, 2 * half - 1)


def reduce_resolution(decoded: Decoded, *, times: int) -> Decoded:
    """Reduce a frame to 1/2ⁿ of its rows and columns, as means of blocks.

    `decoded` holds (rows, columns[, 3]). Returns (rows / 2ⁿ, columns / 2ⁿ[, 3]) of the same dtype, rounded up;
    unchanged where its samples are of more than 16 bits.
    """
    if times == 0 or decoded.pixels.dtype.str[1:] not in ("u1", "u2", "i2"):
        return decoded
    grid = Grid(decoded.grid.step * 2**times, decoded.grid.phase)
    return replace(decoded, pixels=halve(decoded.pixels, times=times), grid=grid)


@dataclass(slots=True)
class Halvings:
    """A frame that was decoded in full, and the smaller ones that are made of it, each once."""

    whole: Decoded
    _smaller: list[Decoded] = field(default_factory=list)

    def at(self, times: int) -> Decoded:
        """Halve the frame n = `times`.

        Returns a Decoded of (rows / 2ⁿ, columns / 2ⁿ[, 3]), with all that is known of the whole frame.
        """
        while len(self._smaller) < times:
            self._smaller.append(reduce_resolution(self._smaller[-1] if self._smaller else self.whole, times=1))
        found = self._smaller[times - 1] if times else self.whole
        return replace(self.whole, pixels=found.pixels, grid=found.grid)


def pad_tile(decoded: Decoded, layout: Layout) -> Decoded:
    """Place a smaller tile of a slide's edge at the top left of a frame that is black elsewhere (PS3.3 C.8.12.4.1).

    `decoded` holds (rows, columns[, 3]) of the tile. Returns a Decoded of the frame's (rows, columns[, 3]).
    """
    step = decoded.grid.step
    pixels = decoded.pixels
    whole = np.empty((-(-layout.rows // step), -(-layout.columns // step), *pixels.shape[2:]), pixels.dtype)
    label, top = decoded.photometric_interpretation, 2**decoded.bits_stored
    black = {"MONOCHROME1": top - 1, "YBR_FULL": (0, top // 2, top // 2), "YBR_FULL_422": (0, top // 2, top // 2)}
    whole[:] = black.get(label, 0)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    note = f"tile smaller than the frame of {layout.rows}×{layout.columns}; padded with black"
    return replace(decoded, pixels=whole, notes=(*decoded.notes, note))
