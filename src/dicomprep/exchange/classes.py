"""How a class is spelled: one name for one class, however tables write it."""

import re
from collections.abc import Collection, Iterable, Sequence

__all__ = ["Spelling", "same_classes"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.0+)?")


class Spelling:
    """Names of classes as the database has them.

    >>> Spelling(["mass", "Mag view"]).of("Mag view, mass")
    'mass,Mag view'
    >>> Spelling(["3"]).of("3.0"), Spelling([]).of("3.0"), Spelling(["3.0"]).of("3")
    ('3', '3', '3.0')
    """

    def __init__(self, names: Sequence[str], labels: Iterable[str] = ()) -> None:
        """`names` are the classes in their order, `labels` what images are labeled with."""
        self._names = names
        self._known: Collection[str] = {*names, *labels}
        self._numbers = {_number(name): name for name in sorted(self._known, reverse=True) if _NUMBER.fullmatch(name)}

    def of(self, text: str) -> str:
        """A label as it is to be recorded.

        What pandas makes of whole numbers (`1.0`) is the number; several classes stand in their order with commas only.
        """
        if text in self._known:
            return text
        if _NUMBER.fullmatch(text):
            return self._numbers.get(_number(text), _number(text))
        parts = {part.strip() for part in text.split(",")}
        if len(parts) > 1 and parts <= set(self._names):
            return ",".join(name for name in self._names if name in parts)
        return text


def same_classes(one: str, other: str) -> bool:
    """Whether two labels say the same, in whichever order several classes stand."""
    return one == other or sorted(one.split(",")) == sorted(other.split(","))


def _number(text: str) -> str:
    """A whole number without its zeros after the point; zeros before it are part of a name."""
    return text.partition(".")[0]
