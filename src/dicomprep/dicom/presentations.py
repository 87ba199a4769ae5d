"""Presentation states and the images that they are for (PS3.3 C.11.11, C.10.5)."""

from collections import Counter
from collections.abc import Iterator

from pydicom.uid import UID

from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.clinical_words import clinical_words
from dicomprep.dicom.lenient import items, read_text
from dicomprep.dicom.targets import REFERENCING, Target, find_targets
from dicomprep.privacy.references import Reference, ReferenceKind

__all__ = ["KEYWORDS", "read_presentation"]

KEYWORDS = (*REFERENCING, "GraphicAnnotationSequence", "ContentLabel", "ContentDescription")


def read_presentation(root: Attributes) -> Iterator[Reference]:
    """The images that a presentation state is for, and how many graphics and texts it draws on each."""
    name = UID(read_text(root, "SOPClassUID")).name.removesuffix(" Storage")
    label = clinical_words(f"{read_text(root, 'ContentLabel')} {read_text(root, 'ContentDescription')}")
    about = Reference(ReferenceKind.PRESENTATION, label=label, meaning=name)
    drawn: Counter[Target] = Counter()
    on_all = 0
    for item in items(root, "GraphicAnnotationSequence"):
        count = len(items(item, "GraphicObjectSequence")) + len(items(item, "TextObjectSequence"))
        targets = list(find_targets(item))
        drawn.update(dict.fromkeys(targets, count))
        on_all += 0 if targets else count
    images = [target for keyword in REFERENCING for item in items(root, keyword) for target in find_targets(item)]
    for target in dict.fromkeys((*images, *drawn)):
        yield target.of(about._replace(shapes=on_all + drawn[target]))
