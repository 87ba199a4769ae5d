"""What PS3.15 Annex E says of attributes, and which of them may be recorded by `--tag`."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicomprep.dicom.attributes import label
from dicomprep.errors import ConfigError

__all__ = ["confidential_actions", "confidentiality_warnings"]

_NOT_PLAIN = frozenset(["SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"])
"""Value Representations of no text and no number."""


@cache
def confidential_actions() -> dict[str, str]:
    """Table E.1-1: what the basic profile does with an attribute, by keyword; X removes it, for instance."""
    lines = files("dicomprep.dicom").joinpath("confidentiality_profile.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {keyword: action for _, action, keyword in rows}


def confidentiality_warnings(keywords: Sequence[str]) -> Iterator[str]:
    """A sentence for each attribute that Table E.1-1 calls identifying; ConfigError where one cannot be recorded."""
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ConfigError(f"--tag {keyword}: not a DICOM keyword. Example: ConvolutionKernel.")
        if dictionary_VR(tag).split()[0] in _NOT_PLAIN:
            raise ConfigError(f"--tag {keyword}: not a text or numeric attribute; it cannot be recorded.")
        action = confidential_actions().get(keyword)
        if action is not None:
            source = f"PS3.15 Table E.1-1, action {action}"
            yield f"{label(keyword)} can identify patients or staff ({source}); recorded unchanged, as requested."
