"""How SQLite finds what is looked up in tables of millions: by an index, and one that a run need not fill with all."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, event

from dicomprep.database.connection import connect, migrate
from dicomprep.database.queries.failures import causes, failed_inputs, list_failures
from dicomprep.database.queries.filters import Filter
from dicomprep.database.queries.gallery import (
    Sort,
    choices,
    count_images,
    find_tiles,
    held_images,
    list_tiles,
    skipped_images,
    sort_keys,
)
from dicomprep.database.queries.inputs import find_taken_names
from dicomprep.database.queries.ratings import ratings, readings, unsettled_images
from tests.running import Place

READS: dict[str, Callable[[Connection], object]] = {
    "failures listed": lambda connection: list(list_failures(connection)),
    "failures by cause": lambda connection: list(causes(connection)),
    "failures of a code": lambda connection: failed_inputs(connection, "timeout", after=3, limit=10),
    "names of frames": lambda connection: find_taken_names(connection, ["a"], ["b"]),
    "modalities, labels": lambda connection: choices(connection, model="m"),
    "tiles by ids": lambda connection: find_tiles(connection, [1, 2]),
    "held and skipped": lambda connection: (held_images(connection, [1]), skipped_images(connection, [1], "a")),
    "disagreements": lambda connection: (unsettled_images(connection, after=5, limit=9), readings(connection, [1, 2])),
    "ratings": lambda connection: ratings(connection, after=5, limit=9),
    **{
        f"images sorted by {sort}": lambda connection, sort=sort: sort_keys(  # type: ignore[misc]
            connection, Filter(modality="CT", model="m"), sort, start=5, end=9
        )
        for sort in Sort
    },
    **{
        f"images by {wanted}": lambda connection, wanted=wanted: (  # type: ignore[misc]
            list_tiles(connection, wanted, start=5, end=9, limit=3),
            count_images(connection, wanted, start=5, end=9),
        )
        for wanted in (
            *(Filter(), Filter(study="a"), Filter(modality="CT"), Filter(split="test"), Filter(state="labelled")),
            *(Filter(state="disputed"), Filter(label="a"), Filter(risk="high"), Filter(prediction="a", model="m")),
        )
    },
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = connect(Place(tmp_path_factory.mktemp("Pläne")).address)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_no_table_is_read_as_a_whole(engine: Engine, read: Callable[[Connection], object]) -> None:
    asked = []
    with engine.connect() as connection:
        note = lambda _connection, _cursor, statement, values, *_: asked.append((statement, values))  # noqa: E731
        event.listen(engine, "before_cursor_execute", note)
        read(connection)
        event.remove(engine, "before_cursor_execute", note)
        steps = [
            row[-1]
            for text, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
        ]
    large = [
        step
        for step in steps
        if step.startswith(
            ("SCAN files", "SCAN frames", "SCAN catalogue", "SCAN predicted", "SCAN standing", "SCAN labels")
        )
    ]
    assert steps
    assert [step for step in large if "files_by_failure" not in step and "catalogue_by_label" not in step] == []
