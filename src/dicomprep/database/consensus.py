"""Which of several readers' labels is the image's: the rule of a data set, and SQL that follows it.

The view `images` and the trigger of `labels` (migrations) follow the same rule.
"""

from enum import StrEnum

from sqlalchemy import Connection, text

from dicomprep.database.connection import read_meta, write_meta

__all__ = ["Consensus", "count_undecided", "decided_label", "find_consensus", "set_consensus"]

_RULE = "COALESCE((SELECT value FROM meta WHERE key = 'consensus'), 'adjudicated')"
_DECIDED = f"""(CASE {_RULE}
    WHEN 'newest' THEN
        (SELECT label FROM standing WHERE standing.frame_id = {{frame}} ORDER BY event_id DESC LIMIT 1)
    ELSE COALESCE(
        (SELECT label FROM standing WHERE standing.frame_id = {{frame}} AND adjudicated = 1
            AND {_RULE} = 'adjudicated' ORDER BY event_id DESC LIMIT 1),
        (SELECT label FROM standing WHERE standing.frame_id = {{frame}} GROUP BY label
            HAVING 2 * count(*) > (SELECT count(*) FROM standing AS votes WHERE votes.frame_id = {{frame}}))
    ) END)"""  # noqa: S608


class Consensus(StrEnum):
    """What decides where readers differ."""

    ADJUDICATED = "adjudicated"
    """The newest adjudicated label, else what more than half of the readers say, else nothing."""
    MAJORITY = "majority"
    """What more than half of the readers say, else nothing."""
    NEWEST = "newest"
    """The newest label, whoever gave it."""


def decided_label(frame: str) -> str:
    """SQL of the label of a frame, whose id `frame` gives; NULL where it has none or readers are divided."""
    return _DECIDED.format(frame=frame)


def find_consensus(connection: Connection) -> Consensus:
    """The rule of this data set."""
    return Consensus(read_meta(connection, "consensus") or Consensus.ADJUDICATED)


def set_consensus(connection: Connection, rule: Consensus) -> None:
    """Let another rule decide; the pages' tables follow where there are several labels."""
    if rule is find_consensus(connection):
        return
    write_meta(connection, "consensus", rule.value)
    find = {"sqlite": "instr", "postgresql": "strpos"}[connection.dialect.name]
    for statement in _FOLLOW:
        connection.execute(text(statement.format(find=find)))


_SEVERAL = "frame_id IN (SELECT frame_id FROM standing GROUP BY frame_id HAVING count(*) > 1)"
_FOLLOW = (
    f"UPDATE catalogue SET label = {decided_label('catalogue.frame_id')} WHERE {_SEVERAL}",  # noqa: S608
    f"""UPDATE predicted SET disagrees = (
        SELECT count(*) FROM (SELECT {decided_label("predicted.frame_id")} AS label) AS decided
        WHERE {{find}}(',' || decided.label || ',', ',' || predicted.label || ',') = 0
    ) WHERE {_SEVERAL}""",  # noqa: S608
)


def count_undecided(connection: Connection) -> int:
    """How many images have labels of several readers and none that counts."""
    query = f"""SELECT count(*) FROM (
        SELECT frame_id FROM standing WHERE frame_id > 0 GROUP BY frame_id HAVING count(*) > 1
    ) AS rated WHERE {decided_label("rated.frame_id")} IS NULL"""  # noqa: S608
    return int(connection.execute(text(query)).scalar_one())
