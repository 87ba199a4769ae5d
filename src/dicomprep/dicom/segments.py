"""Segments and the images that they lie on (PS3.3 C.8.20, C.7.6.16.2.6)."""

from collections.abc import Iterator, Mapping
from itertools import islice

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.clinical_words import clinical_words
from dicomprep.dicom.concepts import read_concept
from dicomprep.dicom.lenient import first_item, items, read_counts, read_text, read_uid
from dicomprep.dicom.numbers import read_numbers
from dicomprep.dicom.positions import locate, read_plane
from dicomprep.dicom.targets import Target, find_targets, read_targets
from dicomprep.privacy.keys import uid_key
from dicomprep.privacy.references import Reference, ReferenceKind

__all__ = ["KEYWORDS", "read_segments"]

KEYWORDS = ("SegmentSequence", "SourceImageSequence", "ReferencedSeriesSequence")
"""What is read of a segmentation beyond the usual."""

MAX_SEGMENTS = 65_536
"""Segment Number has two bytes."""


def read_segments(root: Attributes) -> Iterator[Reference]:
    """What each frame of a segmentation shows of which image; then the segments that no frame names.

    A frame of a label map shows any of its segments: which, only its pixels say.
    """
    segments = {about.number: about for about in _describe_segments(root)}
    named: set[int | None] = set()
    for reference in _read_frames(root, segments):
        named.add(reference.number)
        yield reference
    yield from (about for number, about in segments.items() if number not in named)


def _describe_segments(root: Attributes) -> Iterator[Reference]:
    for item in items(root, "SegmentSequence")[:MAX_SEGMENTS]:
        number = next(iter(read_counts(item, "SegmentNumber")), None)
        if number is not None:
            yield Reference(
                ReferenceKind.SEGMENT,
                number,
                clinical_words(read_text(item, "SegmentLabel")),
                *read_concept(item, "SegmentedPropertyTypeCodeSequence"),
                *read_concept(item, "SegmentedPropertyCategoryCodeSequence"),
                *read_concept(item, "AnatomicRegionSequence"),
            )


def _read_frames(root: Attributes, segments: Mapping[int | None, Reference]) -> Iterator[Reference]:
    shared = first_item(root, "SharedFunctionalGroupsSequence")
    groups = items(root, "PerFrameFunctionalGroupsSequence")
    whole = Target(_only_image(root), series_instance_uid=_only_series(root))
    for frame, group in enumerate(groups, 1):
        number = _segment_number(group, shared)
        about = segments.get(number) or Reference(ReferenceKind.SEGMENT, number)
        for target in _derived_from(group, shared) or [_plane(group, shared, root, whole) or whole]:
            yield target.of(about._replace(source_frame=frame))
    if not groups:  # tiles in a fixed order: they need none
        yield from map(whole.of, segments.values())


def _segment_number(group: Attributes, shared: Attributes | None) -> int | None:
    for place in (group, shared):
        item = first_item(place, "SegmentIdentificationSequence")
        if item is not None:
            return next(iter(read_counts(item, "ReferencedSegmentNumber")), None)
    return None


def _derived_from(group: Attributes, shared: Attributes | None) -> list[Target]:
    """The images that a frame was made from."""
    for place in (group, shared):
        derivations = items(place, "DerivationImageSequence") if place is not None else ()
        sources = [source for derivation in derivations for source in items(derivation, "SourceImageSequence")]
        if sources:
            return [target for source in sources for target in read_targets(source)]
    return []


def _plane(group: Attributes, shared: Attributes | None, root: Attributes, whole: Target) -> Target | None:
    """Where a frame lies in the patient, and of which image or series; None where that is not said."""
    orientation, normal = _find_plane(group, shared)
    place = first_item(group, "PlanePositionSequence") or first_item(shared, "PlanePositionSequence")
    point = read_numbers(place.raw("ImagePositionPatient")) if place is not None else ()
    plane_mm, _ = locate(point, normal)
    if plane_mm is None:
        return None
    named = whole.sop_instance_uid or whole.series_instance_uid
    frame_of_reference = None if named else uid_key(read_uid(root, "FrameOfReferenceUID"))
    return whole._replace(frame_of_reference_key=frame_of_reference, plane_mm=plane_mm, orientation=orientation)


def _find_plane(group: Attributes, shared: Attributes | None) -> tuple[str | None, tuple[float, float, float] | None]:
    item = first_item(group, "PlaneOrientationSequence") or first_item(shared, "PlaneOrientationSequence")
    return read_plane(item.raw("ImageOrientationPatient")) if item is not None else (None, None)


def _only_image(root: Attributes) -> str | None:
    """The image that the file as a whole was made from, if it is one."""
    targets = [target for item in items(root, "SourceImageSequence")[:2] for target in read_targets(item)]
    targets = targets or list(islice((t for s in items(root, "ReferencedSeriesSequence") for t in find_targets(s)), 2))
    uids = {target.sop_instance_uid for target in targets}
    return uids.pop() if len(uids) == 1 else None


def _only_series(root: Attributes) -> str | None:
    series = [read_uid(item, "SeriesInstanceUID") for item in items(root, "ReferencedSeriesSequence")[:2]]
    return series[0] if len(series) == 1 else None
