"""What was done to a frame, step by step, in words and numbers that a medical physicist can check."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import ImageOptions
from dicomprep.dicom.header import name_syntax
from dicomprep.dicom.provenance import Provenance
from dicomprep.dicom.windows import NO_SUCH_WINDOW, PRESET_NOT_USED
from dicomprep.errors import count_of
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
from dicomprep.pixels.windows import AskedWindow
from dicomprep.privacy.references import Reference, References

__all__ = ["Rows", "explain_frame", "explain_image", "explain_references", "explain_thumbnail"]

Rows = Iterator[tuple[str, str]]
"""(name, value)."""

MAX_STATEMENTS = 100
"""Of what a file says of images, that are listed."""

SECTIONS = {"LINEAR": "C.11.2.1.2.1", "SIGMOID": "C.11.2.1.3.1", "LINEAR_EXACT": "C.11.2.1.3.2"}


def explain_image(image: DicomImage) -> Rows:
    """What holds for all frames of the file."""
    instance, layout = image.instance, image.layout
    if instance.modality:
        yield "Modality", instance.modality
    yield "Kind", f"{instance.tags.kind} ({instance.tags.kind_reason})"
    yield "Transfer syntax", name_syntax(instance.transfer_syntax or "")
    yield "Frames", str(image.frame_count)
    sign = "float" if layout.kind == "float" else "signed" if layout.signed else "unsigned"
    high_bit = "" if layout.high_bit == layout.bits_stored - 1 else f", high bit {layout.high_bit}"
    bits = f"{layout.bits_stored} of {layout.bits_allocated} bits stored{high_bit}, {sign}"
    yield "Pixels", f"{layout.rows}×{layout.columns}, {layout.photometric_interpretation}, {bits}"


def explain_frame(frame: Frame, provenance: Provenance, options: ImageOptions) -> Rows:
    """From stored values to gray or color."""
    reduced = f", at 1/{frame.grid.step} of its rows and columns" if frame.grid.step > 1 else ""
    yield "Decoder", frame.decoder + reduced + (f"; {provenance.loss}" if provenance.loss else "")
    yield "Stored values", f"{frame.pixels.min()} … {frame.pixels.max()}"
    for number, grayscale in enumerate(frame.grayscale):
        is_users = number < len(options.windows) and _is_used(options.windows[number], frame)
        yield from _explain_grayscale(grayscale, frame, provenance, is_users=is_users)
    if frame.palette is not None:
        entries = f"{len(frame.palette)} entries from stored value {frame.palette_first}"
        yield "Palette", f"{entries}; values outside take the first or last entry (PS3.3 C.7.6.3.1.5)"
    elif not frame.grayscale:
        yield "Color", f"{frame.photometric_interpretation} after decoding, {frame.bits_stored} bits"
    yield "Pixel spacing", provenance.spacing or "none in header (square pixels assumed)"
    for note in frame.notes:
        yield "Note", note


def explain_thumbnail(thumbnail: Thumbnail, frame: Frame) -> Rows:
    """From the frame's own size to the thumbnail's."""
    geometry, icc = thumbnail.transform.geometry, thumbnail.transform.intensity.icc
    if icc is not None:
        yield "ICC profile", icc
    crop, scaled, offset = geometry.crop_shape, geometry.scaled_shape, geometry.offset
    (rows, columns), (down, right) = geometry.canvas_shape, geometry.crop_origin
    shrinks, grows = (any(a > b for a, b in zip(*pair, strict=True)) for pair in ((crop, scaled), (scaled, crop)))
    method = ", then ".join(["area averaging"] * shrinks + ["bicubic"] * grows) or "unchanged"
    square = f"; pixel aspect ratio {frame.aspect:g}:1 made square" if frame.aspect != 1 else ""
    apart = f"; {frame.column_mm * crop[1] / scaled[1]:.4g} mm per pixel" if frame.column_mm else ""
    origin = f" from row {down}, column {right}" if crop != geometry.source_shape else ""
    yield "Resized", f"{crop[0]}×{crop[1]}{origin} to {scaled[0]}×{scaled[1]} ({method}){square}{apart}"
    if any(geometry.flipped):
        reversed_ones = [what for what, flipped in zip(("rows", "columns"), geometry.flipped, strict=True) if flipped]
        yield "Flipped", f"{' and '.join(reversed_ones)} reversed"
    for fact in frame.placement.facts:
        yield "Placement", fact.value
    if thumbnail.transform.blanked:
        yield "Blanked", f"{count_of(len(thumbnail.transform.blanked), 'area')} of writing"
    yield "Placed", f"at row {offset[0]}, column {offset[1]} of {rows}×{columns}"


def explain_references(found: References) -> Rows:
    """What the file says of images of others: one line for each statement, with how many images it is made of."""
    statements: dict[str, set[object]] = {}
    for row in found.rows:
        place = (row.target_sop_instance_uid, row.target_frame, row.plane_mm)
        images = statements.setdefault(_explain_statement(row), set())
        images.update({place} if any(part is not None for part in place) else ())
    yield "References", found.explain().removeprefix("describes images: ")
    for number, (statement, images) in enumerate(statements.items()):
        if number == MAX_STATEMENTS:
            yield "", f"and {len(statements) - number:,} others"
            return
        yield "", f"{statement}: {count_of(len(images), 'image')}"


def _explain_statement(row: Reference) -> str:
    number = f" {row.number}" if row.number is not None else ""
    value = f"{row.value:g} {row.unit or ''}".strip() if row.value is not None else row.value_meaning or row.value_code
    coded = ((row.meaning, row.code), (row.category_meaning, row.category_code), (row.site_meaning, row.site_code))
    parts = [f"{meaning or ''} ({code})".strip() if code else meaning for meaning, code in coded]
    told = [part for part in (row.label and f"“{row.label}”", *parts) if part]
    return f"{row.kind.replace('_', ' ')}{number} {', '.join(told)}{f' = {value}' if value else ''}".strip()


def _is_used(window: AskedWindow, frame: Frame) -> bool:
    """Whether a window that was asked for is what a frame is drawn with."""
    fell_back = (window.is_preset and PRESET_NOT_USED in frame.notes) or (
        window.is_of_file and NO_SUCH_WINDOW in frame.notes
    )
    return not fell_back


def _explain_grayscale(grayscale: GrayscaleTransform, frame: Frame, provenance: Provenance, *, is_users: bool) -> Rows:
    unit = provenance.table_units if isinstance(grayscale.modality, LookupTable) else provenance.units
    units = f" {unit}" if unit else ""
    yield _explain_modality(grayscale.modality, provenance)
    yield _explain_voi(grayscale.voi, units, provenance, is_users=is_users)
    padding = np.zeros(frame.pixels.shape, bool)
    if grayscale.padding is not None:
        padding = (frame.pixels >= grayscale.padding[0]) & (frame.pixels <= grayscale.padding[1])
    yield from _explain_display(grayscale, frame, padding, units)
    yield "Polarity", _explain_polarity(grayscale, frame, provenance)
    if grayscale.padding is not None:
        values = f"stored values {grayscale.padding[0]} … {grayscale.padding[1]}"
        yield "Pixel padding", f"{values} ({padding.mean():.1%} of the pixels), drawn as background"


def _explain_display(grayscale: GrayscaleTransform, frame: Frame, padding: NDArray[np.bool_], units: str) -> Rows:
    """Which values are black and white, and how many pixels are clipped."""
    ends = linear_ends(grayscale.voi)
    drawn = draw_grayscale(frame.pixels, grayscale=grayscale, bits_stored=frame.bits_stored, depth=8)[~padding]
    if ends is None or drawn.size == 0:
        return
    first, last = ("white", "black") if grayscale.inverted else ("black", "white")
    low, high = (np.mean(drawn == level) for level in ((255, 0) if grayscale.inverted else (0, 255)))
    step = f"; {(ends[1] - ends[0]) / 255:.3g}{units} per gray level" if ends[1] > ends[0] else ""
    of = "pixels without padding" if padding.any() else "pixels"
    lower = f"{first} ≤ {ends[0]:g}{units} ({low:.1%} of the {of})"
    yield "Display range", f"{lower}, {last} {'≥' if step else '>'} {ends[1]:g}{units} ({high:.1%}){step}"


def _explain_polarity(grayscale: GrayscaleTransform, frame: Frame, provenance: Provenance) -> str:
    shape = f", Presentation LUT Shape (2050,0020) {provenance.shape}" if provenance.shape else ""
    return f"{frame.photometric_interpretation}{shape}: low values {'bright' if grayscale.inverted else 'dark'}"


def _explain_modality(modality: Rescale | LookupTable, provenance: Provenance) -> tuple[str, str]:
    if isinstance(modality, LookupTable):
        entries = f"{len(modality.values)} entries from {modality.first}"
        return "Modality LUT", f"{entries}; {provenance.modality_table}"
    if not provenance.rescale:
        return "Rescale", "none in header (stored values are used as they are)"
    sign = "−" if modality.intercept < 0 else "+"
    shift = f" {sign} {abs(modality.intercept):g}" if modality.intercept else ""
    formula = f"{modality.slope:g} × stored value{shift}"
    return "Rescale", f"{provenance.units or 'value'} = {formula}; {provenance.rescale}"


def _explain_voi(
    voi: Window | LookupTable | ValueRange, units: str, provenance: Provenance, *, is_users: bool
) -> tuple[str, str]:
    if isinstance(voi, LookupTable):
        entries = f"{len(voi.values)} entries of {voi.bits} bits from {voi.first}{units}"
        return "VOI LUT", f"{entries}; {'--window' if is_users else provenance.voi_table}"
    if isinstance(voi, Window):
        function = f"{voi.function} (PS3.3 {SECTIONS[voi.function]})"
        source = "--window" if is_users else provenance.window
        return "Window", f"{voi.notation}{units}, {function}; {source}"
    none = "not usable" if provenance.window or provenance.voi_table else "none in header"
    return "Window", f"{none}; measured range {voi.low:g} … {voi.high:g}{units} ({voi.rule})"
