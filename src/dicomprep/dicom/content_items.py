"""The content tree of a report as plain nodes, as far as images are concerned (PS3.3 C.17.3, C.18)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.concepts import NO_CONCEPT, Concept, read_concept, read_unit
from dicomprep.dicom.lenient import first_item, items, read_amount, read_counts, read_numbers, read_text
from dicomprep.dicom.targets import Target, axial_plane, read_targets
from dicomprep.privacy.keys import uid_key

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "ContentItem", "ContentTree", "read_content"]

MAX_DEPTH = 32
"""Levels of content items that are read; templates of the standard have about ten."""

MAX_ITEMS = 50_000
"""Content items of a report that are read; bounds time to some ten seconds."""


@dataclass(slots=True)
class ContentItem:
    """One content item and those below it."""

    kind: str
    """Value Type."""
    name: Concept = NO_CONCEPT
    value: Concept = NO_CONCEPT
    """Of a code."""
    amount: float | None = None
    """Of a number."""
    unit: str | None = None
    text: str = ""
    targets: tuple[Target, ...] = ()
    """Of an image, or of a region of the patient: where that lies."""
    segments: tuple[int, ...] = ()
    """Of an image that is a segmentation."""
    children: list["ContentItem"] = field(default_factory=list)

    def walk(self) -> Iterator["ContentItem"]:
        """The item and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def images(self) -> tuple["ContentItem", ...]:
        """The item and those below it that name an image."""
        return tuple(item for item in self.walk() if item.targets)


@dataclass(slots=True)
class ContentTree:
    """What was read of a report."""

    root: ContentItem
    is_whole: bool
    """Everything was read; else there were too many items, or they lie too deep."""


def read_content(root: Attributes) -> ContentTree:
    """The content tree of a report; by-reference relationships, which could make circles, are not followed."""
    reading = _Reading()
    item = reading.read(root, depth=0)
    return ContentTree(item, is_whole=reading.is_whole)


@dataclass(slots=True)
class _Reading:
    left: int = MAX_ITEMS
    is_whole: bool = True

    def read(self, attributes: Attributes, *, depth: int) -> ContentItem:
        item = _read_item(attributes)
        for child in items(attributes, "ContentSequence"):
            if depth >= MAX_DEPTH or self.left <= 0:
                self.is_whole = False
                break
            self.left -= 1
            item.children.append(self.read(child, depth=depth + 1))
        return item


def _read_item(attributes: Attributes) -> ContentItem:
    item = ContentItem(attributes.code("ValueType"), read_concept(attributes, "ConceptNameCodeSequence"))
    if item.kind == "CODE":
        item.value = read_concept(attributes, "ConceptCodeSequence")
    elif item.kind == "NUM":
        measured = first_item(attributes, "MeasuredValueSequence")
        if measured is not None:
            item.amount, item.unit = read_amount(measured, "NumericValue"), read_unit(measured)
    elif item.kind == "TEXT":
        item.text = read_text(attributes, "TextValue")
    elif item.kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        referenced = items(attributes, "ReferencedSOPSequence")
        item.targets = tuple(target for one in referenced for target in read_targets(one))
        item.segments = tuple(n for one in referenced for n in read_counts(one, "ReferencedSegmentNumber"))
    elif item.kind == "SCOORD3D":
        item.targets = _plane_of(attributes)
    return item


def _plane_of(attributes: Attributes) -> tuple[Target, ...]:
    """The axial plane in which a region of the patient lies; nothing for any other region."""
    frame_of_reference = uid_key(read_text(attributes, "ReferencedFrameOfReferenceUID"))
    height = axial_plane(read_numbers(attributes, "GraphicData"))
    if height is None or frame_of_reference is None:
        return ()
    return (Target(frame_of_reference_key=frame_of_reference, plane_mm=height),)
