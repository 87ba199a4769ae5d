"""Words of free text as they are compared: nothing but which of our own phrases a text has ever leaves it."""

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["find_phrase", "plain_words"]

_WORD = re.compile(r"[A-Z0-9]+")
_PLAIN = str.maketrans({"Ä": "A", "Ö": "O", "Ü": "UE", "É": "E", "È": "E", "Á": "A", "Í": "I", "Ó": "O", "Ã": "A"})


@lru_cache(maxsize=4096)
def plain_words(raw: bytes) -> str:
    """Words in capitals with a space between, without their accents: `3-Plane_Loc` is `3 PLANE LOC`."""
    text = raw.decode("latin-1").upper().translate(_PLAIN)
    return " ".join(_WORD.findall(text))


def find_phrase(wanted: Iterable[str], text: str) -> str:
    """The first of the wanted phrases that a text has as whole words."""
    padded = f" {text} "
    return next((phrase for phrase in wanted if f" {phrase} " in padded), "") if text else ""
