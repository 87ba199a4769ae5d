"""Of which series a file is whose header cannot be read to its end: it must not be missing from it without a word."""

import re

from dicomprep.models import Instance

__all__ = ["glimpse"]

_UID = rb"(?:UI..|..\0\0)([0-9][0-9.]{0,63})\0?"
_SERIES = re.compile(
    rb"(?:\x20\0\x0d\0|\0\x20\0\x0d)" + _UID + rb"(?:\x20\0\x0e\0|\0\x20\0\x0e)" + _UID + rb"(?![0-9.])", re.DOTALL
)
"""Study and Series Instance UID (0020,000D), (0020,000E), one right after the other, as only an image's own stand."""
_NUMBER = re.compile(rb"(?:\x20\0\x13\0|\0\x20\0\x13)(?:IS..|..\0\0) *([0-9]{1,9})", re.DOTALL)
_NEAR = 2048
"""Instance Number (0020,0013) stands no more bytes behind them."""


def glimpse(head: bytes) -> Instance:
    """What the first bytes of a file say of study, series and instance, in any encoding but a deflated one."""
    found = _SERIES.search(head)
    if found is None:
        return Instance()
    number = _NUMBER.search(head, found.end(), found.end() + _NEAR)
    study, series = (uid.decode("ascii") for uid in found.groups())
    return Instance(
        study_instance_uid=study, series_instance_uid=series, instance_number=int(number[1]) if number else None
    )
