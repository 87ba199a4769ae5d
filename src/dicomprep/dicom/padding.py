"""Which stored values stand for no measurement (DICOM PS3.3 C.7.5.1.1.2)."""

from collections.abc import Sequence

from dicomprep.dicom.attributes import Attributes, label
from dicomprep.dicom.tables import Notes
from dicomprep.errors import InputError
from dicomprep.pixels.codecs.transfer_syntaxes import LOSSY
from dicomprep.pixels.intensity import GrayscaleTransform, LookupTable, Rescale, ValueRange, Window
from dicomprep.pixels.stored import Layout

__all__ = ["build_grayscale_transforms", "is_lossy", "padding_noise", "read_padding"]

NOISE = 0.01
"""What a lossy codec adds to a constant background: this share of the values that 12 or fewer bits hold."""

VISIBLE = 0.04
"""Values that lie nearer to the padding than this share of the window look like it."""

Modality = Rescale | LookupTable
Voi = Window | LookupTable | ValueRange
Ends = tuple[int, int]
"""The lowest and the highest stored value that stand for padding."""


def read_padding(root: Attributes, layout: Layout) -> tuple[Ends | None, Notes]:
    """Lowest and highest stored value that stand for padding, and what had to be corrected."""
    ends = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        try:
            value = root.integer(keyword)
        except InputError:
            return None, (f"{label(keyword)} is malformed; no padding assumed",)
        ends += [] if value is None else [_as_stored(value, layout)]
    if layout.kind == "float" or "PixelPaddingValue" not in root or not ends:
        return None, ()
    return (min(ends), max(ends)), ()


def is_lossy(root: Attributes, transfer_syntax: str) -> bool:
    """Whether stored values are not those that were there before an earlier or the present compression."""
    stated = root.text("LossyImageCompression")
    return stated == "01" or (stated != "00" and transfer_syntax in LOSSY)


def padding_noise(layout: Layout) -> int:
    """How far lossy compression moves the stored values of an even background."""
    return max(1, round(NOISE * 2 ** min(layout.bits_stored, 12)))


def build_grayscale_transforms(
    modality: Modality, vois: Sequence[Voi], *, inverted: bool, padding: Ends | None, noise: int
) -> tuple[GrayscaleTransform, ...]:
    """A rule for each of `vois`; `noise` is how far padding may lie from its value after lossy compression."""
    if padding is None or noise == 0:
        return tuple(GrayscaleTransform(modality, voi, inverted, padding) for voi in vois)
    return tuple(GrayscaleTransform(modality, voi, inverted, _widen(padding, noise, modality, voi)) for voi in vois)


def _widen(padding: Ends, noise: int, modality: Modality, voi: Voi) -> Ends:
    """Padding and what a lossy codec made of it, as far as that is not far from it in the window.

    Compared by equality, the background of a lossy image falls into what is still padding and what is drawn.
    """
    slope = abs(modality.slope) if isinstance(modality, Rescale) else 1.0
    if isinstance(voi, LookupTable):
        width = float(len(voi.values))
    else:
        width = voi.width if isinstance(voi, Window) else voi.high - voi.low
    reach = min(noise, round(VISIBLE * width / slope))
    return padding[0] - reach, padding[1] + reach


def _as_stored(value: int, layout: Layout) -> int:
    """Padding written with the other signedness, as it is stored."""
    span = 2**layout.bits_allocated
    if layout.signed and value >= span // 2:
        return value - span
    return value + span if not layout.signed and value < 0 else value
