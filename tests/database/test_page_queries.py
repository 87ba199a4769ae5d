"""What the pages ask and write, on both kinds of databases: each statement is one that they take."""

from dicomprep.database.queries.filters import STATES, Filter, conditions_of
from dicomprep.database.queries.labeling import describe, find_situation, own_history, own_skips
from dicomprep.database.queries.queue import Queue, next_images, spare_images
from dicomprep.database.queries.unit_queue import find_key, list_keys, list_units, new_events, unit_images
from dicomprep.database.queries.units import Unit
from dicomprep.database.writes.catalogue import add_images
from dicomprep.database.writes.commands import Command, note_command, undo_last
from dicomprep.database.writes.labels import Said, add_classes, add_label, add_unit_label, find_class
from dicomprep.database.writes.store import Store
from tests.running import Place, make_files

FILTERS = [
    *(Filter(state=state, annotator="me") for state in STATES),
    Filter(where="unsure = 1 AND label IS NOT NULL", kind="original", split="train"),
    *(Filter(series="slices > 2"), Filter(risk="high"), Filter(prediction="a", model="m"), Filter(label="a")),
]
LEVELS = ("series", "study", "patient")


def test_both_databases_take_what_the_pages_ask(any_place: Place) -> None:
    make_files(any_place.source, "a.dcm", "b.dcm")
    any_place.run()
    store = Store(any_place.address)
    with store.transaction() as connection:
        add_images(connection)
        add_label(connection, 1, Said("a", unsure=True, note="one"), annotator="me")
        unit = Unit("patient", str(find_key(connection, "patient", 1)))
        event = add_unit_label(connection, unit, Said("a"), annotator="me")
        note_command(connection, Command("unit", 1, unit_label_id=event), annotator="me", key=None)
        for wanted in FILTERS:
            next_images(connection, Queue(annotator="me", wanted=wanted), limit=3)
            assert all(list_keys(connection, level, conditions_of(connection, wanted)) is not None for level in LEVELS)
        assert next_images(connection, Queue(annotator="me", wanted=Filter(state="unsure")), limit=3) == [1]
        assert [len(list_units(connection, level)) for level in LEVELS] == [2, 2, 2]
        assert [len(unit_images(connection, level, 1, limit=3)) for level in LEVELS] == [1, 1, 1]
        assert [len(new_events(connection, level, after=0)) for level in LEVELS] == [0, 0, 1]
        (card,) = describe(connection, [1], annotator="me")
        assert (card.mine, card.unsure, card.note) == ("a", 1, "one")
        assert find_situation(connection, 1, "me") is not None
        assert [event.frame_id for event in own_history(connection, "me", limit=3)] == [1]
        assert own_skips(connection, "me", limit=3) == spare_images(connection, Queue(annotator="me")) == []
        add_classes(connection, ["a_%\\b"])
        added = Command("class", class_id=find_class(connection, "a_%\\b"))
        note_command(connection, added, annotator="me", key=None)
        assert [done and done.kind for done in (undo_last(connection, "me") for _ in range(4))] == [
            *("class", "unit", "label"),
            None,
        ]
        assert find_class(connection, "a_%\\b") is None
    store.close()
