"""Which studies of a PACS are wanted: options, and a list that somebody made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dicomprep.cli.console import printable
from dicomprep.errors import ConfigError, count_of
from dicomprep.storage.spool import is_uid_name

__all__ = ["Wanted"]

COLUMNS = {
    "study_instance_uid": "StudyInstanceUID",
    "accession_number": "AccessionNumber",
    "patient_id": "PatientID",
}
"""Of a list, and what they are in a query; the first that is there counts."""

MAX_LISTED = 100_000
"""Studies that one list may name; bounds memory."""

ROUNDED = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
"""How a spreadsheet shows a long number: its last digits are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Options that say what is fetched."""

    study: tuple[str, ...] = ()
    """Study Instance UID; may be given several times, as may --patient, --accession and --modality."""
    patient: tuple[str, ...] = ()
    """Patient ID."""
    accession: tuple[str, ...] = ()
    """Accession Number."""
    date: str = ""
    """Study date, or a range of dates: 20240101-20240131, 20240101- or -20240131."""
    modality: tuple[str, ...] = ()
    """Only series of this modality, such as CT."""
    list_: Annotated[Path | None, Parameter(name="--list")] = None
    """Table with a column study_instance_uid, accession_number or patient_id: one query for each row."""

    def queries(self) -> list[dict[str, str]]:
        """One for each value given, or for each row of the list; ConfigError where all of a PACS would be asked for."""
        _require_dates(self.date)
        common = {"StudyDate": self.date, "ModalitiesInStudy": "\\".join(map(_modality, self.modality))}
        common = {keyword: value for keyword, value in common.items() if value}
        given = {"StudyInstanceUID": self.study, "PatientID": self.patient, "AccessionNumber": self.accession}
        single = [_query(keyword, value) for keyword, values in given.items() for value in values]
        single += list(_listed(self.list_)) if self.list_ else []
        if not single and not self.date:
            raise ConfigError("Fetch what? Give --study, --patient, --accession, --date or --list.")
        return [{keyword: value, **common} for keyword, value in dict.fromkeys(single)] or [common]


def _query(keyword: str, value: str, where: str = "") -> tuple[str, str]:
    """A keyword and its value; ConfigError where that is none, or would match more than one."""
    where = where or f"{keyword} {value!r}"
    if keyword == "StudyInstanceUID" and not is_uid_name(value):
        raise ConfigError(f"{where}: not a UID.")
    if not value or any(mark in value for mark in "\\*?") or not value.isprintable() or len(value) > 64:
        raise ConfigError(f"{where}: give one value of at most 64 characters, without * and ?.")
    return keyword, value


def _modality(text: str) -> str:
    if not re.fullmatch(r"[A-Z0-9_]{1,16}", text):
        raise ConfigError(f"--modality {text}: give a code in capitals, such as CT.")
    return text


def _require_dates(text: str) -> None:
    match = re.fullmatch(r"(\d{8})?(-?)(\d{8})?", text)
    whole = match is not None and (bool(match[2]) or match[3] is None)
    if not whole or text == "-" or (match and match[1] and match[3] and match[1] > match[3]):
        raise ConfigError(f"--date {text}: give YYYYMMDD, or a range such as 20240101-20240131.")


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    """The queries of a list; ConfigError where it has none, naming the row that is wrong."""
    from dicomprep.exchange.tables import read_table

    table = read_table(path, COLUMNS)
    heading, keyword = next(
        ((name, key) for column, key in COLUMNS.items() if (name := table.heading(column))), ("", "")
    )
    if not heading:
        raise ConfigError(f"{path} has none of the columns {', '.join(COLUMNS)}.")
    values = [(row, value) for row, value in enumerate(table.values(heading)) if value]
    if not 1 <= len(values) <= MAX_LISTED:
        raise ConfigError(f"{path} has {count_of(len(values), 'row')} with a value: give from 1 to {MAX_LISTED:,}.")
    if table.note:
        print(printable(table.note))
    for row, value in values:
        if ROUNDED.fullmatch(value):
            raise ConfigError(
                f"{table.cell(row, heading)}: {value} was rounded by a spreadsheet. Keep it there as text."
            )
        yield _query(keyword, value, table.cell(row, heading))
