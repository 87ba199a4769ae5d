"""The neighbors of a slice as its channels, and a series as a bag of evenly spaced slices."""

import warnings
from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.columns import Column, DigestsBuilder, TextsBuilder
from dicomprep.database.queries.selection import Selection
from dicomprep.database.queries.slices import read_slices
from dicomprep.errors import ConfigError
from dicomprep.pixels.stacking import merge_channels
from dicomprep.training.units import Units

__all__ = ["Slices", "arrange", "order_slices", "require_slices", "stack_channels", "stack_slices"]


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of the series of a selection in their order, stack after stack; some 40 bytes each."""

    places: NDArray[np.int64]
    """(rows,): where each row of the selection stands."""
    ordered: int
    """How many slices are of a series. Behind them stands what is of none, each as a stack of its own."""
    stacks: NDArray[np.int32]
    """(slices,): the number of the stack of each."""
    starts: NDArray[np.int64]
    """(stacks + 1,): where each stack begins, and the last ends."""
    paths: Column
    digests: Column | None
    """Where images lie in an object store."""

    def around(self, row: int, count: int) -> list[int]:
        """The places of so many slices before a row of the selection, of itself and of as many behind it.

        Where a stack ends its last slice is repeated.
        """
        place = int(self.places[row])
        stack = self.stacks[place]
        first, last = int(self.starts[stack]), int(self.starts[stack + 1]) - 1
        return [min(max(place + step, first), last) for step in range(-count, count + 1)]

    def image(self, place: int) -> tuple[str, bytes | None]:
        """The path of a slice, and its digest."""
        return self.paths[place], None if self.digests is None else self.digests[place]

    def warn_of_lone(self, rows: NDArray[np.int64]) -> None:
        """Warn of those of these `rows` of the selection, (n,), that have no neighbor."""
        alone = np.count_nonzero(np.diff(self.starts)[self.stacks[self.places[rows]]] == 1)
        if alone:
            said = f"{alone:,} of {len(rows):,} images have no neighboring slice and are their own neighbors"
            why = "they are single, cropped each by itself, or headers do not say where they are"
            warnings.warn(f"{said}: {why}.", stacklevel=4)


def require_slices(*, neighbours: int, slices: int | None, unit: str, channels: int | None) -> None:
    """ConfigError where the options of a Dataset exclude each other."""
    if channels not in (None, 1, 3):
        raise ConfigError(f"channels={channels}: choose 1, 3 or None.")
    if neighbours < 0:
        raise ConfigError(f"neighbours={neighbours}: give how many slices on either side, 0 or more.")
    if neighbours and channels == 3:
        raise ConfigError("channels=3: neighboring slices are the channels; use channels=1, or no neighbours.")
    if slices is not None and slices < 1:
        raise ConfigError(f"slices={slices}: give how many slices of each series, 1 or more.")
    if slices is not None and unit != "series":
        raise ConfigError(f'slices={slices}: slices are of a series; use unit="series".')


def order_slices(connection: Connection, selection: Selection, *, version: str | None) -> Slices:
    """Read the order of all slices of the series of a selection, which has columns of codes (n,).

    With `version` slices that are not in it count as missing. Returns places (n,) and stacks (slices,).
    """
    keys = sorted({key for key in selection.coded("series_key").values if key is not None})
    ids, begins, paths, digests = array("q"), array("b"), TextsBuilder(), DigestsBuilder()
    for series in read_slices(connection, keys, version=version):
        stacks = [None if one is None else one.stack for one in series]
        given = [one for one in series if one is not None]
        if given:
            ids.extend(one.frame_id for one in given)
            begins.extend(mine != last for last, mine in pairwise([None, *stacks]) if mine is not None)
            paths.add([one.path for one in given])
            digests.add([one.digest for one in given])
    places, alone = _find_places(np.frombuffer(ids, np.int64), np.array(selection.columns["id"].take(_all(selection))))
    if len(alone):
        paths.add(selection.columns["thumbnail_path"].take(alone))
    if len(alone) and "digest" in selection.columns:
        digests.add(selection.columns["digest"].take(alone))
    starts = np.flatnonzero(np.append(np.frombuffer(begins, bool), np.ones(len(alone) + 1, bool)))
    numbers = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    known = digests.build() if "digest" in selection.columns else None
    return Slices(places, len(ids), numbers, starts, paths.build(), known)


def _all(selection: Selection) -> NDArray[np.int64]:
    return np.arange(len(selection))


def _find_places(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The place of each wanted id among `ids`, and which of them are not there: they come behind, one by one."""
    order = np.argsort(ids, kind="stable")
    found = np.minimum(np.searchsorted(ids, wanted, sorter=order), max(len(ids) - 1, 0))
    places = order[found] if len(ids) else np.zeros(len(wanted), np.int64)
    missing = np.flatnonzero(ids[places] != wanted) if len(ids) else np.arange(len(wanted))
    places[missing] = len(ids) + np.arange(len(missing))
    return places, missing


def arrange(units: Units, order: Slices | None, neighbours: int, slices: int | None) -> Units:
    """Take so many slices of each unit, evenly spaced in their order; of a unit that has fewer, some repeatedly.

    `units` have rows (m,), `order` has stacks (slices,). Returns units with rows (units × slices,), or without `slices`
    as they are. What is no slice of the series, for it is a copy of one, is left out. Warns of images without
    neighbors, where those are asked for.
    """
    if order is not None and slices is not None:
        taken = [_spread(units.of(number), order, slices) for number in range(len(units))]
        rows = np.concatenate(taken) if taken else np.zeros(0, np.int64)
        units = Units(rows, np.arange(len(units) + 1, dtype=np.int64) * slices, units.label, units.known)
    if order is not None and neighbours:
        order.warn_of_lone(units.rows)
    return units


def _spread(rows: NDArray[np.int64], slices: Slices, count: int) -> NDArray[np.int64]:
    placed = rows[slices.places[rows] < slices.ordered]
    ordered = placed[np.argsort(slices.places[placed])] if len(placed) else rows
    middle = (len(ordered) - 1) / 2
    return ordered[np.floor(np.linspace(0, 2 * middle, count) + 0.5).astype(np.int64) if count > 1 else [round(middle)]]


def stack_channels(images: list[NDArray[Any]], name: str) -> NDArray[Any]:
    """Lay gray `images` (rows, columns) over each other as channels. Returns (rows, columns, channels).

    ConfigError where one is in color, or they differ in size or depth; `name` is that of the slice in the middle.
    """
    _require_alike(images, name)
    if images[0].ndim != 2:
        raise ConfigError(f"{name} is color, and neighboring slices are channels of grayscale images: use channels=1.")
    return merge_channels(images)


def stack_slices(images: list[NDArray[Any]], name: str) -> NDArray[Any]:
    """Lay `images` (rows, columns[, channels]) behind each other. Returns (slices, rows, columns[, channels]).

    ConfigError where they are not alike.
    """
    _require_alike(images, name)
    return np.stack(images)


def _require_alike(images: list[NDArray[Any]], name: str) -> None:
    first = images[0]
    if any(image.ndim != first.ndim for image in images):
        raise ConfigError(f"Of the slices of {name} some are color, others grayscale: use channels=1, or 3.")
    if any((image.shape, image.dtype) != (first.shape, first.dtype) for image in images):
        raise ConfigError(
            f"The slices of {name} differ in size or depth, by their sources or by options of different runs."
        )
