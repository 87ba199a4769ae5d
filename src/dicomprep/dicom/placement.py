"""What part of a file's frames is drawn and which way round, by its header and a look at its pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import Crop, ImageOptions
from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.burned_in_text import read_reasons
from dicomprep.dicom.framing import Framing, Orientation, read_framing, read_orientation
from dicomprep.dicom.grayscale import FrameAttributes, read_stated
from dicomprep.dicom.header import Header
from dicomprep.dicom.palette import read_palette
from dicomprep.dicom.pixel_data import PixelData
from dicomprep.errors import InputError
from dicomprep.pixels.codecs.base import Decoded, Detail, Halvings, reduce_resolution
from dicomprep.pixels.color import apply_palette, to_grayscale
from dicomprep.pixels.content import (
    WHOLE_FRAME,
    Content,
    Fact,
    Placement,
    find_content,
    find_heavier_side,
    halvings_of_search,
    to_source_box,
)
from dicomprep.pixels.geometry import Box, join_boxes
from dicomprep.pixels.intensity import apply_modality
from dicomprep.pixels.resampling import Grid
from dicomprep.privacy.burned_in import Reason

__all__ = ["Placer"]

SEARCHED_FRAMES = 3
"""Frames of a file, spread evenly, whose content is found: what is drawn holds that of all of them."""

MIN_AGREEMENT = 0.75
"""Share of the content that is found in the pixels that must be in the place that the header states."""

MAX_KEPT_BYTES = 2**27
"""Bytes of these frames that are kept rather than decoded twice; bounds memory."""


@dataclass(slots=True)
class Placer:
    """Finds where the frames of one file are drawn from, once; frames that it had to decode are not decoded again."""

    header: Header
    data: PixelData
    whole: dict[int, Halvings] = field(default_factory=dict)
    """Frames decoded in full."""
    found: dict[tuple[object, ...], Placement] = field(default_factory=dict)

    def place(self, options: ImageOptions) -> Placement:
        """Where all frames are drawn from under these options."""
        asked = (options.crop, options.crop_margin, options.orient, options.blank_text)
        if asked not in self.found:
            is_plain = options.crop is Crop.NONE and not options.orient and not options.blank_text
            self.found[asked] = WHOLE_FRAME if is_plain else self._place(options)
        return self.found[asked]

    def _place(self, options: ImageOptions) -> Placement:
        first = FrameAttributes(self.header.attributes, 0)
        framing = read_framing(first, self.data.layout)
        region, facts = None, []
        if options.crop is Crop.CONTENT:
            region, fact = self._crop(framing, options.crop_margin)
            facts.append(fact)
        flipped = (False, False)
        if options.orient:
            flipped, fact_of_side = self._orient(read_orientation(first))
            facts += [fact_of_side] if fact_of_side else []
        may_show_text = options.blank_text and _may_show_text(self.header.attributes)
        regions = framing.regions if options.blank_text else ()
        return Placement(region, flipped, regions, may_show_text=may_show_text, facts=tuple(facts))

    def _crop(self, framing: Framing, margin: float) -> tuple[Box | None, Fact]:
        """The part of the frame that is drawn, or why that is all of it."""
        if framing.content is None:
            return None, Fact.NO_PICTURE
        shape = (self.data.layout.rows, self.data.layout.columns)
        box = self._find_box(framing.content, framing.stated, margin)
        if box is None:
            return None, Fact.NO_BACKGROUND
        return (None, Fact.FILLS_FRAME) if box == (0, 0, *shape) else (box, Fact.CROPPED)

    def _find_box(self, content: Content, stated: Box | None, margin: float) -> Box | None:
        """Where the picture is: as the header says, unless the pixels say otherwise; shutters may be of other files."""
        if stated is not None and content is Content.ULTRASOUND:
            return stated
        found = self._search(content, margin)
        return stated if stated is not None and (found is None or _agree(stated, found)) else found

    def _search(self, content: Content, margin: float) -> Box | None:
        """The box around what is found in some frames; None where any of them has nothing sure to be empty."""
        shape = (self.data.layout.rows, self.data.layout.columns)
        found: Box | None = None
        for index, (picture, grid) in self._small_pictures(content):
            box = find_content(self._in_units(picture, content, index), content, margin=margin)
            if box is None:
                return None
            placed = to_source_box(box, grid, shape)
            found = placed if found is None else join_boxes(found, placed)
        return found

    def _orient(self, stated: Orientation) -> tuple[tuple[bool, bool], Fact | None]:
        """Which sides are exchanged; by the side of a breast alone only if its picture does not say otherwise."""
        rows, columns = stated.flipped
        if not stated.is_known:
            return (rows, False), Fact.SIDE_UNKNOWN
        if stated.by_laterality:
            _, (picture, _) = next(self._small_pictures(Content.BREAST), (0, (np.zeros((1, 1)), Grid())))
            if find_heavier_side(picture) == ("L" if columns else "R"):
                return (rows, False), Fact.SIDE_CONTRADICTED
        return stated.flipped, Fact.FLIPPED if rows or columns else None

    def _small_pictures(self, content: Content) -> Iterator[tuple[int, tuple[NDArray[np.float32], Grid]]]:
        """Some frames of the file, as far as they can be decoded, in gray and small."""
        count = min(self.data.frame_count, self.data.available_frames)
        spread = 1 if self.data.is_video else SEARCHED_FRAMES
        for index in np.unique(np.linspace(0, count - 1, min(count, spread)).round().astype(int)).tolist():
            try:
                yield index, self._small_picture(index, content)
            except InputError:  # met again, and reported, when the frame's turn comes
                continue

    def _small_picture(self, index: int, content: Content) -> tuple[NDArray[np.float32], Grid]:
        times = halvings_of_search((self.data.layout.rows, self.data.layout.columns), content)
        is_whole = self.data.reduces_by_means
        decoded = self._decode_whole(index).at(times) if is_whole else self.data.glance(index, reduction=times)
        small = reduce_resolution(decoded, times=max(0, times + 1 - decoded.grid.step.bit_length()))
        return self._in_gray(small).astype(np.float32), small.grid

    def decode(self, index: int, detail: Detail) -> Decoded:
        """A frame in as much detail as is wanted, at least; it is decoded if it is not there already."""
        whole = self.whole.get(index)
        return self.data.decode(index, detail) if whole is None else whole.at(detail.reduction)

    def forget(self, index: int) -> None:
        """Free what is kept of a frame."""
        self.whole.pop(index, None)

    def _decode_whole(self, index: int) -> Halvings:
        """A frame in full, which is kept if there is room."""
        if index in self.whole:
            return self.whole[index]
        decoded = self.data.decode_whole(index)
        if (len(self.whole) + 1) * self.data.layout.decoded_bytes <= MAX_KEPT_BYTES:
            self.whole[index] = decoded
        return decoded

    def _in_gray(self, decoded: Decoded) -> NDArray[np.generic]:
        pixels, layout = decoded.pixels, self.data.layout
        if layout.is_palette:
            entries, first = read_palette(self.header.attributes, big_endian=self.header.encoding.big_endian)
            pixels = apply_palette(pixels, palette=entries, first=first, depth=8)
        is_luma = decoded.photometric_interpretation.startswith(("YBR_FULL", "YBR_PARTIAL"))
        return to_grayscale(pixels, is_luma=is_luma)

    def _in_units(self, picture: NDArray[np.float32], content: Content, index: int) -> NDArray[np.floating]:
        """Hounsfield units where content is found by them, which slope and intercept of the frame give."""
        if content is not Content.HOUNSFIELD:
            return picture
        view, big_endian = FrameAttributes(self.header.attributes, index), self.header.encoding.big_endian
        modality = read_stated(view, self.data.layout, big_endian=big_endian)[0]
        return apply_modality(picture.astype(np.float64), modality)


def _may_show_text(root: Attributes) -> bool:
    """Whether writing is looked for: not in sections as scanners make them, in which it could only be a mistake."""
    return bool(set(read_reasons(root)) - {Reason.OVERLAY}) or root.code("Modality") not in ("CT", "MR", "PT", "NM")


def _agree(stated: Box, found: Box) -> bool:
    """Whether most of what was found is in the box that the header states."""
    rows, columns = (
        max(0, min(stated[end], found[end]) - max(stated[start], found[start])) for start, end in ((0, 2), (1, 3))
    )
    return rows * columns >= MIN_AGREEMENT * (found[2] - found[0]) * (found[3] - found[1])
