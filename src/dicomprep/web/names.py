"""Names of classes and annotators: what they may be, and which class has which key."""

from collections.abc import Sequence
from unicodedata import normalize

from markupsafe import Markup, escape

from dicomprep.errors import LabelError
from dicomprep.exchange.names import JOINERS, MAX_CLASSES, can_be_class, clean_name

__all__ = [
    "CLASS_KEYS",
    "MAX_CLASSES",
    "can_be_class",
    "check_new_name",
    "clean_name",
    "clean_note",
    "find_new_classes",
    "isolated",
]

CLASS_KEYS = "123456789acdefhijklmrtvwxy"
"""One key for each of the first classes; the letters that are missing do something else."""

MAX_NOTE_CHARACTERS = 1000
"""Characters of a note beside a label; bounds what pages store."""

_SPACES = "\t\xa0\u2009\u202f\u3000"

FIRST_CLASSES = ("normal", "abnormal")


def check_new_name(name: str, target: str, known: Sequence[str]) -> str:
    """What a class is to be called from now on, as it may be kept; LabelError where it is like another class's name."""
    others = [one for one in known if one != name]
    if (cleaned := clean_name(target, "The new name")) not in others:
        find_new_classes([cleaned], others, "The new name")
    return cleaned


def clean_note(text: str) -> str | None:
    """What somebody writes beside a label; None for nothing. LabelError where it is too long, or not text."""
    note = normalize("NFC", text).replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE_CHARACTERS:
        raise LabelError(f"A note must have at most {MAX_NOTE_CHARACTERS:,} characters.")
    if not all(mark == "\n" or mark in _SPACES or mark.isprintable() for mark in note.translate(JOINERS)):
        raise LabelError("A note must not contain control characters.")
    return note or None


def isolated(name: str) -> Markup:
    """A name within a line of text: one that is written from right to left turns nothing around it.

    >>> isolated("ada"), isolated("עדה")
    (Markup('ada'), Markup('<bdi>עדה</bdi>'))
    """
    return escape(name) if name.isascii() else Markup("<bdi>{}</bdi>").format(name)


def find_new_classes(given: Sequence[str], known: Sequence[str], what: str) -> list[str]:
    """Those of `given` that are not known yet, in their order; two where none were ever given.

    Raises LabelError for a name that may not be: names that people take for one must be one.
    """
    names = [clean_name(name, f"{what}: a class") for name in given] or ([] if known else list(FIRST_CLASSES))
    all_names = [*known, *(name for name in names if name not in known)]
    if len(set(names)) < len(names) or len(all_names) > MAX_CLASSES:
        defined = f" (already defined: {', '.join(known)})" if known else ""
        raise LabelError(f"{what}: give at most {MAX_CLASSES} different classes{defined}.")
    seen: dict[str, str] = {}
    for name in all_names:
        other = seen.setdefault(_fold_case(name), name)
        if other != name and name in names:
            raise LabelError(f"{what}: {other} and {name} differ only in case or accent encoding; use one of them.")
    return all_names[len(known) :]


def _fold_case(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold())
