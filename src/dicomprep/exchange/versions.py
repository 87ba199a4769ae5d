"""Versions of a data set: `freeze` records which images, labels and splits there are; `compare` tells two apart."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.annotations import Annotation, Drawn, all_annotations, recorded_annotations
from dicomprep.database.queries.frames import Choice, image_options
from dicomprep.database.queries.selection import Selection, read_selection
from dicomprep.database.queries.units import decided_units
from dicomprep.database.queries.versions import FrozenImage, Version, find_version, frozen_images, frozen_units
from dicomprep.database.writes.versions import Fact, add_version
from dicomprep.errors import ConfigError
from dicomprep.exchange.pseudonyms import Pseudonyms, image_keys
from dicomprep.workspace import Workspace

__all__ = ["Difference", "compare", "freeze"]

MAX_NAME_CHARACTERS = 100
LEVELS = ("series", "study", "patient")
"""Of labels beyond those of images."""

Units = Mapping[str, Mapping[str, str]]
"""Labels of series, studies and patients: by level, by key."""


@dataclass(slots=True)
class Difference:
    """What one version has that another has not, as keys of images."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rendered: list[str] = field(default_factory=list)
    """Of another content: their files or the options of the run have changed."""
    moved: list[tuple[str, str, str]] = field(default_factory=list)
    """(key, split before, split after); with its fold, where there is one."""
    relabeled: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """(key, label before, label after); of a series, study or patient with that word before the key."""
    redrawn: list[str] = field(default_factory=list)
    """With other annotations."""
    same: int = 0
    """Images of which nothing has changed."""

    @property
    def is_one(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed or self.rendered or self.moved or self.relabeled or self.redrawn)


@dataclass(frozen=True, slots=True)
class _State:
    """What there is now."""

    selection: Selection
    keys: NDArray[np.bytes_]
    """Of the images, (n,), in the order of the selection."""
    order: NDArray[np.int64]
    """Rows of the selection in the order of their keys."""
    units: Units
    drawn: tuple[tuple[bytes, Annotation], ...]
    """Annotations of the images, by the images' keys."""


def freeze(workspace: Workspace, name: str, *, kind: Sequence[str] = (), where: str | None = None) -> Version:
    """Record the images that a `Dataset` would give now, with their labels, splits and folds, under a name.

    Raises ConfigError where the name is taken or no name, `where` is wrong, or no image is selected.
    """
    _require_name(name)
    state = _read_state(workspace, Choice(kind=kind, where=where))
    if not len(state.selection):
        raise ConfigError("No image is selected: a version of nothing is not frozen.")
    facts, numbers = _facts(state.selection)
    ids, digests = state.selection.columns["id"], state.selection.columns["digest"]
    images = (
        (ids[row], bytes.fromhex(state.keys[row].decode()), digests[row], int(numbers[row]))
        for row in state.order.tolist()
    )
    with workspace.reading() as connection:
        options = image_options(connection)
    with workspace.writing() as store:
        add_version(
            store,
            name,
            options=options,
            classes=state.selection.classes,
            digest=_digest(state, facts, numbers),
            facts=facts,
            units=state.units,
            images=images,
            drawn=state.drawn,
            count=len(state.selection),
        )
    with workspace.reading() as connection:
        return find_version(connection, name)


def compare(workspace: Workspace, before: str, after: str | None) -> Difference:
    """What has changed from one version to another, or to what is there now; ConfigError where there is no such one."""
    difference = Difference()
    with workspace.reading() as connection:
        earlier = find_version(connection, before)
        old = {image.key: image for images in frozen_images(connection, earlier) for image in images}
        if after is None:
            state = _read_state(workspace, Choice())
            images, units, drawn = _current(state), state.units, iter(state.drawn)
        else:
            later = find_version(connection, after)
            images, units = _flat(frozen_images(connection, later)), _units_of(connection, later)
            drawn = recorded_annotations(connection, later)
        for image in images:
            _note(difference, old.pop(image.key, None), image)
        _note_units(difference, _units_of(connection, earlier), units)
        difference.removed = [key.hex() for key in old]
        _note_drawings(difference, recorded_annotations(connection, earlier), drawn)
    return difference


def _read_state(workspace: Workspace, choice: Choice) -> _State:
    workspace.require_images()
    with workspace.reading() as connection:
        selection = read_selection(connection, ("id", "filename", "digest", *Fact._fields), choice)
        units = {level: decided_units(connection, level) for level in LEVELS}
        drawn = list(all_annotations(connection))
    keys = image_keys(selection, Pseudonyms(workspace.key))
    return _State(selection, keys, np.argsort(keys), units, tuple(_keyed(selection, keys, drawn)))


def _keyed(
    selection: Selection, keys: NDArray[np.bytes_], drawn: Sequence[Annotation]
) -> Iterator[tuple[bytes, Annotation]]:
    """The annotations of images that are selected, in the order of the images' keys."""
    if not drawn:
        return
    wanted = {one.frame_id for one in drawn}
    ids = ((row, selection.columns["id"][row]) for row in range(len(selection)))
    places = {frame_id: bytes.fromhex(keys[row].decode()) for row, frame_id in ids if frame_id in wanted}
    found = [(places[one.frame_id], one) for one in drawn if one.frame_id in places]
    yield from sorted(found, key=lambda pair: (pair[0], pair[1].created_at, pair[1].key))


def _note(difference: Difference, old: FrozenImage | None, new: FrozenImage) -> None:
    key = new.key.hex()
    if old is None:
        difference.added.append(key)
        return
    if old.digest != new.digest:
        difference.rendered.append(key)
    if (old.split, old.fold) != (new.split, new.fold):
        difference.moved.append((key, _side(old), _side(new)))
    if old.label != new.label:
        difference.relabeled.append((key, old.label, new.label))
    difference.same += old == new


def _note_units(difference: Difference, old: Units, new: Units) -> None:
    for level in LEVELS:
        before, after = old[level], new[level]
        difference.relabeled += [
            (f"{level} {key}", before.get(key), after.get(key))
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]


def _note_drawings(
    difference: Difference, old: Iterable[tuple[bytes, Annotation]], new: Iterable[tuple[bytes, Annotation]]
) -> None:
    """Images that both have; those that only one has are noted as such."""
    before, after = _drawings(old), _drawings(new)
    alone = {*difference.added, *difference.removed}
    changed = {key.hex() for key in {*before, *after} if before.get(key) != after.get(key)}
    difference.redrawn = sorted(changed - alone)


def _drawings(drawn: Iterable[tuple[bytes, Annotation]]) -> dict[bytes, list[tuple[Drawn, str]]]:
    found: dict[bytes, list[tuple[Drawn, str]]] = {}
    for key, one in drawn:
        found.setdefault(key, []).append((one.drawn, one.annotator))
    return found


def _side(image: FrozenImage) -> str:
    return image.split if image.fold is None else f"{image.split}, fold {image.fold}"


def _units_of(connection: Connection, version: Version) -> Units:
    return {level: frozen_units(connection, version, level) for level in LEVELS}


def _flat(lists: Iterator[Sequence[FrozenImage]]) -> Iterator[FrozenImage]:
    for images in lists:
        yield from images


def _current(state: _State) -> Iterator[FrozenImage]:
    """What would be frozen now, in the order of its keys."""
    for row in state.order.tolist():
        yield FrozenImage(bytes.fromhex(state.keys[row].decode()), *state.selection.row(row, ("digest", *Fact._fields)))


def _facts(selection: Selection) -> tuple[list[Fact], NDArray[np.int64]]:
    """The splits, folds and labels that occur together, and which of them each image has."""
    columns = [selection.coded(name) for name in Fact._fields]
    together = np.zeros(len(selection), np.int64)
    for column in columns:
        together = together * len(column.values) + column.codes
    _, first, numbers = np.unique(together, return_index=True, return_inverse=True)
    return [Fact(*(column[row] for column in columns)) for row in first.tolist()], numbers


def _digest(state: _State, facts: Sequence[Fact], numbers: NDArray[np.int64]) -> str:
    """The same for the same images, labels, splits and folds, whatever ids they have."""
    hashed = hashlib.sha256()
    digests, said = state.selection.columns["digest"], [repr(tuple(fact)).encode() for fact in facts]
    for row in state.order.tolist():
        hashed.update(state.keys[row] + digests[row] + said[numbers[row]])
    for level in LEVELS:
        hashed.update(repr(sorted(state.units[level].items())).encode())
    for key, one in state.drawn:
        hashed.update(key + repr((one.drawn.shape.to_json(), one.drawn.label, one.drawn.note, one.annotator)).encode())
    return hashed.hexdigest()


def _require_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS or name != name.strip():
        raise ConfigError(
            f"A version's name is up to {MAX_NAME_CHARACTERS} characters of text, such as 2026-11 or paper-v1."
        )
