"""Grey under a header of colour and colour under one of grey: the codestream knows how many components it has."""

from dataclasses import replace

from dicomprep.pixels.codecs.markers import read_codestream
from dicomprep.pixels.codecs.rle import count_segments
from dicomprep.pixels.stored import Layout

__all__ = ["resolve_components"]

RLE_LOSSLESS = "1.2.840.10008.1.2.5"
_BASELINE = frozenset(range(0xC0, 0xD0)) - {0xC3}
"""Frame markers of a DCT, before which three components were turned into YCbCr."""


def resolve_components(head: bytes, layout: Layout, syntax: str) -> tuple[Layout, tuple[str, ...]]:
    """The layout of frames of which the first begins with `head`, and what had to be corrected.

    One component is grey and three are colour, whatever the header calls them; any other number is left to the
    decoder, which refuses it.
    """
    found, transformed = _count_components(head, layout, syntax)
    if found == layout.samples or found not in (1, 3):
        return layout, ()
    note = (
        f"the header says {layout.samples} samples of {layout.photometric_interpretation}, the codestream has {found}"
    )
    label = "MONOCHROME2" if found == 1 else "YBR_FULL" if transformed else "RGB"
    return replace(layout, samples=found, photometric_interpretation=label, signed=False, planar=False), (note,)


def _count_components(head: bytes, layout: Layout, syntax: str) -> tuple[int, bool]:
    """Components of a codestream (0: it does not tell), and whether such as these are YCbCr by custom."""
    if syntax == RLE_LOSSLESS:
        width = layout.bits_allocated // 8
        segments = count_segments(head)
        return segments // width if width and segments % width == 0 else 0, False
    stream = read_codestream(head)
    return (stream.components, stream.process in _BASELINE) if stream is not None else (0, False)
