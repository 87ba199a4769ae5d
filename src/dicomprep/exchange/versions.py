"""Versions of a data set: `freeze` records which images, labels and splits there are; `compare` tells two apart."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicomprep.database.queries.frames import Choice, image_options
from dicomprep.database.queries.selection import Selection, read_selection
from dicomprep.database.queries.versions import FrozenImage, Version, find_version, frozen_images
from dicomprep.database.writes.versions import add_version
from dicomprep.errors import ConfigError
from dicomprep.exchange.pseudonyms import Pseudonyms, image_keys
from dicomprep.workspace import Workspace

__all__ = ["Difference", "compare", "freeze"]

MAX_NAME_CHARACTERS = 100
COLUMNS = ("id", "filename", "digest", "split", "label")


@dataclass(slots=True)
class Difference:
    """What one version has that another has not, as keys of images."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rendered: list[str] = field(default_factory=list)
    """Of another content: their files or the options of the run have changed."""
    moved: list[tuple[str, str, str]] = field(default_factory=list)
    """(key, split before, split after)"""
    relabeled: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """(key, label before, label after)"""
    same: int = 0
    """Images of which nothing has changed."""

    @property
    def is_one(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed or self.rendered or self.moved or self.relabeled)


def freeze(workspace: Workspace, name: str, *, kind: Sequence[str] = (), where: str | None = None) -> Version:
    """Record the images that a `Dataset` would give now, with their labels and splits, under a name.

    Raises ConfigError where the name is taken or no name, `where` is wrong, or no image is selected.
    """
    _require_name(name)
    workspace.require_images()
    pseudonyms = Pseudonyms(workspace.key)
    with workspace.reading() as connection:
        selection = read_selection(connection, COLUMNS, Choice(kind=kind, where=where))
        options = image_options(connection)
    if not len(selection):
        raise ConfigError("No image is selected: a version of nothing is not frozen.")
    keys = image_keys(selection, pseudonyms)
    order = np.argsort(keys)
    facts, numbers = _facts(selection)
    ids, digests = selection.columns["id"], selection.columns["digest"]
    images = ((ids[row], bytes.fromhex(keys[row].decode()), digests[row], int(numbers[row])) for row in order.tolist())
    with workspace.writing() as store:
        add_version(
            store,
            name,
            options=options,
            classes=selection.classes,
            digest=_digest(selection, keys, order, facts, numbers),
            facts=facts,
            images=images,
            count=len(selection),
        )
    with workspace.reading() as connection:
        return find_version(connection, name)


def compare(workspace: Workspace, before: str, after: str | None) -> Difference:
    """What has changed from one version to another, or to what is there now; ConfigError where there is no such one."""
    difference = Difference()
    with workspace.reading() as connection:
        earlier = frozen_images(connection, find_version(connection, before))
        later = frozen_images(connection, find_version(connection, after)) if after is not None else None
        old = {image.key: image for images in earlier for image in images}
        for image in _flat(later) if later is not None else _current(workspace):
            _note(difference, old.pop(image.key, None), image)
    difference.removed = [key.hex() for key in old]
    return difference


def _note(difference: Difference, old: FrozenImage | None, new: FrozenImage) -> None:
    key = new.key.hex()
    if old is None:
        difference.added.append(key)
        return
    if old.digest != new.digest:
        difference.rendered.append(key)
    if old.split != new.split:
        difference.moved.append((key, old.split, new.split))
    if old.label != new.label:
        difference.relabeled.append((key, old.label, new.label))
    difference.same += old == new


def _flat(lists: Iterator[Sequence[FrozenImage]]) -> Iterator[FrozenImage]:
    for images in lists:
        yield from images


def _current(workspace: Workspace) -> Iterator[FrozenImage]:
    """What would be frozen now, in the order of its keys."""
    with workspace.reading() as connection:
        selection = read_selection(connection, COLUMNS, Choice())
    keys = image_keys(selection, Pseudonyms(workspace.key))
    for row in np.argsort(keys).tolist():
        digest, split, label = selection.row(row, ("digest", "split", "label"))
        yield FrozenImage(bytes.fromhex(keys[row].decode()), digest, split, label)


def _facts(selection: Selection) -> tuple[list[tuple[str, str | None]], NDArray[np.int64]]:
    """The splits and labels that occur together, and which of them each image has."""
    split, label = selection.coded("split"), selection.coded("label")
    pairs = split.codes.astype(np.int64) * len(label.values) + label.codes
    known, numbers = np.unique(pairs, return_inverse=True)
    divided = [divmod(pair, len(label.values)) for pair in known.tolist()]
    return [(split.values[s], label.values[one]) for s, one in divided], numbers


def _digest(
    selection: Selection,
    keys: NDArray[np.bytes_],
    order: NDArray[np.int64],
    facts: Sequence[tuple[str, str | None]],
    numbers: NDArray[np.int64],
) -> str:
    """The same for the same images, labels and splits, whatever ids they have."""
    state = hashlib.sha256()
    digests, said = selection.columns["digest"], [repr(fact).encode() for fact in facts]
    for row in order.tolist():
        state.update(keys[row] + digests[row] + said[numbers[row]])
    return state.hexdigest()


def _require_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS or name != name.strip():
        raise ConfigError(
            f"A version's name is up to {MAX_NAME_CHARACTERS} characters of text, such as 2026-11 or paper-v1."
        )
