"""Record what the headers of known files say beyond what earlier releases recorded of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, null, update

from dicomprep.database.schema import files
from dicomprep.database.writes.store import Store
from dicomprep.models import Outcome
from dicomprep.privacy.allow_list import Tags
from dicomprep.storage.paths import readable_path

__all__ = ["record_headers"]

_READ = (
    update(files)
    .where(files.c.root == bindparam("of_root"), files.c.path == bindparam("of_path"))
    .values({name: bindparam(name) for name in Tags._fields} | {"header_due": null()})
)


def record_headers(store: Store, outcomes: Sequence[Outcome]) -> None:
    """Replace the tags of these files, and of nothing else."""
    rows = [_row(outcome) for outcome in outcomes]
    if rows:
        with store.transaction() as connection:
            connection.execute(_READ, rows)


def _row(outcome: Outcome) -> dict[str, Any]:
    source = outcome.task.source
    place = {"of_root": readable_path(source.root), "of_path": readable_path(source.path)}
    return place | outcome.instance.tags._asdict()
