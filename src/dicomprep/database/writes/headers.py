"""Record what the headers of known files say beyond what earlier releases recorded of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, null, select, update

from dicomprep.database.bulk import any_of, look_up
from dicomprep.database.schema import files
from dicomprep.database.writes.references import replace_references
from dicomprep.database.writes.store import Store
from dicomprep.models import Outcome
from dicomprep.privacy.allow_list import Tags
from dicomprep.storage.paths import readable_path

__all__ = ["record_headers"]

_KEYS = ("accession_key", "study_number_key", "frame_of_reference_key")
_READ = (
    update(files)
    .where(files.c.root == bindparam("of_root"), files.c.path == bindparam("of_path"))
    .values({name: bindparam(name) for name in (*Tags._fields, *_KEYS)} | {"header_due": null()})
)
_RECORDED = select(files.c.path, files.c.id).where(files.c.root == bindparam("root"), any_of(files.c.path))


def record_headers(store: Store, outcomes: Sequence[Outcome]) -> None:
    """Replace the tags and keys of these files and what they say of images, and nothing else."""
    rows = [_row(outcome) for outcome in outcomes]
    if rows:
        with store.transaction() as connection:
            connection.execute(_READ, rows)
            _record_references(connection, [outcome for outcome in outcomes if outcome.references.rows])


def _record_references(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    for root in {readable_path(outcome.task.source.root) for outcome in outcomes}:
        those = {readable_path(o.task.source.path): o for o in outcomes if readable_path(o.task.source.root) == root}
        ids = dict(look_up(connection, _RECORDED, list(those), root))
        replace_references(connection, list(ids.values()), [(ids[path], those[path]) for path in ids])


def _row(outcome: Outcome) -> dict[str, Any]:
    source = outcome.task.source
    place = {"of_root": readable_path(source.root), "of_path": readable_path(source.path)}
    keys = {name: getattr(outcome.instance, name) or None for name in _KEYS}
    return place | outcome.instance.tags._asdict() | keys
