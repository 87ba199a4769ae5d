"""Functional groups of a multi-frame file, as far as they say what its frames are (PS3.3 C.7.6.16)."""

from collections.abc import Iterator

from dicomprep.dicom.attributes import Attributes
from dicomprep.errors import InputError

__all__ = ["converted_items", "end_groups", "has_groups", "item_or_none", "read_frame_types"]

_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_FRAME_TYPES = (
    "WholeSlideMicroscopyImageFrameTypeSequence", "ConfocalMicroscopyImageFrameTypeSequence",
    "CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "MRSpectroscopyFrameTypeSequence",
    "PETFrameTypeSequence", "XRay3DFrameTypeSequence", "IntravascularOCTFrameTypeSequence",
    "PhotoacousticImageFrameTypeSequence", "ParametricMapFrameTypeSequence", "USImageDescriptionSequence",
)  # fmt: skip
_CONVERTED = ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")
"""Where converters to enhanced images leave what has no other place (PS3.3 C.7.6.16.2.25, C.7.6.16.2.26)."""


def has_groups(root: Attributes) -> bool:
    """Whether frames have attributes of their own."""
    return any(name in root for name in _GROUPS)


def end_groups(root: Attributes) -> list[Attributes]:
    """What holds for all frames, and for the first and the last of them."""
    places = ((_GROUPS[0], 0), (_GROUPS[1], 0), (_GROUPS[1], -1))
    return [group for place in places if (group := item_or_none(root, *place)) is not None]


def converted_items(groups: list[Attributes]) -> list[Attributes]:
    """What a converter left over in these groups."""
    return [item for group in groups for name in _CONVERTED if (item := item_or_none(group, name)) is not None]


def read_frame_types(groups: list[Attributes]) -> Iterator[bytes]:
    """Frame Type as each of these groups has it, as written; in converted files Image Type."""
    for group in groups:
        for name in _FRAME_TYPES:
            if name in group and (item := item_or_none(group, name)) is not None:
                yield item.raw("FrameType")
    yield from (item.raw("ImageType") for item in converted_items(groups))


def item_or_none(attributes: Attributes, sequence: str, index: int = 0) -> Attributes | None:
    """An item of a sequence; None where there is none, or it cannot be read."""
    try:
        return attributes.item(sequence, index)
    except InputError:
        return None
