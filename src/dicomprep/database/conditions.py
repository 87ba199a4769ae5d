"""`--where "modality = 'CT' AND width >= 100"`: a text that can only ever compare columns.

It is parsed into an expression of SQLAlchemy and never handed to the database as text, so that it can neither write
nor ask for anything else, and means the same in SQLite and PostgreSQL.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Double,
    Float,
    Integer,
    String,
    and_,
    literal,
    not_,
    or_,
)

from dicomprep.errors import ConfigError

__all__ = ["parse_condition"]

_TOKENS = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign><=|>=|<>|!=|==|[=<>(),])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "==": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<>": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}
_KEYWORDS = ("and", "or", "not", "in", "like", "is", "null", "between")
_MAX_DEPTH = 50
"""Nested parentheses and NOT of a condition; bounds recursion."""

_MAX_COMPARISONS = 500
"""Comparisons of a condition; SQLite takes no expression deeper than 1,000."""
_MAX_VALUES = 30_000
"""Values of a condition; SQLite takes 32,766 parameters of a statement, PostgreSQL 65,535."""
_MAX_PATTERN_BYTES = 10_000
"""Bytes of a LIKE pattern; SQLite takes 50,000."""
_MAX_QUOTED_CHARACTERS = 200
"""Characters of a condition that an error message repeats."""


def parse_condition(
    text: str, columns: Mapping[str, ColumnElement[Any]], *, option: str = "--where"
) -> ColumnElement[bool]:
    """The condition that `text` states of `columns`; ConfigError where it is none, with the option and the place.

    Comparisons (`= != < <= > >=`), `IN (…)`, `LIKE`, `BETWEEN … AND …` and `IS NULL`, all also with `NOT`, joined by
    `AND`, `OR`, `NOT` and parentheses. Texts stand in single or double quotes.
    """
    return _Parser(text, columns, option).parse()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind in ("word", "sign") else ""


class _Parser:
    """Recursive descent: one method for each rule of the grammar."""

    def __init__(self, text: str, columns: Mapping[str, ColumnElement[Any]], option: str) -> None:
        self._text, self._columns, self._option = text, columns, option
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0
        self._comparisons = self._values = 0

    def parse(self) -> ColumnElement[bool]:
        condition = self._either()
        if self._now.kind != "end":
            raise self._mistake("AND, OR or the end is expected")
        return condition

    def _split(self) -> list[_Token]:
        tokens, place, text = list[_Token](), 0, self._text.rstrip()
        while place < len(text):
            match = _TOKENS.match(text, place)
            if match is None or match.lastgroup is None:
                unreadable = text[place : place + _MAX_QUOTED_CHARACTERS].strip()[:20]
                raise ConfigError(f"{self._quoted}: this cannot be read: {unreadable}")
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            place = match.end()
        return [*tokens, _Token("end", "", len(self._text))]

    @property
    def _quoted(self) -> str:
        cut = "…" if len(self._text) > _MAX_QUOTED_CHARACTERS else ""
        return f"{self._option} {self._text[:_MAX_QUOTED_CHARACTERS]}{cut}"

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._now
        self._at += token.kind != "end"
        return token

    def _met(self, *words: str) -> bool:
        """Whether the next tokens are these; they are taken then."""
        ahead = [token.word for token in self._tokens[self._at : self._at + len(words)]]
        if ahead != list(words):
            return False
        self._at += len(words)
        return True

    def _expect(self, sign: str) -> None:
        if not self._met(sign):
            raise self._mistake(f"{sign} is expected")

    def _mistake(self, what: str) -> ConfigError:
        found = f"at {self._now.text[:_MAX_QUOTED_CHARACTERS]}" if self._now.text else "at the end"
        return ConfigError(f"{self._quoted}: {what} {found} (character {self._now.place + 1}).")

    def _either(self) -> ColumnElement[bool]:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ConfigError(f"{self._option}: there are too many parentheses within each other.")
        conditions = [self._both()]
        while self._met("or"):
            conditions.append(self._both())
        self._depth -= 1
        return or_(*conditions)

    def _both(self) -> ColumnElement[bool]:
        conditions = [self._one()]
        while self._met("and"):
            conditions.append(self._one())
        return and_(*conditions)

    def _one(self) -> ColumnElement[bool]:
        negated = False
        while self._met("not"):
            negated = not negated
        if self._met("("):
            condition = self._either()
            self._expect(")")
        else:
            condition = self._comparison()
        return not_(condition) if negated else condition

    def _comparison(self) -> ColumnElement[bool]:
        self._comparisons += 1
        if self._comparisons > _MAX_COMPARISONS:
            raise ConfigError(f"{self._quoted}: more than {_MAX_COMPARISONS} comparisons; IN (…) takes many values.")
        column = self._column()
        if self._met("is", "not", "null"):
            return column.is_not(None)
        if self._met("is", "null"):
            return column.is_(None)
        if self._now.text in _COMPARISONS:
            return _COMPARISONS[self._take().text](column, self._value(column))
        negated = self._met("not")
        condition = self._membership(column)
        return not_(condition) if negated else condition

    def _membership(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        if self._met("in"):
            self._expect("(")
            values = [self._value(column)]
            while self._met(","):
                values.append(self._value(column))
            self._expect(")")
            return column.in_(values)
        if self._met("like"):
            return self._like(column)
        if self._met("between"):
            low = self._value(column)
            self._expect("and")
            return column.between(low, self._value(column))
        raise self._mistake("a comparison is expected (=, !=, <, <=, >, >=, IN, LIKE, BETWEEN, IS NULL)")

    def _like(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """A backslash is a backslash, which PostgreSQL would take for an escape and refuse at the end."""
        if _is_numeric(column):
            raise self._mistake("LIKE compares texts; a column of numbers has none")
        pattern = str(self._value(column).value)
        if len(pattern.encode()) > _MAX_PATTERN_BYTES:
            raise ConfigError(f"{self._quoted}: a pattern of LIKE has at most {_MAX_PATTERN_BYTES:,} bytes.")
        return column.like(pattern.replace("\\", "\\\\"), escape="\\")

    def _column(self) -> ColumnElement[Any]:
        if self._now.kind != "word" or self._now.word in _KEYWORDS:
            raise self._mistake("the name of a column is expected")
        if self._now.word not in self._columns:
            known = ", ".join(self._columns)
            raise ConfigError(
                f"{self._quoted}: there is no column {self._now.text[:_MAX_QUOTED_CHARACTERS]}. There are: {known}."
            )
        return self._columns[self._take().word]

    def _value(self, column: ColumnElement[Any]) -> BindParameter[Any]:
        self._values += 1
        if self._values > _MAX_VALUES:
            raise ConfigError(f"{self._quoted}: more than {_MAX_VALUES:,} values.")
        numeric = _is_numeric(column)
        if self._now.kind == "number" and numeric:
            return _number(self._take().text)
        if self._now.kind == "text" and not numeric:
            return self._written()
        raise self._mistake("a number is expected" if numeric else "a text in quotes is expected")

    def _written(self) -> BindParameter[Any]:
        """A text that stands in quotes; the database takes neither bytes that are no UTF-8 nor NUL."""
        text = self._now.text[1:-1].replace(self._now.text[0] * 2, self._now.text[0])
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise self._mistake("no database holds such a text (NUL, or bytes that are no UTF-8)")
        self._take()
        return literal(text, String)


def _is_numeric(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, Integer | BigInteger | Float)


def _number(text: str) -> BindParameter[Any]:
    """A number of a type that holds it: what 64 bits cannot is a floating-point number, 1e999 infinity."""
    number = float(text)
    if re.fullmatch(r"[+-]?\d+", text) and abs(number) < 2**62:
        return literal(int(text), BigInteger)
    return literal(number, Double)
