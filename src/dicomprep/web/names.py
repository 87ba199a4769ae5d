"""Names of classes and annotators: what they may be, and which class has which key."""

from collections.abc import Sequence
from unicodedata import normalize

from dicomprep.errors import LabelError

__all__ = ["CLASS_KEYS", "clean_name", "find_new_classes"]

CLASS_KEYS = "123456789abcdefghijklmnpqrtvwxy"
"""One key for each class; the letters that are missing do something else."""

MAX_NAME_CHARACTERS = 60
"""Characters of an annotator or a class; bounds what pages store."""

_JOINERS = dict.fromkeys((0x200C, 0x200D), "x")
"""Persian and Indian scripts and many emoji need them to be written at all."""

FIRST_CLASSES = ("normal", "abnormal")


def clean_name(name: str, what: str) -> str:
    """A class's or a person's name as it may be kept, one however it was composed; LabelError where it may not."""
    name = normalize("NFC", name).strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.translate(_JOINERS).isprintable() or "," in name:
        raise LabelError(f"{what} must have 1 to {MAX_NAME_CHARACTERS} characters, without commas or line breaks.")
    return name


def find_new_classes(given: Sequence[str], known: Sequence[str], what: str) -> list[str]:
    """Those of `given` that are not known yet, in their order; two where none were ever given.

    Raises LabelError for a name that may not be: names that people take for one must be one.
    """
    names = [clean_name(name, f"{what}: a class") for name in given] or ([] if known else list(FIRST_CLASSES))
    all_names = [*known, *(name for name in names if name not in known)]
    if len(set(names)) < len(names) or len(all_names) > len(CLASS_KEYS):
        defined = f" (already defined: {', '.join(known)})" if known else ""
        raise LabelError(f"{what}: give at most {len(CLASS_KEYS)} different classes{defined}.")
    seen: dict[str, str] = {}
    for name in all_names:
        other = seen.setdefault(_fold_case(name), name)
        if other != name and name in names:
            raise LabelError(f"{what}: {other} and {name} differ only in case or accent encoding; use one of them.")
    return all_names[len(known) :]


def _fold_case(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold())
