"""Runs as they are recorded: the last ones, their options, the folder that they wrote to."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dicomprep.database.queries.options import WORKED
from dicomprep.database.schema import runs

__all__ = [
    "Run",
    "last_options",
    "last_runs",
]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `preprocess`, as recorded."""

    id: int
    started_at: str
    finished_at: str | None
    root: str
    found: int
    processed: int
    unchanged: int
    frames: int
    seconds: float
    interrupted: int
    options: str

    @property
    def cluster(self) -> str:
        """What did the work: `slurm`, the address of a scheduler, `dask`; empty where this machine did it by itself."""
        try:
            where = json.loads(self.options)["where"]
            return str(where["cluster"] or where["scheduler"] or where["engine"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""


def last_runs(connection: Connection, limit: int) -> list[Run]:
    """The newest runs, the last one first."""
    columns = (runs.c[name] for name in Run.__dataclass_fields__)
    return [Run(*row) for row in connection.execute(select(*columns).order_by(runs.c.id.desc()).limit(limit))]


def last_options(connection: Connection, root: str) -> str | None:
    """The options, as JSON, of the newest run of a root, a part of it, or a folder around it that did not give up."""
    newest = connection.execute(select(runs.c.id, runs.c.root).where(WORKED).order_by(runs.c.id.desc()))
    overlapping = (run_id for run_id, roots in newest if any(_overlap(root, one) for one in roots.split("\n")))
    run_id = next(overlapping, None)
    return connection.execute(select(runs.c.options).where(runs.c.id == run_id)).scalar()


def _overlap(one: str, other: str) -> bool:
    """Whether a folder is another one, or lies in it, or around it; so does what is in an archive."""
    inner, outer = sorted(place.rstrip("/") for place in (one, other))[::-1]
    return inner == outer or inner.startswith((f"{outer}/", f"{outer}!/"))
