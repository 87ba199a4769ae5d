"""Source → Frames: open a file once, decode each of its frames once."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.dicom.grey import FrameAttributes, read_aspect, read_inversion, read_modality, read_padding, read_voi
from dicomprep.dicom.header import Header, read_header
from dicomprep.dicom.layout import read_layout
from dicomprep.dicom.mend import true_element, true_sampling, true_syntax
from dicomprep.dicom.origins import Origins, read_origins
from dicomprep.dicom.palette import read_palette
from dicomprep.dicom.patient import PatientIdentity, read_patient
from dicomprep.dicom.pixel_data import PixelData
from dicomprep.dicom.ranges import read_range
from dicomprep.dicom.training_tags import read_position
from dicomprep.errors import ErrorCode, InputError
from dicomprep.models import Frame, Instance, Pixels
from dicomprep.pixels.codecs import spare_rows
from dicomprep.pixels.decoded import WHOLE, Decoded, Detail, reduced
from dicomprep.pixels.geometry import plan_geometry, shrink_of, spare_halvings
from dicomprep.pixels.intensity import (
    Grey,
    LookupTable,
    Range,
    Rescale,
    Window,
    may_be_averaged,
    stored_values_per_grey,
    value_span,
)
from dicomprep.pixels.measure import RangeRule, measure_range, overview_shape
from dicomprep.pixels.stored import Layout
from dicomprep.storage import SourceFile

__all__ = ["Image", "decode"]

DEFAULT_OPTIONS = ImageOptions()

HIDING_SHRINK = 2.0
"""Means over so many rows and columns hide that samples were rounded."""

RANGE_FRAMES = 8
"""From so many frames, spread evenly, the range of a file without a window is measured; a maximum from all of them."""

RANGE_BYTES = 2**27
"""As much of them is kept, so as not to be decoded twice."""

MOST_MISSED = 1000
"""After so many that could not be decoded, the others are not tried."""


@dataclass(frozen=True, slots=True)
class Image:
    """A file that holds an image: what it is, and its frames on demand."""

    instance: Instance
    patient: PatientIdentity
    frame_count: int
    layout: Layout
    _reader: "_Reader"

    def frame(self, index: int, options: ImageOptions) -> Frame:
        """Decode one frame (from 0); InputError where that cannot be done.

        `options` say which windows replace the file's own, and how large and how faithful the image shall be.
        """
        self._reader.options = options
        return self._reader.frame(index)

    @property
    def held_frames(self) -> int:
        """For so many frames there are pixels, at least some; those after them cannot be drawn."""
        return self._reader.data.held_frames

    @property
    def is_divisible(self) -> bool:
        """Any frame can be decoded without those before it."""
        return not self._reader.data.is_video

    def held(self) -> frozenset[int]:
        """Frames that are decoded already, for they were needed to measure the file's range."""
        return frozenset(self._reader.early)

    def shared_range(self) -> Range | None:
        """What all frames without a window share; None where none has asked for it yet."""
        return self._reader.range

    def share_range(self, found: Range | None) -> None:
        """Take over what was measured when the file was opened elsewhere."""
        self._reader.range = found

    def origins(self, index: int) -> Origins:
        """Where the rules of a frame come from, in words."""
        return read_origins(FrameAttributes(self._reader.header.attributes, index))


def decode(file: SourceFile, *, max_bytes: int, extra: tuple[str, ...] = ()) -> Image:
    """Read the header of an open file and make its frames available.

    `max_bytes` bounds what an inflated data set or a decoded frame may take; `extra` are keywords beyond the
    allow-list. Raises InputError where the file is no DICOM, holds no image, or one that cannot be drawn.
    """
    header = read_header(file, max_bytes=max_bytes, extra=extra)
    instance = header.instance()
    pixels = header.pixels
    if pixels is None or pixels.length == 0:
        raise NoImage(instance, header.why_no_image())
    layout, notes = read_layout(header.attributes, pixels.keyword)
    pixels, element_notes = true_element(header, pixels, layout)
    layout, sampling_notes = true_sampling(header, pixels, layout)
    syntax, syntax_notes = true_syntax(header, pixels, layout)
    if layout.decoded_bytes * 4 > max_bytes:
        size = f"{layout.rows}×{layout.columns}×{layout.samples}"
        raise InputError(ErrorCode.LIMIT_EXCEEDED, f"a frame of {size} samples does not fit the memory a file may take")
    patient = read_patient(header.attributes)
    data = PixelData(header, pixels, layout, syntax)
    layout = data.layout
    notes = (*header.encoding.notes, *notes, *element_notes, *sampling_notes, *syntax_notes, *data.notes)
    return Image(instance, patient, data.frame_count, layout, _Reader(header, data, layout, notes))


class NoImage(InputError):
    """A valid DICOM file that holds no image; its header is known all the same."""

    def __init__(self, instance: Instance, detail: str) -> None:
        super().__init__(ErrorCode.NO_PIXEL_DATA, detail)
        self.instance = instance


@dataclass(slots=True)
class _Reader:
    """Decodes the frames of one file; keeps those that were decoded early to measure the file's range."""

    header: Header
    data: PixelData
    layout: Layout
    notes: tuple[str, ...]
    options: ImageOptions = DEFAULT_OPTIONS
    palette: tuple[NDArray[np.uint16], int] | None = None
    range: Range | None = None
    """What all frames without a window share, once one has asked for it."""
    early: dict[int, Decoded] = field(default_factory=dict)

    def frame(self, index: int) -> Frame:
        """Decode one frame and join it with what the header says of it."""
        view = FrameAttributes(self.header.attributes, index)
        aspect, notes = read_aspect(view)
        grey: tuple[Grey, ...] = ()
        if self._is_grey:
            grey, grey_notes = self._grey(view)
            notes = (*notes, *grey_notes)
        decoded = self.early.pop(index, None) or self.data.decode(index, self._detail(aspect, grey))
        if self._is_palette and self.palette is None:
            self.palette = read_palette(self.header.attributes, big_endian=self.header.encoding.big_endian)
        palette, first = self.palette or (None, 0)
        return Frame(
            index=index,
            pixels=decoded.pixels,
            bits_stored=decoded.bits_stored,
            photometric_interpretation=decoded.photometric_interpretation,
            source_shape=(self.layout.rows, self.layout.columns),
            digest=decoded.digest,
            grid=decoded.grid,
            step=decoded.step,
            grey=grey,
            palette=palette,
            palette_first=first,
            aspect=aspect,
            position=read_position(self.header.attributes, view, index=index, count=self.data.frame_count),
            icc_profile=None if self._is_grey else self._icc_profile(),
            decoder=decoded.decoder,
            notes=tuple(dict.fromkeys((*self.notes, *decoded.notes, *notes))),
        )

    @property
    def _is_grey(self) -> bool:
        return self.layout.photometric_interpretation.startswith("MONOCHROME")

    @property
    def _is_palette(self) -> bool:
        return self.layout.photometric_interpretation == "PALETTE COLOR"

    @property
    def _is_averageable(self) -> bool:
        """Samples are no single bits, no floats, and not wider than what is averaged fast."""
        return self.layout.bits_stored >= 8 and self.layout.kind == "integer" and self.layout.bits_allocated <= 16

    def _grey(self, view: FrameAttributes) -> tuple[tuple[Grey, ...], tuple[str, ...]]:
        """The rules of a frame: one for each window asked for, else the file's own."""
        modality, stated, notes = self._stated(view)
        asked = tuple(Window(*window) for window in self.options.windows)
        own = asked or (stated or self._shared_range(),)
        inverted = read_inversion(self.header.attributes, self.layout)
        padding, more_notes = read_padding(self.header.attributes, self.layout)
        return tuple(Grey(modality, voi, inverted, padding) for voi in own), (*notes, *more_notes)

    def _stated(
        self, view: FrameAttributes
    ) -> tuple[Rescale | LookupTable, Window | LookupTable | None, tuple[str, ...]]:
        """The modality and VOI transform that the header states for a frame, and what had to be corrected."""
        big_endian = self.header.encoding.big_endian
        bits, signed = self.layout.bits_stored, self.layout.signed
        stored = value_span(Rescale(), bits_stored=bits, signed=signed)
        modality, notes = read_modality(view, span=stored, big_endian=big_endian)
        if modality is None:
            return Rescale(), None, notes
        span = value_span(modality, bits_stored=bits, signed=signed)
        voi, more_notes = read_voi(view, span=span, big_endian=big_endian)
        return modality, voi, (*notes, *more_notes)

    def _detail(self, aspect: float, grey: tuple[Grey, ...]) -> Detail:
        """How much of a frame must be decoded for a thumbnail of it."""
        layout, options = self.layout, self.options
        if options.fidelity is Fidelity.EXACT or self._is_palette or not self._is_averageable:
            return WHOLE
        draft = options.fidelity is Fidelity.DRAFT
        shape = (layout.rows, layout.columns)
        geometry = plan_geometry(shape, aspect=aspect, size=options.size, fit=options.fit)
        reduction = 0
        if all(may_be_averaged(rule, bits_stored=layout.bits_stored) for rule in grey):
            spare = spare_rows(self.data.syntax, bits_stored=layout.bits_stored, draft=draft)
            reduction = spare_halvings(geometry, spare=spare)
        shrink, tolerance = shrink_of(geometry), 0.0
        if options.depth == 8 and shrink >= HIDING_SHRINK:
            tolerance = min(map(stored_values_per_grey, grey), default=0.0) * (4 if draft else 1)
        return Detail(reduction, tolerance, shrink)

    def _shared_range(self) -> Range:
        """One range for all frames: as the header gives it, else as measured."""
        if self.range is None:
            first = FrameAttributes(self.header.attributes, 0)
            modality = self._stated(first)[0]
            rule = read_range(first, self.layout, rescaled=modality != Rescale())
            if isinstance(rule, Range) and self._has_deeper_pixels(first):
                rule = RangeRule()
            self.range = rule if isinstance(rule, Range) else self._measure(rule, modality)
        return self.range

    def _has_deeper_pixels(self, first: FrameAttributes) -> bool:
        """Whether the codestreams have more bits than the header says, as far as the first one shows."""
        if not self.data.is_encapsulated:
            return False
        padding, _ = read_padding(self.header.attributes, self.layout)
        detail = WHOLE if padding else self._detail(read_aspect(first)[0], ())
        try:
            decoded = self.data.decode(0, detail)
        except InputError:
            return False
        if self._stated(first)[1] is None:
            self.early[0] = decoded
        return decoded.bits_stored > self.layout.bits_stored

    def _measure(self, rule: RangeRule, modality: Rescale | LookupTable) -> Range:
        frame_count = self.data.frame_count
        full = (self.layout.rows, self.layout.columns)
        padding, _ = read_padding(self.header.attributes, self.layout)
        shape = full if rule.is_extreme else overview_shape(full)
        averaged = self._is_averageable and padding is None and isinstance(modality, Rescale)
        spread = np.linspace(0, frame_count - 1, min(RANGE_FRAMES, frame_count)).round().astype(int)
        indices = range(self.data.held_frames) if rule.is_extreme else np.unique(spread).tolist()
        samples = self._sample(indices, reduction=round(math.log2(full[0] / shape[0])) if averaged else 0)
        return measure_range(samples, padding=padding, shape=shape, rule=rule)

    def _sample(self, indices: Sequence[int], *, reduction: int) -> Iterator[tuple[Pixels, Rescale | LookupTable]]:
        """Frames to measure and their modality transforms.

        Always at the same reduced resolution, so that neither size nor fidelity of the image moves its greys. Those
        that will be wanted at that resolution are kept, as far as they are affordable.
        """
        missing = iter(range(MOST_MISSED))
        for index in indices:
            view = FrameAttributes(self.header.attributes, index)
            wanted = self._detail(read_aspect(view)[0], ()).reduction
            further = max(0, reduction - wanted) if self.data.reduces_by_means else 0
            try:
                decoded = self.data.decode(index, Detail(reduction - further))
            except InputError:  # met again, and then reported, when the frame's turn comes
                if next(missing, None) is None:
                    return
                continue
            modality, stated, _ = self._stated(view)
            affordable = (len(self.early) + 1) * self.layout.decoded_bytes <= RANGE_BYTES
            if affordable and stated is None and reduction - further == wanted:
                self.early[index] = decoded
            yield reduced(decoded, times=further).pixels, modality

    def _icc_profile(self) -> bytes | None:
        root = self.header.attributes
        path = root.item("OpticalPathSequence")
        return root.content("ICCProfile") or (path.content("ICCProfile") if path is not None else None)
