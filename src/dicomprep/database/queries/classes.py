"""The classes of a data set: which there are, in which order, and what became of them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dicomprep.database.annotation_schema import annotation_events
from dicomprep.database.class_schema import class_events, classes
from dicomprep.database.page_schema import catalogue, current_labels
from dicomprep.database.queries.units import UNCERTAIN_MARK

__all__ = [
    "ClassEvent",
    "ListedClass",
    "class_names",
    "classes_of",
    "describe_former",
    "former_names",
    "in_class_order",
    "labeled_classes",
    "list_classes",
    "name_today",
    "newest_class_events",
    "numbered_classes",
    "shown_classes",
]


@dataclass(frozen=True, slots=True)
class ListedClass:
    """A class, as the pages list it."""

    name: str
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class ClassEvent:
    """An entry of the log of classes."""

    kind: str
    name: str
    target: str | None
    annotator: str
    created_at: str


def class_names(connection: Connection) -> list[str]:
    """All classes, in the order in which they were added: that of several classes in one label."""
    return list(connection.execute(select(classes.c.name).order_by(classes.c.id)).scalars())


def numbered_classes(connection: Connection) -> tuple[str, ...]:
    """All classes in the order of their numbers in targets and exports, which only grows at its end."""
    return tuple(connection.execute(select(classes.c.name).order_by(classes.c.number, classes.c.id)).scalars())


def in_class_order(names: Iterable[str], numbered: Sequence[str], *, padded: bool = True) -> tuple[str, ...]:
    """The classes of targets: `names` in the order of `numbered`, those that have no number last.

    With `padded` unused classes before the last used one are among them, so that no number changes when they come.
    Where labels have several classes, or are uncertain, each text is a class by itself, in alphabetical order.

    >>> in_class_order(["c", "a"], ["b", "c", "a", "d"]), in_class_order(["c", "a,c"], ["c", "a"])
    (('b', 'c', 'a'), ('a,c', 'c'))
    """
    used = set(names)
    if any([name] != list(classes_of(name)) for name in used):
        return tuple(sorted(used))
    last = max((place for place, name in enumerate(numbered, 1) if name in used), default=0)
    first = [name for name in numbered[:last] if padded or name in used]
    return (*first, *sorted(used.difference(first)))


def list_classes(connection: Connection) -> list[ListedClass]:
    """All classes in the order of the pages."""
    statement = select(classes.c.name, classes.c.hidden)
    statement = statement.order_by(classes.c.place.is_(None), classes.c.place, classes.c.id)
    return [ListedClass(name, bool(hidden)) for name, hidden in connection.execute(statement)]


def shown_classes(connection: Connection) -> list[str]:
    """The classes to choose from, in the order of the pages."""
    return [listed.name for listed in list_classes(connection) if not listed.is_hidden]


def labeled_classes(connection: Connection) -> list[str]:
    """The classes that labels and annotations have, in alphabetical order, on the list or not.

    Labels are found from one to the next along an index; those of images that no page shows yet are read.
    """
    found = {name for label in _distinct_labels(connection) for name in classes_of(label)}
    return sorted(found)


def classes_of(label: str) -> Iterator[str]:
    """The classes that a label has, for certain or not."""
    return (name.removesuffix(UNCERTAIN_MARK) for name in label.split(",") if name)


def former_names(connection: Connection) -> dict[str, str]:
    """What classes are called that were renamed or merged, by their former names; those that exist again are not."""
    statement = select(class_events.c.name, class_events.c.target).where(class_events.c.kind.in_(("rename", "merge")))
    former: dict[str, str] = {}
    for name, target in connection.execute(statement.order_by(class_events.c.id)):
        former = {before: target if now == name else now for before, now in former.items()} | {name: target}
    there = set(class_names(connection))
    return {before: now for before, now in former.items() if before not in there and now in there}


def name_today(label: str, former: Mapping[str, str]) -> str:
    """A label with the names that its classes have now: each once, and for certain if it is so under any of them.

    >>> name_today("mass,nodule (uncertain)", {"nodule": "mass"}), name_today("cyst", {"cyst": "Zyste"})
    ('mass', 'Zyste')
    """
    named = [part.partition(UNCERTAIN_MARK) for part in label.split(",")]
    parts = dict.fromkeys(former.get(name, name) + mark + rest for name, mark, rest in named)
    return ",".join(part for part in parts if (sure := part.removesuffix(UNCERTAIN_MARK)) == part or sure not in parts)


def describe_former(former: Mapping[str, str], given: Collection[str]) -> list[str]:
    """A sentence for each former name that labels have, or columns."""
    used = {name for label in given for name in classes_of(label)}
    return [f"The class {name} is called {former[name]} now." for name in sorted(used & former.keys())]


def newest_class_events(connection: Connection, *, limit: int) -> Sequence[ClassEvent]:
    """What was done to classes last, the newest first."""
    columns = (class_events.c[name] for name in ("kind", "name", "target", "annotator", "created_at"))
    statement = select(*columns).order_by(class_events.c.id.desc()).limit(limit)
    return [ClassEvent(*row) for row in connection.execute(statement)]


def _distinct_labels(connection: Connection) -> Iterator[str]:
    for column in (catalogue.c.label, current_labels.c.label, annotation_events.c.label):
        yield from connection.execute(select(column).where(column.is_not(None)).distinct()).scalars()
