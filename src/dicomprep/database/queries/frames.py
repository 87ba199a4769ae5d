"""Reads for those who train, export and exchange labels: which frames there are, and what is known of each."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Text,
    and_,
    func,
    literal_column,
    null,
    or_,
    select,
    tuple_,
)

from dicomprep.config import SPLIT_NAMES
from dicomprep.database.bulk import scan
from dicomprep.database.conditions import parse_condition
from dicomprep.database.consensus import decided_label
from dicomprep.database.page_schema import current_labels
from dicomprep.database.queries.classes import in_class_order, numbered_classes
from dicomprep.database.queries.failures import is_failure, is_without_images
from dicomprep.database.queries.kinds import ALL, of_kinds, require_kinds
from dicomprep.database.queries.releases import may_leave, shown_as, shown_frames
from dicomprep.database.queries.series_list import in_series
from dicomprep.database.queries.versions import find_version, locate
from dicomprep.database.schema import all_images, files, frames, groups, images, labels, runs
from dicomprep.errors import ConfigError, like
from dicomprep.models import Status
from dicomprep.privacy.allow_list import Tags

__all__ = [
    "COLUMNS",
    "KEYS",
    "POSITIONS",
    "QUOTED",
    "UNCOMPARABLE",
    "Choice",
    "FailedFile",
    "RecordedFrame",
    "class_names",
    "failed_files",
    "failed_files_beside",
    "find_frame",
    "image_options",
    "is_chosen",
    "newest_run_day",
    "select_frames",
]

_LABEL: ColumnElement[Any] = func.coalesce(literal_column(decided_label("frames.id"), Text()), null())
"""As the view `images` has it; a function, as SQLAlchemy names the parameters of `IN` after a plain expression."""

_heads = groups.alias("heads")
_GROUP_KEY: ColumnElement[Any] = (
    select(_heads.c.key)
    .where(_heads.c.id == func.coalesce(groups.c.joined_id, groups.c.id))
    .correlate(groups)
    .scalar_subquery()
)
"""One for all groups that are one patient; as the view `images` has it."""

_UNSURE: ColumnElement[Any] = (
    select(func.max(labels.c.unsure))
    .join(current_labels, current_labels.c.event_id == labels.c.id)
    .where(current_labels.c.frame_id == frames.c.id)
    .correlate(frames)
    .scalar_subquery()
)
"""1 where one of an image's readers is unsure of his label, as the view `images` has it."""

COLUMNS: dict[str, ColumnElement[Any]] = {
    **{column.name: column for column in images.columns},
    **{column.name: frames.c[column.name] for column in images.columns if column.name in frames.c},
    "study_id": files.c.study_id,
    "modality": files.c.modality,
    "split": groups.c.split,
    "patient_key": groups.c.key,
    "label": _LABEL,
    "group_key": _GROUP_KEY,
    "fold": groups.c.fold,
    "unsure": _UNSURE,
    "instance_number": files.c.instance_number,
    "series_instance_uid": files.c.series_instance_uid,
    "study_instance_uid": files.c.study_instance_uid,
    "sop_instance_uid": files.c.sop_instance_uid,
    "sop_class_uid": files.c.sop_class_uid,
    "transfer_syntax": files.c.transfer_syntax,
    "root": files.c.root,
    "path": files.c.path,
    "size": frames.c.size,
    "digest": frames.c.digest,
    "transform": frames.c.transform,
    "image_position": frames.c.image_position,
}
"""Attributes of a frame that can be selected, by name. Those of the view `images` come first; tables are quicker."""

POSITIONS = ("slice_position_mm", "image_orientation", "stack_position", "temporal_position")
KEYS = ("study_key", "series_key")
COLUMNS |= {name: files.c[name] for name in (*KEYS, *Tags._fields)} | {name: frames.c[name] for name in POSITIONS}

QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
UNCOMPARABLE = ("digest", "transform", "root", "version_key")
"""Columns that no condition names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which frames are wanted; by default all originals and derived images."""

    split: Sequence[str] = ()
    """Splits of which one must be the frame's."""
    label: Sequence[str] = ()
    """Labels of which one must be the frame's."""
    labeled: bool = False
    """Only frames that have a label."""
    held: bool = False
    """Also frames that are held back, for they may show text, until a person has released them."""
    kind: Sequence[str] = ()
    """Kinds of images of which one must be the frame's; `all` for any. A condition on `kind` asks for kinds as well."""
    where: str | None = None
    """A condition on the columns of COLUMNS, as `parse_condition` reads it."""
    series: str | Sequence[str] = ()
    """Of series that meet this condition on the view `series`, or that have these keys."""
    version: str | None = None
    """Of this version, with its splits and labels, in the order of its keys."""
    twins: bool = False
    """Also what is hidden as a duplicate, in series of which an image is shown; not with a version."""

    def __post_init__(self) -> None:
        for split in self.split:
            if split not in SPLIT_NAMES:
                raise ConfigError(f"--split {split}{like(split, SPLIT_NAMES)}: choose from {', '.join(SPLIT_NAMES)}.")
        require_kinds(self.kind)
        if self.where is not None:
            self.condition()
        if self.series:
            in_series(self.series)

    @property
    def kinds(self) -> Sequence[str]:
        """`kind`, or all kinds where only `where` speaks of them."""
        is_asked = not self.kind and re.search(r"\bkind\b", QUOTED.sub("", self.where or ""), re.IGNORECASE)
        return (ALL,) if is_asked else self.kind

    def condition(self, columns: Mapping[str, ColumnElement[Any]] = COLUMNS) -> ColumnElement[bool] | None:
        """What `where` says of these columns."""
        comparable = {name: column for name, column in columns.items() if name not in UNCOMPARABLE}
        return None if self.where is None else parse_condition(self.where, comparable)


def is_chosen(choice: Choice) -> ColumnElement[bool]:
    """The condition on frames, files and groups of what is wanted by kind, series, split and `where`."""
    conditions = [of_kinds(choice.kinds), *([in_series(choice.series)] if choice.series else [])]
    conditions += [groups.c.split.in_(choice.split)] if choice.split else []
    stated = choice.condition()
    return and_(*conditions, *([] if stated is None else [stated]))


def select_frames(connection: Connection, columns: Sequence[str], choice: Choice) -> Iterator[Sequence[Sequence[Any]]]:
    """The frames that are wanted, as lists of rows of `columns`.

    They are in the order of their ids, or of the keys of `choice.version`; a version also has a column `version_key`.
    """
    located = None if choice.version is None else locate(find_version(connection, choice.version))
    known, statement = _all_of(located, twins=choice.twins)
    statement = statement.with_only_columns(*(known[name] for name in columns))
    if choice.kind or choice.version is None:
        statement = statement.where(of_kinds(choice.kinds))
    if choice.series:
        statement = statement.where(in_series(choice.series))
    if choice.split:
        statement = statement.where(known["split"].in_(choice.split))
    if choice.label:
        statement = statement.where(known["label"].in_(choice.label))
    if choice.labeled:
        statement = statement.where(known["label"].is_not(None))
    if not choice.held:
        statement = statement.where(may_leave(connection, shown=shown_frames if choice.twins else frames))
    condition = choice.condition(known)
    if condition is not None:
        statement = statement.where(condition)
    yield from scan(connection, statement)


def class_names(connection: Connection) -> list[str]:
    """The labels that frames have now, whatever their split, in the order of their classes (`in_class_order`)."""
    labeled = all_images.c.id.in_(select(current_labels.c.frame_id))
    statement = select(all_images.c.label).where(labeled, all_images.c.label.is_not(None)).distinct()
    return list(in_class_order(connection.execute(statement).scalars(), numbered_classes(connection)))


def image_options(connection: Connection) -> list[dict[str, Any]]:
    """What shaped the images: the different options of the runs, the newest first."""
    statement = select(runs.c.options).where(runs.c.processed > 0).order_by(runs.c.id.desc())
    different = {json.dumps(json.loads(text)["image"]): None for text in connection.execute(statement).scalars()}
    return [json.loads(text) for text in different]


def newest_run_day(connection: Connection) -> str:
    """The day on which the last run began."""
    return str(connection.execute(select(func.max(runs.c.started_at))).scalar_one())[:10]


class RecordedFrame(NamedTuple):
    """A frame by its id or its name."""

    id: int
    filename: str
    thumbnail_path: str
    transform: str
    """As JSON."""


class FailedFile(NamedTuple):
    """A file of a series, or that may be of it, of which no image, or not every one, could be made."""

    path: str
    instance_number: int | None
    error_code: str | None


def find_frame(connection: Connection, which: int | str) -> RecordedFrame | None:
    """The frame with this id or file name."""
    condition = frames.c.filename == which if isinstance(which, str) else frames.c.id == which
    columns = (frames.c[name] for name in RecordedFrame._fields)
    row = connection.execute(select(*columns).where(condition)).first()
    return None if row is None else RecordedFrame(*tuple(row))


def failed_files(connection: Connection, series_uid: str) -> list[FailedFile]:
    """Files of a series of which no image, or not every one, could be made.

    What holds no image is among them if it is of the class that the images of the series have.
    """
    of_images = select(files.c.sop_class_uid).where(files.c.series_instance_uid == series_uid, files.c.frames > 0)
    empty = (files.c.status == Status.SKIPPED) & files.c.sop_class_uid.in_(of_images)
    wrong = is_failure() | empty
    columns = (files.c[name] for name in FailedFile._fields)
    statement = select(*columns).where(wrong, files.c.series_instance_uid == series_uid).order_by(files.c.id)
    return [FailedFile(*row) for row in connection.execute(statement)]


def failed_files_beside(connection: Connection, series_uid: str) -> list[FailedFile]:
    """Failed files of which nobody knows the series, in folders in which images of this one lie."""
    folders = select(files.c.root, files.c.study_id).where(files.c.series_instance_uid == series_uid).distinct()
    beside = tuple_(files.c.root, files.c.study_id).in_(folders)
    unknown = is_without_images() & files.c.series_instance_uid.is_(None)
    columns = (files.c[name] for name in FailedFile._fields)
    statement = select(*columns).where(unknown, beside).order_by(files.c.id)
    return [FailedFile(*row) for row in connection.execute(statement)]


def _all_of(located: Subquery | None, *, twins: bool) -> tuple[Mapping[str, ColumnElement[Any]], Select[Any]]:
    """The columns that frames have, and a query of all frames that are in `images`, or in a version."""
    joined = frames.join(files, files.c.id == frames.c.file_id).join(groups, groups.c.id == files.c.group_id)
    joined = joined.join(shown_frames, shown_as()) if twins else joined
    if located is None:
        is_given = _has_shown_series() if twins else files.c.duplicate_of.is_(None)
        return COLUMNS, select(frames.c.id).select_from(joined).where(is_given).order_by(frames.c.id)
    frozen = {"split": located.c.split, "label": located.c.label, "fold": located.c.fold}
    frozen["version_key"] = located.c.key
    joined = joined.join(located, located.c.frame_id == frames.c.id)
    return COLUMNS | frozen, select(frames.c.id).select_from(joined).order_by(located.c.key)


def _has_shown_series() -> ColumnElement[bool]:
    others = files.alias("others")
    shown = select(others.c.series_key).where(others.c.duplicate_of.is_(None), others.c.frames > 0)
    return or_(files.c.duplicate_of.is_(None), files.c.series_key.in_(shown))
