"""Inputs that gave no image, or not every one: what the summary, `retry` and the failures page read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from dicomprep.database.queries.roots import lie_in
from dicomprep.database.schema import files, inputs
from dicomprep.models import Status
from dicomprep.storage.roots import Part

__all__ = [
    "Cause",
    "FailedInput",
    "Failure",
    "causes",
    "count_failures",
    "failed_inputs",
    "find_input",
    "is_failure",
    "is_without_images",
    "list_failures",
    "paths_of_failures",
    "roots_of_failures",
]


def is_failure(status: ColumnElement[str] = files.c.status) -> ColumnElement[bool]:
    """The condition on an input's status: it gave no image, or not every one, though it should have."""
    return status.not_in(
        [literal_column(f"'{name}'") for name in (Status.DONE, Status.SKIPPED)]
    )  # as the index says it


def is_without_images(status: ColumnElement[str] = files.c.status) -> ColumnElement[bool]:
    """The condition on an input's status: it failed, and gave no image at all."""
    return is_failure(status) & (status != Status.PARTIAL)


_INPUT = (
    files.c.id,
    files.c.root,
    files.c.path,
    files.c.status,
    func.coalesce(files.c.error_code, ""),
    func.coalesce(files.c.error_detail, ""),
    files.c.attempts,
    files.c.size,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that gave no image, or not all of them."""

    path: str
    status: str
    error_code: str
    error_detail: str


def list_failures(connection: Connection) -> Iterator[Failure]:
    """The inputs that gave no image though they should have, by reason."""
    statement = select(inputs.c.path, inputs.c.status, inputs.c.error_code, inputs.c.error_detail)
    failed = statement.where(is_failure(inputs.c.status))
    for row in connection.execute(failed.order_by(inputs.c.error_code, inputs.c.path)):
        yield Failure(*row)


def roots_of_failures(connection: Connection, codes: Sequence[str] | None) -> list[str]:
    """The roots below which inputs failed (for one of `codes`, if given)."""
    statement = select(files.c.root).where(_failed(codes)).distinct().order_by(files.c.root)
    return list(connection.execute(statement).scalars())


def paths_of_failures(connection: Connection, root: str, codes: Sequence[str] | None) -> list[str]:
    """The inputs below `root` that failed, as readable paths in their order."""
    statement = select(files.c.path).where(files.c.root == root, _failed(codes)).order_by(files.c.path)
    return list(connection.execute(statement).scalars())


@dataclass(frozen=True, slots=True)
class Cause:
    """Inputs that failed with the same code and the same words."""

    code: str
    detail: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class FailedInput:
    """One input that gave no image, or not all of them."""

    id: int
    root: str
    path: str
    status: str
    code: str
    detail: str
    attempts: int
    size: int


def causes(connection: Connection) -> Iterator[Cause]:
    """All that went wrong, counted."""
    columns = (files.c.error_code, files.c.error_detail, files.c.status)
    statement = select(*columns, func.count()).where(is_failure()).group_by(*columns)
    for code, detail, status, count in connection.execute(statement):
        yield Cause(code or "", detail or "", status, count)


def failed_inputs(connection: Connection, code: str, *, after: int, limit: int) -> list[FailedInput]:
    """Inputs that failed with a code, from the one after the id `after` on."""
    statement = select(*_INPUT).where(is_failure(), files.c.error_code == code, files.c.id > after)
    return [FailedInput(*row) for row in connection.execute(statement.order_by(files.c.id).limit(limit))]


def find_input(connection: Connection, file_id: int) -> FailedInput | None:
    """One input, whatever became of it."""
    row = connection.execute(select(*_INPUT).where(files.c.id == file_id)).first()
    return None if row is None else FailedInput(*tuple(row))


def count_failures(connection: Connection, parts: Sequence[Part]) -> Counter[str]:
    """How many inputs failed, by reason."""
    counts: Counter[str] = Counter()
    for part in parts:
        statement = select(files.c.error_code, func.count()).where(lie_in(part), is_failure())
        for code, count in connection.execute(statement.group_by(files.c.error_code)):
            counts[code or ""] += count
    return counts


def _failed(codes: Sequence[str] | None) -> ColumnElement[bool]:
    return is_failure() if codes is None else is_failure() & files.c.error_code.in_(codes)
