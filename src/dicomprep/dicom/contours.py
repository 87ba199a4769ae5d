"""Regions of a structure set and the images that their contours lie on (PS3.3 C.8.8.5, C.8.8.6, C.8.8.8)."""

from collections import Counter
from collections.abc import Iterator, Mapping

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.clinical_words import clinical_words
from dicomprep.dicom.concepts import NO_CONCEPT, read_concept
from dicomprep.dicom.lenient import items, read_counts, read_numbers, read_text, read_uid
from dicomprep.dicom.targets import NO_TARGET, Target, axial_plane, read_targets
from dicomprep.dicom.vocabulary import ROI_TYPES
from dicomprep.privacy.keys import uid_key
from dicomprep.privacy.references import Reference, ReferenceKind

__all__ = ["KEYWORDS", "read_contours"]

KEYWORDS = ("ReferencedFrameOfReferenceSequence", "StructureSetROISequence", "ROIContourSequence",
            "RTROIObservationsSequence")  # fmt: skip


def read_contours(root: Attributes) -> Iterator[Reference]:
    """How many contours of which region lie on which image; regions without any are named, too."""
    observed = {_number(item, "ReferencedROINumber"): item for item in items(root, "RTROIObservationsSequence")}
    series = _series_by_frame_of_reference(root)
    contours = {_number(item, "ReferencedROINumber"): item for item in items(root, "ROIContourSequence")}
    for item in items(root, "StructureSetROISequence"):
        number = _number(item, "ROINumber")
        about = _describe_region(number, item, observed.get(number))
        frame_of_reference = read_uid(item, "ReferencedFrameOfReferenceUID")
        found = contours.get(number)
        counts = Counter(_find_targets(found, series, frame_of_reference)) if found is not None else Counter()
        for target, count in counts.items():
            yield target.of(about._replace(shapes=count))
        if not counts:
            yield about._replace(shapes=0)


def _number(item: Attributes, keyword: str) -> int | None:
    return next(iter(read_counts(item, keyword)), None)


def _describe_region(number: int | None, item: Attributes, observed: Attributes | None) -> Reference:
    kind, code = "", NO_CONCEPT
    if observed is not None:
        kind = read_text(observed, "RTROIInterpretedType").upper().replace(" ", "_")
        code = read_concept(observed, "RTROIIdentificationCodeSequence")
    return Reference(
        ReferenceKind.CONTOUR,
        number,
        clinical_words(read_text(item, "ROIName")),
        *code,
        category_meaning=kind if kind in ROI_TYPES else None,
    )


def _series_by_frame_of_reference(root: Attributes) -> dict[str | None, str]:
    """The series that each frame of reference is drawn on, where it is one."""
    found: dict[str | None, str] = {}
    for frame in items(root, "ReferencedFrameOfReferenceSequence"):
        series = {
            uid
            for study in items(frame, "RTReferencedStudySequence")
            for item in items(study, "RTReferencedSeriesSequence")
            if (uid := read_uid(item, "SeriesInstanceUID"))
        }
        if len(series) == 1:
            found[read_uid(frame, "FrameOfReferenceUID")] = series.pop()
    return found


def _find_targets(
    region: Attributes, series: Mapping[str | None, str], frame_of_reference: str | None
) -> Iterator[Target]:
    """The image of each contour: as it is named, else the one whose plane it lies in."""
    known = series.get(frame_of_reference)
    for contour in items(region, "ContourSequence"):
        named = [t for item in items(contour, "ContourImageSequence") for t in read_targets(item)]
        height = None if named else axial_plane(read_numbers(contour, "ContourData"))
        if height is not None:
            named = [Target(None, None, known, None if known else uid_key(frame_of_reference), height)]
        yield from named or [NO_TARGET]
