"""JPEG 2000 and High-Throughput JPEG 2000, whole or at a reduced resolution (ITU-T T.800, T.814; DICOM PS3.5 8.2.4)."""

import io
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicomprep.pixels.codestream import Codestream, bare_jpeg2000, read_jpeg2000
from dicomprep.pixels.decoded import Decoded, Detail, checked, matched
from dicomprep.pixels.geometry import Grid
from dicomprep.pixels.packets import without_fine_passes
from dicomprep.pixels.stored import Layout

__all__ = ["decode_jpeg2000"]

_END = b"\xff\xd9"


def decode_jpeg2000(data: bytes, layout: Layout, detail: Detail) -> Decoded:
    """Part 1, Part 2 and High-Throughput, by OpenJPEG.

    At a fraction of the size, as far as the codestream has levels for it, and without its lowest bits. (OpenJPH is
    faster, but lets lossy samples beyond the range wrap around and does not tell of a stream that is cut.)
    """
    data = bare_jpeg2000(data)
    stream = checked(read_jpeg2000(data), layout, data)
    if data[stream.end : stream.end + 2] != _END:  # OpenJPEG insists on it
        data = data[: stream.end] + _END
    levels = min(detail.reduction, stream.levels) if _is_reducible(stream, layout) else 0
    as_stated = (stream.bits, stream.signed) == (layout.bits_stored, layout.signed)
    tolerance = (
        detail.tolerance if as_stated else 0.0
    )  # else rounding might carry a value beyond what the header has room for
    data, step = without_fine_passes(data, reduction=levels, tolerance=tolerance, shrink=detail.shrink)
    pixels = _decode_reduced(data, stream, levels) if levels else None
    if pixels is None:
        levels, pixels = 0, imagecodecs.jpeg2k_decode(data, planar=False)
    # decoders undo YBR_RCT and YBR_ICT (PS3.5 8.2.4); any other label stays true
    label = layout.photometric_interpretation
    photometric = "RGB" if label in ("YBR_RCT", "YBR_ICT") else label
    decoded = matched(pixels, stream, layout, "OpenJPEG", photometric=photometric)
    # samples of a low-pass image lie on every 2ⁿ-th pixel, not in the middle of a block (T.800 annex F)
    return replace(decoded, grid=Grid(2**levels, phase=0.5 - 0.5 / 2**levels), step=step)


def _is_reducible(stream: Codestream, layout: Layout) -> bool:
    """Whether Pillow gives back what the codestream holds, and its low-pass images mean what the header says."""
    deepest = 16 if stream.components == 1 else 8
    return stream.signed == layout.signed and stream.bits <= deepest


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
