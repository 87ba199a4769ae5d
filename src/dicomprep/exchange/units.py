"""The series, studies or patients that a cell of a table can mean: by keyed hashes, so that nobody's number is kept.

A cell is hashed as headers are, and compared with what is recorded; the key that exports have in its place will do.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from dicomprep.database.queries.units import UnitName, unit_names
from dicomprep.exchange.columns import Cells
from dicomprep.exchange.kinds import Kind
from dicomprep.privacy.identities import ACCESSION, STUDY_NUMBER, hash_number
from dicomprep.privacy.keys import keyed_hash
from dicomprep.privacy.patient_ids import plain_identity
from dicomprep.splits import GroupBy
from dicomprep.storage.naming import folded_name

__all__ = ["FoundUnits", "UnitSearch"]

KEY_BYTES = 32
_FLOAT = re.compile(r"([0-9]+)\.0+")
_RAW_KEY = re.compile(rf"[0-9a-f]{{{KEY_BYTES}}}")
_LETTERED = re.compile(r"[A-Za-z]([0-9]+)")
"""Folders that are called like a number of the header with a letter before it, as in MIMIC: `s50414267`."""


@dataclass(frozen=True, slots=True)
class FoundUnits:
    """What cells mean."""

    keys: NDArray[np.bytes_]
    """Of all units of the kind."""
    ids: NDArray[np.int64]
    """Where the unit of each row stands among them, from 1; 0 where there is none, or it is not known which."""
    counts: NDArray[np.int32]
    """How many units each row can mean."""
    several: dict[int, tuple[int, ...]]
    """The units of rows that mean all of several: an order may have more than one study."""


class UnitSearch:
    """All units of one kind, by the hashes of what they are called."""

    def __init__(self, connection: Connection, secret: bytes, kind: Kind) -> None:
        self._secret, self._kind = secret, kind
        rows = sorted(set(self._called(unit_names(connection, kind.value))))
        self._names = np.array([row[0] for row in rows], f"S{KEY_BYTES}")
        self.keys, self._units = np.unique(np.array([row[1] for row in rows], f"S{KEY_BYTES}"), return_inverse=True)
        self._patients = np.array([row[2] for row in rows], np.int64)

    def find(self, cells: Cells) -> FoundUnits:
        """The units of each cell."""
        first, counts = self._find_values(cells.values)
        ids = np.zeros(len(counts), np.int64)
        ids[counts == 1] = self._units[first[counts == 1]] + 1
        several: dict[int, tuple[int, ...]] = {}
        for place in np.flatnonzero(counts > 1).tolist():
            named = slice(first[place], first[place] + counts[place])
            units = np.unique(self._units[named])
            counts[place] = len(units)
            if len(units) == 1 or (self._kind is Kind.ACCESSION and len(np.unique(self._patients[named])) == 1):
                ids[place] = units[0] + 1
                several[place] = tuple((units + 1).tolist())
        if cells.codes is not None:
            codes = np.frombuffer(cells.codes, cells.codes.typecode)
            several = (
                {row: several[code] for row, code in enumerate(codes.tolist()) if code in several} if several else {}
            )
            ids, counts = ids[codes], counts[codes]
        return FoundUnits(self.keys, ids, counts, {row: units for row, units in several.items() if len(units) > 1})

    def _find_values(self, values: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Where the names of each value begin among all, and how many there are."""
        first, counts = np.zeros(len(values), np.int64), np.zeros(len(values), np.int32)
        for spell in (self._hashed, self._hashed_whole, _raw_key):
            left = np.flatnonzero(counts == 0)
            spelled = [spell(values[place]) for place in left.tolist()]
            hashes = np.array(spelled, f"S{KEY_BYTES}")
            begin = np.searchsorted(self._names, hashes, "left")
            first[left] = begin
            counts[left] = np.where(hashes == b"", 0, np.searchsorted(self._names, hashes, "right") - begin)
        return first, counts

    def matches(self, text: str) -> bool:
        """Whether a cell would mean any unit."""
        return bool(self._find_values([text])[1][0])

    def _hashed_whole(self, text: str) -> str:
        """Of a number as pandas writes it where a column has gaps."""
        whole = _FLOAT.fullmatch(text)
        return self._hashed(whole[1]) if whole is not None else ""

    def _hashed(self, text: str) -> str:
        if not text:
            return ""
        if self._kind in (Kind.ACCESSION, Kind.STUDY_NUMBER):
            return hash_number(self._secret, _NUMBERS[self._kind], text)
        if self._kind is Kind.PATIENT:
            return keyed_hash(self._secret, GroupBy.PATIENT, plain_identity(text))
        plain = folded_name(text) if self._kind is Kind.FOLDER else text
        return keyed_hash(self._secret, self._kind, plain)

    def _called(self, names: Iterator[UnitName]) -> Iterator[tuple[str, str, int]]:
        """What units are called, hashed, with their keys."""
        for name, unit, patient in names:
            if self._kind is not Kind.FOLDER:
                yield name, unit, patient
                continue
            folder = name.rpartition("/")[2]
            lettered = _LETTERED.fullmatch(folder)
            for text in {name, folder, *((lettered[1],) if lettered is not None else ())}:
                yield self._hashed(text), unit, patient


_NUMBERS = {Kind.ACCESSION: ACCESSION, Kind.STUDY_NUMBER: STUDY_NUMBER}


def _raw_key(text: str) -> str:
    return text if _RAW_KEY.fullmatch(text) else ""
