"""JPEG 2000 and High-Throughput JPEG 2000, whole or at a reduced resolution (ITU-T T.800, T.814; DICOM PS3.5 8.2.4)."""

import io
from dataclasses import replace
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ErrorCode, InputError
from dicomprep.pixels.codecs.base import Decoded, Detail, are_installed, check_codestream, match_layout, measure_excess
from dicomprep.pixels.codecs.damage import require_sound_packets
from dicomprep.pixels.codecs.jpeg2000_packets import without_fine_passes
from dicomprep.pixels.codecs.markers import Codestream, bare_jpeg2000, read_jpeg2000
from dicomprep.pixels.codecs.transfer_syntaxes import JPEG_2000
from dicomprep.pixels.resampling import Grid
from dicomprep.pixels.stored import Layout

__all__ = ["DEPENDENCIES", "TRANSFER_SYNTAXES", "decode", "is_available"]

TRANSFER_SYNTAXES = JPEG_2000
DEPENDENCIES: tuple[str, ...] = ("imagecodecs", "PIL")

_END = b"\xff\xd9"


def is_available() -> bool:
    """Whether OpenJPEG can be loaded, in full and through Pillow at a reduced resolution."""
    return are_installed(DEPENDENCIES)


def decode(data: bytes, layout: Layout, *, transfer_syntax: str, detail: Detail) -> Decoded:
    """Decode one frame of JPEG 2000 Part 1, Part 2 or High-Throughput, by OpenJPEG.

    Returns (rows, columns) or (rows, columns, 3), at a fraction of the size as far as `detail` allows it and the
    codestream has levels for it, and without its lowest bits. (OpenJPH is faster, but lets lossy samples beyond the
    range wrap around and does not tell of a stream that is cut.) Raises InputError `truncated`, `corrupt_pixels`,
    `limit_exceeded`, `unsupported_pixels`.
    """
    data = bare_jpeg2000(data)
    stream = check_codestream(read_jpeg2000(data), layout, data)
    if not detail.checked:
        require_sound_packets(data, partial(imagecodecs.jpeg2k_decode, data, planar=False))
    if data[stream.end : stream.end + 2] != _END:  # OpenJPEG insists on it
        data = data[: stream.end] + _END
    levels = min(detail.reduction, stream.levels) if _is_reducible(stream, layout) else 0
    as_stated = (stream.bits, stream.signed) == (layout.bits_stored, layout.signed)
    tolerance = (
        detail.tolerance if as_stated else 0.0
    )  # else rounding might carry a value beyond what the header has room for
    thin, step = without_fine_passes(
        data, reduction=levels, tolerance=tolerance, shrink=detail.shrink, region=detail.region
    )
    pixels = _decode_reduced(thin, stream, levels) if levels else imagecodecs.jpeg2k_decode(thin, planar=False)
    if pixels is None or (levels and stream.bits > layout.bits_stored and measure_excess(pixels, layout)):
        levels, step, pixels = 0, 0, imagecodecs.jpeg2k_decode(data, planar=False)
    decoded = match_layout(pixels, stream, layout, "OpenJPEG", photometric=_color_space(stream, layout))
    # samples of a low-pass image lie on every 2ⁿ-th pixel, not in the middle of a block (T.800 annex F)
    return replace(decoded, grid=Grid(2**levels, phase=0.5 - 0.5 / 2**levels), step=step)


def _color_space(stream: Codestream, layout: Layout) -> str:
    """What comes out of the decoder: RGB where it undid a component transformation or brought chroma to full size.

    Else the components are what went in, whose label tells them apart only as RGB or YCbCr: without a transformation
    in the codestream, YBR_RCT and YBR_ICT have nothing else that they could mean (PS3.5 8.2.4).
    """
    label = layout.photometric_interpretation
    if layout.samples != 3 or not label.startswith("YBR"):
        return label
    if stream.component_transform is None:
        raise InputError(
            ErrorCode.UNSUPPORTED_PIXELS, "JPEG 2000 tiles with mixed component transformations are not supported"
        )
    if stream.component_transform or stream.subsampled:
        return "RGB"
    return label if label.startswith("YBR_PARTIAL") else "YBR_FULL"


def _is_reducible(stream: Codestream, layout: Layout) -> bool:
    """Whether Pillow gives back what the codestream holds, and its low-pass images mean what the header says."""
    deepest = 16 if stream.components == 1 else 8
    hidden = layout.overlaid or layout.high_bit >= layout.bits_stored  # means would mix them into the image
    plain = stream.bits <= layout.bits_stored or not hidden
    return plain and stream.signed == layout.signed and stream.bits <= deepest


def _decode_reduced(data: bytes, stream: Codestream, levels: int) -> NDArray[Any] | None:
    """By Pillow, the only one here that hands OpenJPEG the level.

    It takes the reduced size as rounded where the standard says rounded up (T.800 B-15), so it is told a size for
    which both agree; it shifts samples up to 8 or 16 bits and makes signed ones unsigned, which is undone.
    None where it stumbles: decoding in full then shows what is wrong, if anything is.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG2000"])
        width, height = (-(-length >> levels) << levels for length in image.size)
        image._size = (width, height)
        image.reduce = levels  # type: ignore[assignment,method-assign]
        shifted = np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return None
    samples = shifted >> (8 * shifted.itemsize - stream.bits)
    return samples.astype(np.int32) - 2 ** (stream.bits - 1) if stream.signed else samples
