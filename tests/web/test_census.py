"""What the gallery counts and shows of data sets that take many requests to count."""

import pytest

from dicomprep.database.queries.filters import Filter
from dicomprep.database.writes.catalogue import add_images
from dicomprep.database.writes.store import Store
from dicomprep.web import census
from dicomprep.web.census import Censuses
from tests.running import Place, make_files, set_labels

FILTERS = [
    Filter(),
    Filter(study="s1"),
    Filter(split="train"),
    Filter(state="labelled"),
    Filter(label="a"),
    Filter(modality="XX"),
]
CONDITIONS = ["1 = 1", "study_id = 's1'", "split = 'train'", "label IS NOT NULL", "label = 'a'", "modality = 'XX'"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Thirty images, of which ten have been removed since; and a few labels."""
    place = Place(tmp_path_factory.mktemp("Zählung"))
    make_files(place.source, *(f"s{number % 3}/{number}.dcm" for number in range(30)))
    place.run()
    for name in ("s0/0.dcm", "s0/3.dcm", "s0/6.dcm", *(f"s{n % 3}/{n}.dcm" for n in range(20, 27))):
        (place.source / name).unlink()
    place.run(prune=True)
    set_labels(place, {"s1/1": "a", "s1/13": "b", "s2/29": "a"})
    store = Store(place.address)
    with store.transaction() as connection:
        while add_images(connection):
            pass
    return store


@pytest.mark.parametrize(("wanted", "condition"), list(zip(FILTERS, CONDITIONS, strict=True)))
def test_a_count_of_many_steps_comes_to_what_there_is(
    store: Store, monkeypatch: pytest.MonkeyPatch, wanted: Filter, condition: str
) -> None:
    monkeypatch.setattr(census, "BLOCK_IDS", 4)
    monkeypatch.setattr(census, "STEP_SECONDS", 0)
    monkeypatch.setattr(census, "STEP_BLOCKS", 1)
    with store.transaction() as connection:
        ids = list(connection.exec_driver_sql(f"SELECT id FROM images WHERE {condition} ORDER BY id").scalars())
        censuses, counts = Censuses(), [(0, False)]
        while not counts[-1][1]:
            count, is_complete = censuses.count(connection, wanted)
            shown = [tile.id for tile in censuses.tiles(connection, wanted, start=0, limit=100)]
            assert shown == ids[: len(shown)]
            assert len(shown) >= count
            counts.append((count, is_complete))
        assert len(counts) > 4
        assert counts[-1][0] == len(ids)
        assert censuses.count(connection, wanted) == (
            len(ids),
            False,
        )  # the next count has begun; the last one is shown
        for start in range(len(ids)):
            tiles = censuses.tiles(connection, wanted, start=start, limit=5)
            assert [tile.id for tile in tiles] == ids[start : start + 5]
