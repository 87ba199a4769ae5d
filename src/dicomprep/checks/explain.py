"""What was done to a frame, step by step, in words and numbers that a physicist can check."""

from collections.abc import Iterator

import numpy as np

from dicomprep.config import ImageOptions
from dicomprep.dicom.grayscale import PRESET_NOT_USED
from dicomprep.dicom.header import name_syntax
from dicomprep.dicom.provenance import Provenance
from dicomprep.models import Frame, Thumbnail
from dicomprep.pipeline.stages.decode import DicomImage
from dicomprep.pixels.intensity import (
    GrayscaleTransform,
    LookupTable,
    Rescale,
    ValueRange,
    Window,
    draw_grayscale,
    linear_ends,
)

__all__ = ["explain_frame", "explain_image", "explain_thumbnail"]

Rows = Iterator[tuple[str, str]]
"""(name, value)."""

SECTIONS = {"LINEAR": "C.11.2.1.2.1", "SIGMOID": "C.11.2.1.3.1", "LINEAR_EXACT": "C.11.2.1.3.2"}


def explain_image(image: DicomImage) -> Rows:
    """What holds for all frames of the file."""
    instance, layout = image.instance, image.layout
    if instance.modality:
        yield "Modality", instance.modality
    yield "Transfer syntax", name_syntax(instance.transfer_syntax or "")
    yield "Frames", str(image.frame_count)
    sign = "float" if layout.kind == "float" else "signed" if layout.signed else "unsigned"
    where = "" if layout.high_bit == layout.bits_stored - 1 else f", High Bit {layout.high_bit}"
    bits = f"{layout.bits_stored} of {layout.bits_allocated} bits{where}, {sign}"
    yield "Pixels", f"{layout.rows}×{layout.columns}, {layout.photometric_interpretation}, {bits}"


def explain_frame(frame: Frame, provenance: Provenance, options: ImageOptions) -> Rows:
    """From stored values to grey or colour."""
    decoded = f", at 1/{frame.grid.step} of its rows and columns" if frame.grid.step > 1 else ""
    yield "Decoded by", frame.decoder + decoded + (f"; {provenance.loss}" if provenance.loss else "")
    yield "Stored values", f"{frame.pixels.min()} … {frame.pixels.max()}"
    for grayscale in frame.grayscale:
        yield from _explain_grayscale(grayscale, frame, provenance, options)
    if frame.palette is not None:
        entries = f"{len(frame.palette)} entries from stored value {frame.palette_first}"
        yield "Palette", f"{entries}; values beyond take the first or last (PS3.3 C.7.6.3.1.5)"
    elif not frame.grayscale:
        yield "Colour", f"{frame.photometric_interpretation} after decoding, {frame.bits_stored} bits"
    yield "Pixel shape", provenance.spacing or "nothing is said of it; taken as square"
    for note in frame.notes:
        yield "Note", note


def explain_thumbnail(thumbnail: Thumbnail, aspect: float) -> Rows:
    """From the frame's own size to the square."""
    geometry, intensity = thumbnail.transform["geometry"], thumbnail.transform["intensity"]
    if "icc" in intensity:
        yield "ICC profile", intensity["icc"]
    crop, scaled, offset = geometry["crop_shape"], geometry["scaled_shape"], geometry["offset"]
    shrinks, grows = (any(a > b for a, b in zip(*pair, strict=True)) for pair in ((crop, scaled), (scaled, crop)))
    how = " then ".join(["means over areas"] * shrinks + ["cubic"] * grows) or "as it is"
    square = f", which makes pixels {aspect:g} times as high as wide square" if aspect != 1 else ""
    yield "Scaled", f"{crop[0]}×{crop[1]} to {scaled[0]}×{scaled[1]} ({how}){square}"
    yield "Placed", f"at row {offset[0]}, column {offset[1]} of {geometry['size']}×{geometry['size']}"


def _explain_grayscale(
    grayscale: GrayscaleTransform, frame: Frame, provenance: Provenance, options: ImageOptions
) -> Rows:
    unit = provenance.table_units if isinstance(grayscale.modality, LookupTable) else provenance.units
    units = f" {unit}" if unit else ""
    yield "Modality rule", _explain_modality(grayscale.modality, provenance)
    asked = bool(options.windows) and PRESET_NOT_USED not in frame.notes
    yield "VOI rule", _explain_voi(grayscale.voi, units, provenance, asked=asked)
    drawn = draw_grayscale(frame.pixels, grayscale=grayscale, bits_stored=frame.bits_stored, depth=8)
    padding = np.zeros(drawn.shape, bool)
    if grayscale.padding is not None:
        padding = (frame.pixels >= grayscale.padding[0]) & (frame.pixels <= grayscale.padding[1])
    measured = drawn[~padding]
    ends = linear_ends(grayscale.voi)
    if ends is not None and measured.size:
        first, last = ("white", "black") if grayscale.inverted else ("black", "white")
        low, high = (np.mean(measured == level) for level in ((255, 0) if grayscale.inverted else (0, 255)))
        step = f"; one of 255 grey steps is {(ends[1] - ends[0]) / 255:.3g}{units}" if ends[1] > ends[0] else ""
        shares = f"{first} up to {ends[0]:g}{units} ({low:.1%} of the pixels{' but padding' if padding.any() else ''})"
        yield "Shown", f"{shares}, {last} {'from' if step else 'above'} {ends[1]:g}{units} ({high:.1%}){step}"
    label = frame.photometric_interpretation
    shape = f", by Presentation LUT Shape (2050,0020) {provenance.shape}" if provenance.shape else ""
    yield "Low values", f"{'bright' if grayscale.inverted else 'dark'}: {label}{shape}"
    if grayscale.padding is not None:
        share = f"{padding.mean():.1%} of all pixels"
        yield (
            "Padding",
            f"stored values {grayscale.padding[0]} … {grayscale.padding[1]}, {share}, are drawn as background",
        )


def _explain_modality(modality: Rescale | LookupTable, provenance: Provenance) -> str:
    if isinstance(modality, LookupTable):
        return f"a table of {len(modality.values)} entries from {modality.first}; {provenance.modality_table}"
    if not provenance.rescale:
        return "none that can be used: values are taken as they are stored"
    sign = "−" if modality.intercept < 0 else "+"
    shift = f" {sign} {abs(modality.intercept):g}" if modality.intercept else ""
    formula = f"{modality.slope:g} × stored value{shift}"
    return f"{provenance.units or 'value'} = {formula}; {provenance.rescale}"


def _explain_voi(voi: Window | LookupTable | ValueRange, units: str, provenance: Provenance, *, asked: bool) -> str:
    if isinstance(voi, LookupTable):
        return (
            f"a table of {len(voi.values)} entries of {voi.bits} bits from {voi.first}{units}; {provenance.voi_table}"
        )
    if isinstance(voi, Window):
        section, whose = SECTIONS[voi.function], "--window" if asked else provenance.window
        return f"window center {voi.center:g}, width {voi.width:g}{units}, {voi.function} (PS3.3 {section}); {whose}"
    none = "no window can be used" if provenance.window or provenance.voi_table else "no window is stated"
    return f"{none}: {voi.low:g} … {voi.high:g}{units} ({voi.rule})"
