"""Names of classes as they may be chosen from."""

from collections.abc import Sequence
from unicodedata import normalize

from dicomprep.errors import LabelError
from dicomprep.web.site import CLASS_KEYS, checked_name

__all__ = ["checked_classes"]

FIRST_CLASSES = ("normal", "abnormal")


def checked_classes(given: Sequence[str], known: Sequence[str], what: str) -> list[str]:
    """Those of `given` that are not known yet, in their order; two where none were ever given.

    Raises LabelError for a name that may not be: names that people take for one must be one.
    """
    names = [checked_name(name, f"{what}: a class") for name in given] or ([] if known else list(FIRST_CLASSES))
    all_names = [*known, *(name for name in names if name not in known)]
    if len(set(names)) < len(names) or len(all_names) > len(CLASS_KEYS):
        had = f", {', '.join(known)} among them" if known else ""
        raise LabelError(f"{what}: there can be {len(CLASS_KEYS)} different classes at most{had}.")
    seen: dict[str, str] = {}
    for name in all_names:
        other = seen.setdefault(_folded(name), name)
        if other != name and name in names:
            raise LabelError(f"{what}: {other} and {name} differ only in how they are written; choose one of them.")
    return all_names[len(known) :]


def _folded(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold())
