"""The frames of one open file: what is decoded of each, by which rules it is drawn, and the range that they share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.dicom.grayscale import FrameAttributes, Stated, read_inversion, read_stated
from dicomprep.dicom.header import Header
from dicomprep.dicom.padding import build_grayscale_transforms, is_lossy, padding_noise, read_padding
from dicomprep.dicom.palette import read_icc_profile, read_palette, read_supplement
from dicomprep.dicom.pixel_data import PixelData
from dicomprep.dicom.placement import Placer
from dicomprep.dicom.positions import read_position
from dicomprep.dicom.ranges import limit_to_grayscale, read_range
from dicomprep.dicom.spacing import read_aspect, read_column_mm
from dicomprep.dicom.units import is_in_hounsfield_units
from dicomprep.dicom.windows import Voi, choose_windows, find_own_window
from dicomprep.errors import InputError
from dicomprep.models import Frame, Pixels
from dicomprep.pixels.codecs.base import FULL_DETAIL, Decoded, Detail, reduce_resolution
from dicomprep.pixels.codecs.registry import min_oversampling
from dicomprep.pixels.color import apply_palette, to_grayscale
from dicomprep.pixels.geometry import Geometry, max_halvings, plan_geometry, reduction_factor
from dicomprep.pixels.intensity import (
    GrayscaleTransform,
    LookupTable,
    Rescale,
    ValueRange,
    Window,
    may_be_averaged,
    stored_values_per_gray,
    value_span,
)
from dicomprep.pixels.resampling import measure_fineness, samples_of
from dicomprep.pixels.similarity import perceptual_hash
from dicomprep.pixels.stored import Layout
from dicomprep.pixels.text_detection import MAX_SIDE
from dicomprep.pixels.value_range import RangeRule, measure_range, overview_shape

__all__ = ["FrameReader"]

MIN_HIDING_SHRINK = 2.0
"""Rows and columns averaged into one from which it is invisible that samples were rounded."""

MAX_FINENESS = 5.5
"""Gray levels, in the root mean square, of detail that a soft picture may lose by one more halving: the thumbnail
differs by half of that or less (on CT, radiographs and mammograms, measured), which is 40 dB."""

MAX_RANGE_FRAMES = 8
"""Frames, spread evenly, on which the range of a file without a window is measured; a maximum takes all of them."""

MAX_RANGE_BYTES = 2**27
"""Bytes of these frames that are kept rather than decoded twice; bounds memory."""

MAX_MISSED_FRAMES = 1000
"""Frames that could not be decoded before the others are not tried; bounds time."""


@dataclass(slots=True)
class FrameReader:
    """Decodes the frames of one file; keeps those that were decoded early to measure the file's range."""

    header: Header
    data: PixelData
    layout: Layout
    notes: tuple[str, ...]
    is_label_map: bool
    placer: Placer
    options: ImageOptions = field(default_factory=ImageOptions)
    palette: tuple[NDArray[np.uint16], int] | None = None
    range: ValueRange | None = None
    """The range shared by all frames without a window, once it is needed."""
    predecoded: dict[int, Decoded] = field(default_factory=dict)

    def frame(self, index: int) -> Frame:
        """Decode one frame and join it with what the header says of it.

        Returns pixels, sign-extended (PS3.5 8.1.1), (rows, columns[, 3]) of any dtype; a palette (entries, 3) uint16.
        """
        view = FrameAttributes(self.header.attributes, index)
        self._plan(view)
        aspect, notes = read_aspect(view)
        grayscale: tuple[GrayscaleTransform, ...] = ()
        if self.layout.is_grayscale:
            grayscale, grayscale_notes = self._grayscale(view)
            notes = (*notes, *grayscale_notes)
        big_endian = self.header.encoding.big_endian
        palette, palette_notes = read_supplement(view, big_endian=big_endian) if grayscale else (self.palette, ())
        detail = FULL_DETAIL if palette else self._detail(view, grayscale)
        decoded = self._decode_soft(index, view, grayscale, detail) or self.predecoded.pop(index, None)
        decoded = decoded or self.placer.decode(index, detail)
        self.placer.forget(index)
        if self.layout.is_palette and self.palette is None:
            palette = self.palette = read_palette(self.header.attributes, big_endian=big_endian)
        entries, first = palette or (None, 0)
        return Frame(
            index=index,
            pixels=decoded.pixels,
            bits_stored=decoded.bits_stored,
            photometric_interpretation=decoded.photometric_interpretation,
            source_shape=(self.layout.rows, self.layout.columns),
            digest=decoded.digest,
            perceptual_hash=self._perceptual_hash(decoded, inverted=bool(grayscale) and grayscale[0].inverted),
            stream_digest=decoded.stream_digest,
            grid=decoded.grid,
            step=decoded.step,
            grayscale=grayscale,
            palette=entries,
            palette_first=first,
            aspect=aspect,
            column_mm=self._column_mm(view),
            position=read_position(self.header.attributes, view, index=index, count=self.data.frame_count),
            icc_profile=None if self.layout.is_grayscale else read_icc_profile(self.header.attributes),
            decoder=decoded.decoder,
            is_label_map=self.is_label_map,
            placement=self.placer.place(self.options),
            notes=tuple(dict.fromkeys((*self.notes, *decoded.notes, *notes, *palette_notes))),
        )

    def _perceptual_hash(self, decoded: Decoded, *, inverted: bool) -> int | None:
        """What the frame looks like in gray, whatever window it is drawn with."""
        overview = decoded.overview
        if overview is None:
            return None
        pixels = overview.pixels
        if self.layout.is_palette and self.palette is not None:
            entries, first = self.palette
            pixels = apply_palette(pixels, palette=entries, first=first, depth=8)
        is_luma = decoded.photometric_interpretation.startswith(("YBR_FULL", "YBR_PARTIAL"))
        return perceptual_hash(replace(overview, pixels=to_grayscale(pixels, is_luma=is_luma)), inverted=inverted)

    @property
    def _is_averageable(self) -> bool:
        """Samples are no single bits, no floats, and not wider than what is averaged fast."""
        return self.layout.bits_stored >= 8 and self.layout.kind == "integer" and self.layout.bits_allocated <= 16

    def _grayscale(self, view: FrameAttributes) -> tuple[tuple[GrayscaleTransform, ...], tuple[str, ...]]:
        """The rules of a frame: one for each requested window, else the file's own."""
        modality, stated, notes = self._stated(view)
        inverted = read_inversion(self.header.attributes, self.layout)
        padding, more_notes = read_padding(self.header.attributes, self.layout)
        vois, window_notes = self._windows(view, modality, stated)
        noise = self._noise(padding)
        rules = build_grayscale_transforms(modality, vois, inverted=inverted, padding=padding, noise=noise)
        return rules, (*notes, *more_notes, *window_notes)

    def _windows(
        self, view: FrameAttributes, modality: Rescale | LookupTable, stated: Window | LookupTable | None
    ) -> tuple[tuple[Voi, ...], tuple[str, ...]]:
        """What was asked for as far as it applies to a frame, else its own."""
        span = value_span(modality, bits_stored=self.layout.bits_stored, signed=self.layout.signed)
        big_endian = self.header.encoding.big_endian
        return choose_windows(
            self.options.windows,
            is_hounsfield=lambda: is_in_hounsfield_units(view, self.layout),
            find=lambda window: (
                find_own_window(view, window, span=span, big_endian=big_endian) if stated is not None else (None, ())
            ),
            own=lambda: stated or self._shared_range(),
        )

    def _stated(self, view: FrameAttributes) -> Stated:
        return read_stated(view, self.layout, big_endian=self.header.encoding.big_endian)

    def _noise(self, padding: tuple[int, int] | None) -> int:
        """How far from its value padding may lie after lossy compression; 0 where stored values are exact."""
        lossy = padding is not None and is_lossy(self.header.attributes, self.data.syntax)
        return padding_noise(self.layout) if lossy else 0

    def _decode_soft(
        self, index: int, view: FrameAttributes, grayscale: tuple[GrayscaleTransform, ...], detail: Detail
    ) -> Decoded | None:
        """A cropped frame at a lower resolution than `detail`; None where what that leaves out might be seen.

        Only of crops, for thumbnails of whole frames stay as they were.
        """
        if detail.region is None or not grayscale:
            return None
        least = self._detail(view, grayscale, is_soft=True)
        visible = MAX_FINENESS * min(map(stored_values_per_gray, grayscale))
        for reduction in range(least.reduction, detail.reduction, -1):
            decoded = self.placer.decode(index, replace(least, reduction=reduction))
            seen = decoded.pixels[samples_of(detail.region, decoded.grid)]
            if decoded.grid.step <= 2**detail.reduction or measure_fineness(seen) <= visible:
                return decoded
        return None

    def _detail(
        self, view: FrameAttributes, grayscale: tuple[GrayscaleTransform, ...], *, is_soft: bool = False
    ) -> Detail:
        """How much of a frame must be decoded for a thumbnail of it, or of one that `is_soft`."""
        layout, options = self.layout, self.options
        has_names = layout.is_palette or self.is_label_map
        if options.fidelity is Fidelity.EXACT or has_names or not self._is_averageable:
            return FULL_DETAIL
        draft = options.fidelity is Fidelity.DRAFT
        try:
            geometry = self._plan(view)
        except InputError:  # refused when its turn comes
            return FULL_DETAIL
        region, reduction = self.placer.place(options).region, 0
        if all(may_be_averaged(rule, bits_stored=layout.bits_stored) for rule in grayscale):
            bits = layout.bits_stored
            spare = min_oversampling(self.data.syntax, bits_stored=bits, draft=draft, is_soft=is_soft)
            reduction = max_halvings(geometry, spare=spare)
        if options.blank_text:  # it must be legible to be found
            reduction = min(reduction, max(0, int(math.log2(max(layout.rows, layout.columns) / MAX_SIDE))))
        shrink, tolerance = reduction_factor(geometry), 0.0
        if options.depth == 8 and shrink >= MIN_HIDING_SHRINK:
            grays = 4 if draft else 1 if region is None else 2
            tolerance = min(map(stored_values_per_gray, grayscale), default=0.0) * grays
        return Detail(reduction, tolerance, shrink, None if options.blank_text else region)

    def _plan(self, view: FrameAttributes) -> Geometry:
        """What a thumbnail shows of a frame; InputError where that cannot be told, or is too much."""
        shape, size = (self.layout.rows, self.layout.columns), self.options.size_for(self._column_mm(view))
        placement = self.placer.place(self.options)
        return plan_geometry(
            shape,
            aspect=read_aspect(view)[0],
            size=size,
            fit=self.options.fit,
            region=placement.region,
            flipped=placement.flipped,
        )

    def _column_mm(self, view: FrameAttributes) -> float | None:
        """Read where a thumbnail's size depends on it."""
        return None if self.options.spacing is None else read_column_mm(view)

    def _shared_range(self) -> ValueRange:
        """One range for all frames: as the header gives it, else as measured."""
        if self.range is None:
            first = FrameAttributes(self.header.attributes, 0)
            modality = self._stated(first)[0]
            rule = read_range(first, self.layout, rescaled=modality != Rescale())
            if isinstance(rule, RangeRule):
                rule = limit_to_grayscale(rule, first, modality, big_endian=self.header.encoding.big_endian)
            if isinstance(rule, ValueRange) and self._has_deeper_pixels(first):
                rule = RangeRule()
            self.range = rule if isinstance(rule, ValueRange) else self._measure(rule, modality)
        return self.range

    def _has_deeper_pixels(self, first: FrameAttributes) -> bool:
        """Whether the codestreams have more bits than the header says, as far as the first one shows."""
        if not self.data.is_encapsulated:
            return False
        padding, _ = read_padding(self.header.attributes, self.layout)
        detail = FULL_DETAIL if padding else self._detail(first, ())
        try:
            decoded = self.placer.decode(0, detail)
        except InputError:
            return False
        if self._stated(first)[1] is None:
            self.predecoded[0] = decoded
        return decoded.bits_stored > self.layout.bits_stored

    def _measure(self, rule: RangeRule, modality: Rescale | LookupTable) -> ValueRange:
        frame_count = self.data.frame_count
        full = (self.layout.rows, self.layout.columns)
        padding, _ = read_padding(self.header.attributes, self.layout)
        shape = full if rule.is_extreme else overview_shape(full)
        averaged = self._is_averageable and padding is None and isinstance(modality, Rescale)
        spread = np.linspace(0, frame_count - 1, min(MAX_RANGE_FRAMES, frame_count)).round().astype(int)
        indices = range(self.data.available_frames) if rule.is_extreme else np.unique(spread).tolist()
        samples = self._sample(indices, reduction=round(math.log2(full[0] / shape[0])) if averaged else 0)
        return measure_range(samples, padding=padding, noise=self._noise(padding), shape=shape, rule=rule)

    def _sample(self, indices: Sequence[int], *, reduction: int) -> Iterator[tuple[Pixels, Rescale | LookupTable]]:
        """Frames to measure and their modality transforms.

        Always at the same reduced resolution, so that neither size nor fidelity of the image moves its grays. Those
        that will be wanted at that resolution are kept, as far as they are affordable.
        """
        missing = iter(range(MAX_MISSED_FRAMES))
        for index in indices:
            view = FrameAttributes(self.header.attributes, index)
            wanted = self._detail(view, ()).reduction
            further = max(0, reduction - wanted) if self.data.reduces_by_means else 0
            try:
                decoded = self.placer.decode(index, Detail(reduction - further))
            except InputError:  # met again, and then reported, when the frame's turn comes
                if next(missing, None) is None:
                    return
                continue
            modality, stated, _ = self._stated(view)
            affordable = (len(self.predecoded) + 1) * self.layout.decoded_bytes <= MAX_RANGE_BYTES
            if affordable and stated is None and reduction - further == wanted:
                self.predecoded[index] = decoded
            yield reduce_resolution(decoded, times=further).pixels, modality
