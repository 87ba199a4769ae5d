"""The classes of a data set, and the log of what became of them."""

from sqlalchemy import Column, Integer, String, Table, Text, text

from dicomprep.database.schema import Id, metadata

__all__ = ["class_changes", "class_events", "classes"]

classes = Table(
    "classes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("place", Id),
    Column("hidden", Integer, nullable=False, server_default=text("0")),
    Column("number", Id),
)
"""A class keeps its id, whatever it is called. `place` is that on the pages; those without one come last, by their ids.

Several classes of one label stand in the order of their ids, which nothing changes. `number` is their order in targets
and exports: new classes come behind all others.
"""

class_events = Table(
    "class_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("name", Text, nullable=False),
    Column("target", Text),
    Column("annotator", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
)
"""What became of classes: rename, merge, order, hide, show. `target` is the new name, or the class that has it all."""

class_changes = Table(
    "class_changes",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("before", Text, primary_key=True),
    Column("after", Text, nullable=False),
)
"""Which label became which by a rename or a merge: logs of labels have the names of today."""
