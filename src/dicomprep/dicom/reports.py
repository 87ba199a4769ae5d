"""Measurements and evaluations of a report, and marks of a Key Object Selection (PS3.16 TID 1500, 1410, 1411, 2010)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.clinical_words import clinical_words
from dicomprep.dicom.concepts import NO_CONCEPT, Concept
from dicomprep.dicom.content_items import ContentItem, read_content
from dicomprep.dicom.lenient import items
from dicomprep.dicom.targets import NO_TARGET, Target, find_targets
from dicomprep.errors import ErrorCode, InputError
from dicomprep.privacy.references import Reference, ReferenceKind

__all__ = ["KEYWORDS", "read_key_images", "read_report"]

KEYWORDS = ("ValueType", "ConceptNameCodeSequence", "ContentSequence", "CurrentRequestedProcedureEvidenceSequence")

GROUP, FINDING = "DCM:125007", "DCM:121071"
FINDING_SITES = frozenset(("SCT:363698007", "SRT:G-C0E3"))
TITLE_MODIFIER, DESCRIPTION = "DCM:113011", "DCM:113012"
CONTEXT = frozenset(("DCM:121049", "DCM:121005", "DCM:121058", "DCM:121046"))
"""Languages, observers, procedures: they say nothing of an image."""

LIBRARY = Concept("DCM:111028", "Image Library")
REGIONS = frozenset(("SCOORD", "SCOORD3D"))

Image = tuple[Target, int | None]
"""An image, and the segment of it that is meant."""

NOWHERE: Image = (NO_TARGET, None)


def read_report(root: Attributes) -> Iterator[Reference]:
    """What a report says of which images; InputError `limit_exceeded` after what could be read of too large a one."""
    tree = read_content(root)
    evidence = _evidence(root)
    only = evidence[0] if len(evidence) == 1 else NO_TARGET
    for reference in _read_container(tree.root, NO_CONCEPT):
        is_placed = reference.target_sop_instance_uid or reference.plane_mm is not None
        yield reference if is_placed else only.of(reference)
    _require_whole(is_whole=tree.is_whole)


def read_key_images(root: Attributes) -> Iterator[Reference]:
    """The images that a Key Object Selection marks, with its title and what modifies it."""
    tree = read_content(root)
    below = list(tree.root.walk())
    modifiers = (item.value for item in below if item.name.code == TITLE_MODIFIER)
    words = (clinical_words(item.text) for item in below if item.name.code == DESCRIPTION)
    about = Reference(
        ReferenceKind.KEY_IMAGE,
        None,
        next(words, None),
        *tree.root.name,
        *next(modifiers, NO_CONCEPT),
    )
    marked = [target for item in tree.root.images for target in item.targets]
    yield from (target.of(about) for target in dict.fromkeys(marked or _evidence(root)))
    _require_whole(is_whole=tree.is_whole)


def _require_whole(*, is_whole: bool) -> None:
    if not is_whole:
        raise InputError(ErrorCode.LIMIT_EXCEEDED, "the report has more content items, or deeper ones, than are read")


def _evidence(root: Attributes) -> list[Target]:
    """The images that a report is based on."""
    studies = items(root, "CurrentRequestedProcedureEvidenceSequence")
    return [target for study in studies for target in find_targets(study)]


def _read_container(container: ContentItem, within: Concept) -> Iterator[Reference]:
    """Groups of measurements, measurements beside images, and images that a report only shows."""
    if container.name.code == GROUP:
        yield from _read_group(container)
        return
    name = within if within == LIBRARY or container.name == NO_CONCEPT else container.name
    for item in container.children:
        if item.kind == "CONTAINER":
            yield from _read_container(item, name)
        elif name != LIBRARY and item.kind in ("NUM", "CODE", "TEXT") and item.images:
            yield from _apply(_describe(item, Reference(ReferenceKind.EVALUATION)), _count_regions([item]))
        else:
            shown = item.name if name != LIBRARY and item.name != NO_CONCEPT else name
            yield from _apply(Reference(ReferenceKind.EVALUATION, None, None, *shown), _count_regions([item]))


def _read_group(group: ContentItem) -> Iterator[Reference]:
    """Each measurement and evaluation of a group, of the group's images unless it has its own."""
    finding = _first_value(group, frozenset((FINDING,)))
    site = _first_value(group, FINDING_SITES)
    about = Reference(
        ReferenceKind.EVALUATION,
        category_code=finding.code,
        category_meaning=finding.meaning,
        site_code=site.code,
        site_meaning=site.meaning,
    )
    shared = _count_regions([item for item in group.children if item.kind not in ("NUM", "CODE")])
    said = [item for item in group.children if _says_something(item)]
    for item in said:
        yield from _apply(_describe(item, about), _count_regions([item]) or shared or {NOWHERE: 0})
    if not said:
        named = about._replace(code=FINDING, meaning="Finding", value_code=finding.code, value_meaning=finding.meaning)
        yield from _apply(named, shared)


def _says_something(item: ContentItem) -> bool:
    if item.kind == "NUM":
        return True
    return item.kind == "CODE" and item.name.code not in CONTEXT | FINDING_SITES | {FINDING}


def _first_value(group: ContentItem, names: frozenset[str]) -> Concept:
    """The value of an item of the group, else of one of its measurements."""
    return next((item.value for item in group.walk() if item.name.code in names), NO_CONCEPT)


def _describe(item: ContentItem, about: Reference) -> Reference:
    """What a measurement or an evaluation says."""
    about = about._replace(code=item.name.code, meaning=item.name.meaning)
    if item.kind == "NUM":
        return about._replace(kind=ReferenceKind.MEASUREMENT, value=item.amount, unit=item.unit)
    return about._replace(value_code=item.value.code, value_meaning=item.value.meaning)


def _count_regions(said: Sequence[ContentItem]) -> Counter[Image]:
    """The images that content items name, and how many regions are drawn on each."""
    counts: Counter[Image] = Counter()
    for item in said:
        counts.update(dict.fromkeys(_images(item), 0))
        for region in item.walk():
            if region.kind in REGIONS:
                counts.update(set(_images(region)))
    return counts


def _images(item: ContentItem) -> Iterator[Image]:
    for image in item.images:
        for target in image.targets:
            yield from ((target, number) for number in image.segments or (None,))


def _apply(about: Reference, images: Mapping[Image, int]) -> Iterator[Reference]:
    for (target, number), regions in images.items():
        yield target.of(about._replace(number=number, shapes=regions or None))
