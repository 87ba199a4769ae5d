"""What is recorded of a series: its images, and what of it failed or is held back."""

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from dicomprep.database.queries.frames import FailedFile, failed_files, failed_files_beside
from dicomprep.database.queries.runs import last_options
from dicomprep.database.queries.series import series_frames
from dicomprep.errors import ExportError
from dicomprep.storage.paths import actual_path
from dicomprep.storage.source import Version
from dicomprep.workspace import Workspace

__all__ = ["RecordedSeries", "SourceRecord", "read_series"]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """An input as it was when it was processed; goes along to other processes."""

    root: str
    """The place that was searched, and the path below it, as they are."""
    path: str
    version: Version
    digest: bytes
    follow_links: bool

    @property
    def place(self) -> str:
        """What a person calls it."""
        return os.path.join(self.root, self.path)


class RecordedSeries(NamedTuple):
    """The images of a series, by the columns that were asked for."""

    rows: list[dict[str, Any]]
    failed: list[FailedFile]
    """Files of it of which no image, or not every one, could be made."""
    held: list[str]
    """Names of images that are held back."""
    sources: dict[int, SourceRecord]
    """By the id of the file; empty where nobody asked for them."""


_OF_SOURCES = ("file_id", "root", "path", "file_size", "mtime_ns", "ctime_ns", "version_tag", "file_digest")


def read_series(
    workspace: Workspace, series_key: str, columns: Sequence[str], *, with_sources: bool = False
) -> RecordedSeries:
    """Read what is recorded; also of images hidden as duplicates. ExportError where there is no such series.

    A failed file beside the images of which nobody knows the series is warned of.
    """
    wanted = (*columns, "series_instance_uid", "filename", *(_OF_SOURCES if with_sources else ()))
    with workspace.reading() as connection:
        found = list(series_frames(connection, series_key, wanted))
        rows = [dict(zip(wanted, values, strict=True)) for held, values in found if not held]
        held = [values[wanted.index("filename")] for is_held, values in found if is_held]
        uids = {values[wanted.index("series_instance_uid")] for _, values in found} - {None} or {series_key}
        failed = [file for uid in sorted(uids) for file in failed_files(connection, uid)]
        unknown = [file for uid in sorted(uids) for file in failed_files_beside(connection, uid)]
        sources = _sources(connection, rows) if with_sources else {}
    if not rows and not failed and not held:
        raise ExportError(f"{workspace} contains no series {series_key}.")
    for path, _, code in () if failed else unknown:
        message = f"{path} failed ({code}) and may be a slice of {series_key}: its header was not read."
        warnings.warn(message, stacklevel=4)
    return RecordedSeries(rows, failed, held, sources)


def _sources(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[int, SourceRecord]:
    follows = {root: _follows_links(last_options(connection, root)) for root in {row["root"] for row in rows}}
    return {
        row["file_id"]: SourceRecord(
            actual_path(row["root"]),
            actual_path(row["path"]),
            Version(row["file_size"], row["mtime_ns"], row["ctime_ns"] or 0, row["version_tag"] or ""),
            bytes(row["file_digest"]),
            follows[row["root"]],
        )
        for row in rows
    }


def _follows_links(options: str | None) -> bool:
    try:
        return bool(json.loads(options or "{}").get("follow_links"))
    except (ValueError, AttributeError):
        return False
