"""Neighbors of a slice as its channels, and bags of slices: by the order that the database keeps of every series."""

import itertools
import pickle
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomprep import ConfigError, Dataset, collate
from dicomprep.database.writes.releases import hold_back
from dicomprep.exchange.labels import import_labels
from dicomprep.exchange.versions import freeze
from dicomprep.pixels.png import decode_png
from tests.building import make_dicom
from tests.running import SIZE, Place

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]
PLAIN = {"WindowCenter": 128, "WindowWidth": 256, "PixelSpacing": [0.5, 0.5], "ImageOrientationPatient": AXIAL}


def at(*positions: float, **said: Any) -> list[dict[str, Any]]:
    return [{**PLAIN, "ImagePositionPatient": [0, 0, position], **said} for position in positions]


def coronal(*positions: float) -> list[dict[str, Any]]:
    plane = {"ImageOrientationPatient": CORONAL}
    return [{**PLAIN, **plane, "ImagePositionPatient": [0, position, 0]} for position in positions]


SERIES: dict[str, tuple[list[dict[str, Any]], list[list[int]]]] = {
    "plain": (at(0, 2, 4, 6, 8, 10), [[0, 1, 2, 3, 4, 5]]),
    "down": (at(6, 4, 2, 0), [[3, 2, 1, 0]]),
    "rounded": (at(0, 1.3, 2.5, 3.8, 5, 6.3), [[0, 1, 2, 3, 4, 5]]),
    "gap": (at(0, 2, 4, 8, 10, 12, 14), [[0, 1, 2], [3, 4, 5, 6]]),
    "shifted": (
        [{**one, "ImagePositionPatient": [20 * (n > 2), 0, 2 * n]} for n, one in enumerate(at(*range(6)))],
        [[0, 1, 2], [3, 4, 5]],
    ),
    "tilted": (
        [{**one, "ImagePositionPatient": [0, 0.7 * n, 2 * n]} for n, one in enumerate(at(*range(4)))],
        [[0, 1, 2, 3]],
    ),
    "times": (
        [one for t in (1, 2, 3) for one in at(0, 2, 4, TemporalPositionIdentifier=t)],
        [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
    ),
    "echoes": ([one for z in (0, 2, 4) for echo in (15, 90) for one in at(z, EchoTime=echo)], [[0, 2, 4], [1, 3, 5]]),
    "b-values": ([one for b in (0.0, 800.0) for one in at(0, 2, 4, DiffusionBValue=b)], [[0, 1, 2], [3, 4, 5]]),
    "phases": (
        [one for z in (0, 2) for time in (0, 40 + z, 80) for one in at(z, TriggerTime=time)],
        [[0, 3], [1, 4], [2, 5]],
    ),
    "acquisitions": (  # numbers count on from slice to slice
        [{**one, "AcquisitionNumber": n + 1} for n, one in enumerate(at(0, 2, 4, 0, 2, 4))],
        [[0, 1, 2], [3, 4, 5]],
    ),
    "untold": (at(0, 2, 4, 0, 2, 4), [[0, 1, 2], [3, 4, 5]]),
    "doubled": (at(0, 2, 4, 4, 6, 8), [[0, 1], [2], [3], [4, 5]]),
    "planes": (
        [*at(0, 2, 4), *coronal(0, 2, 4)],
        [[0, 1, 2], [3, 4, 5]],
    ),
    "views": ([*at(0, 2), *at(4, 6, PixelSpacing=[0.7, 0.7])], [[0, 1], [2, 3]]),
    "nowhere": ([{"WindowCenter": 128, "WindowWidth": 256}] * 3, [[0], [1], [2]]),
}  # fmt: skip
"""Of each series the headers of its slices, by Instance Number, and which of them follow each other."""


def pixels_of(name: str, number: int) -> np.ndarray:
    seed = sum(map(ord, name)) * 100 + number
    return np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)


def write(place: Place, name: str, number: int, said: dict[str, Any], pixels: np.ndarray | None = None) -> Path:
    """A slice in a file whose name says nothing of its place."""
    pixels = pixels_of(name, number) if pixels is None else pixels
    attributes = {"SeriesInstanceUID": f"1.2.{sum(map(ord, name))}", "InstanceNumber": number + 1} | said
    path = place.source / name / f"{(number * 7) % 13:02}.dcm"
    return make_dicom(path, pixels, patient_id=name, StudyInstanceUID=f"1.3.{sum(map(ord, name))}", **attributes)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """All series; files of several frames; a hidden duplicate in a series and beyond; a file that failed."""
    place = Place(tmp_path_factory.mktemp("slices") / "place")
    for name, (images, _) in SERIES.items():
        for number, said in enumerate(images):
            write(place, name, number, said)
    for number, said in enumerate(at(0, 2, 4, 6, 8)):
        twice = number in (1, 3)
        foreign = pixels_of("plain", 3) if number == 2 else None
        write(place, "twins", number, said, pixels_of("twice", 0) if twice else foreign)
        broken = write(place, "failed", number, said)
        if number in (1, 3):
            broken.write_bytes(broken.read_bytes()[:-40])
    enhanced(place, "frames", [6, 4, 2, 0])
    enhanced(place, "blocks", [0, 2, 4, 0, 2, 4])
    place.run()
    return place


def enhanced(place: Place, name: str, positions: list[float]) -> None:
    groups = [{"PlanePositionSequence": [{"ImagePositionPatient": [0, 0, z]}]} for z in positions]
    shared = {
        "PlaneOrientationSequence": [{"ImageOrientationPatient": AXIAL}],
        "PixelMeasuresSequence": [{"PixelSpacing": [1, 1]}],
    }
    pixels = np.stack([pixels_of(name, number) for number in range(len(positions))])
    more = {"PerFrameFunctionalGroupsSequence": groups, "SharedFunctionalGroupsSequence": [shared]}
    write(place, name, 0, {"WindowCenter": 128, "WindowWidth": 256} | more, pixels)


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    copy = Place(tmp_path / "place")
    shutil.copytree(made.base, copy.base)
    return copy


@pytest.fixture
def small(tmp_path: Path) -> Place:
    """The series that a slice is missing of, and another."""
    place = Place(tmp_path)
    for name in ("gap", "plain"):
        for number, said in enumerate(SERIES[name][0]):
            write(place, name, number, said)
    place.run()
    return place


def quiet(place: Place, **options: Any) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Dataset(place.db, **options)


class Shown:
    """Which slice an image is: (series, number), by its pixels."""

    def __init__(self, place: Place) -> None:
        rows = place.rows(
            "SELECT f.path, f.instance_number, f.frame_count, r.frame_number, r.thumbnail_path"
            " FROM frames r JOIN files f ON f.id = r.file_id"
        )
        self.numbers = dict[bytes, set[tuple[str, int]]]()
        for path, instance, frames, frame, thumbnail in rows:
            pixels = decode_png((place.output / thumbnail).read_bytes()).tobytes()
            self.numbers.setdefault(pixels, set()).add((Path(path).parent.name, frame if frames > 1 else instance - 1))

    def __call__(self, name: str, pixels: np.ndarray) -> set[int]:
        return {number for series, number in self.numbers[pixels.tobytes()] if series == name}


def name_of(record: Any) -> str:
    return str(record.filename.partition("/")[0])


def around(data: Dataset, shown: Shown, *names: str) -> Iterator[tuple[str, list[set[int]]]]:
    """Of each sample the series, and which slices its channels are."""
    for pixels, _, record in data:
        name = name_of(record)
        if not names or name in names:
            yield name, [shown(name, pixels[..., channel]) for channel in range(pixels.shape[-1])]


def expected(stacks: list[list[int]], count: int) -> list[list[int]]:
    return [
        [stack[min(max(place + step, 0), len(stack) - 1)] for step in range(-count, count + 1)]
        for stack in stacks
        for place in range(len(stack))
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_channels_are_the_neighbors_by_position(made: Place, count: int) -> None:
    shown = Shown(made)
    data = quiet(made, neighbours=count)
    assert data[0][0].shape == (SIZE, SIZE, 2 * count + 1)
    found = dict[str, list[list[int]]]()
    for name, channels in around(data, shown):
        found.setdefault(name, []).append([min(numbers) for numbers in channels])
    known = {name: stacks for name, (_, stacks) in SERIES.items()}
    known |= {"frames": [[3, 2, 1, 0]], "blocks": [[0, 1, 2], [3, 4, 5]], "failed": [[0], [2], [4]]}
    for name, stacks in known.items():
        assert (name, sorted(found[name])) == (name, sorted(expected(stacks, count)))


def test_hidden_duplicates_fill_their_places(made: Place) -> None:
    assert made.rows("SELECT count(*) FROM files WHERE duplicate_of IS NOT NULL") == [2]
    data = quiet(made, neighbours=1, where="label IS NULL")
    found = {min(channels[1]): channels for _, channels in around(data, Shown(made), "twins")}
    assert found[0] == [{0}, {0}, {1, 3}]
    assert found[4] == [{1, 3}, {4}, {4}]
    bag = next(sample for sample in quiet(made, unit="series", slices=5) if name_of(sample[2].records[0]) == "twins")
    assert [Shown(made)("twins", pixels) for pixels in bag[0]] == [{0}, {1, 3}, {2}, {1, 3}, {4}]
    assert len(quiet(made, unit="series", slices=5)) == len(quiet(made, unit="series"))


def test_neighbors_need_not_be_selected(made: Place) -> None:
    data = Dataset(made.db, neighbours=1, where="instance_number = 3 AND study_id = 'plain'")
    assert list(around(data, Shown(made))) == [("plain", [{1}, {2}, {3}])]


def test_images_without_neighbors_are_counted(made: Place) -> None:
    with pytest.warns(UserWarning, match="3 of 9 images have no neighboring slice and are their own neighbors: they"):
        Dataset(made.db, neighbours=1, where="study_id = 'plain' OR study_id = 'nowhere'")


def test_what_is_held_back_is_a_gap(place: Place) -> None:
    place.execute(
        "UPDATE frames SET burned_in = 'high' WHERE file_id IN (SELECT id FROM files WHERE path LIKE '%plain/01.dcm')"
    )
    with place.workspace.writing() as store:
        hold_back(store, on=True)
    held = place.rows("SELECT instance_number FROM files WHERE path LIKE '%plain/01.dcm'")[0] - 1
    assert held == 2
    data = Dataset(place.db, neighbours=1, where="study_id = 'plain'")
    found = [[min(numbers) for numbers in channels] for _, channels in around(data, Shown(place))]
    assert sorted(found) == sorted(expected([[0, 1], [3, 4, 5]], 1))
    bag = quiet(place, unit="series", slices=5, where="study_id = 'plain'")
    assert [min(Shown(place)("plain", one)) for one in bag[0][0]] == [0, 1, 3, 4, 5]


def test_a_version_has_its_own_neighbors(small: Place) -> None:
    freeze(small.workspace, "v1")
    write(small, "gap", 7, at(6)[0])
    small.run()
    shown = Shown(small)

    def middle(**options: Any) -> list[set[int]]:
        data = quiet(small, neighbours=1, where="study_id = 'gap' AND instance_number = 3", **options)
        return next(channels for _, channels in around(data, shown))

    assert middle() == [{1}, {2}, {7}]
    assert middle(version="v1") == [{1}, {2}, {2}]


def test_the_order_follows_what_changes(small: Place) -> None:
    before = small.rows("SELECT * FROM series_slices ORDER BY 1, 2")
    write(small, "gap", 7, at(6)[0])
    small.run()
    changed = set(small.rows("SELECT * FROM series_slices ORDER BY 1, 2")) ^ set(before)
    assert len({key for key, *_ in changed}) == 1
    assert max(stack for _, _, _, stack in changed) == 1
    small.execute("DELETE FROM frames WHERE file_id IN (SELECT id FROM files WHERE path LIKE '%plain/%')")
    small.execute("DELETE FROM files WHERE path LIKE '%plain/%'")
    assert small.workspace.refresh_series()
    assert small.rows("SELECT count(DISTINCT series_key) FROM series_slices") == [1]
    small.execute("DELETE FROM series_slices")
    small.execute("INSERT INTO stale_series (series_key) SELECT DISTINCT series_key FROM files WHERE series_key > ''")
    small.db.chmod(0o400)  # derived, for it cannot be kept
    data = quiet(small, neighbours=1, where="study_id = 'gap'")
    found = [[min(numbers) for numbers in channels] for _, channels in around(data, Shown(small))]
    assert sorted(found) == sorted(expected([[0, 1, 2, 7, 3, 4, 5, 6]], 1))


def test_a_bag_has_evenly_spaced_slices_and_the_target_of_its_series(place: Place) -> None:
    (place.base / "l.csv").write_text(
        "series_id,label\n" + "".join(f"1.2.{sum(map(ord, n))},{n}\n" for n in ("plain", "down", "nowhere"))
    )
    import_labels(place.workspace, place.base / "l.csv", annotator="a")
    data, shown = Dataset(place.db, unit="series", slices=4, labels="any"), Shown(place)
    bags = {record.label: (pixels, target, record) for pixels, target, record in data}
    assert {name: [min(shown(name, one)) for one in bag[0]] for name, bag in bags.items()} == {
        "plain": [0, 2, 3, 5],
        "down": [3, 2, 1, 0],
        "nowhere": [0, 1, 1, 2],
    }
    for name, (pixels, target, record) in bags.items():
        assert (pixels.shape, data.classes[target]) == ((4, SIZE, SIZE), name)
        assert [one.filename.partition("/")[0] for one in record.records] == [name] * 4
    one = Dataset(place.db, unit="series", slices=1, labels=["plain"])
    assert min(shown("plain", one[0][0][0])) == 2
    both = Dataset(place.db, unit="series", slices=32, neighbours=1, labels=["plain"], transform=np.shape)
    assert both[0][0] == (32, SIZE, SIZE, 3)


def test_batches_are_channels_first(made: Place) -> None:
    data = quiet(made, neighbours=2, where="study_id = 'plain'")
    assert data.batch([0, 1]).images.shape == (2, 5, SIZE, SIZE)
    bags = quiet(made, unit="series", slices=3)
    batch = bags.batch([0, 1])
    assert batch.images.shape == (2, 3, 1, SIZE, SIZE)
    assert (batch.images[1, 2, 0] == bags[1][0][2] * np.float32(1 / 255)).all()
    colored = quiet(made, unit="series", slices=3, channels=3)
    assert colored.batch([0]).images.shape == (1, 3, 3, SIZE, SIZE)
    assert quiet(made, unit="series", slices=3, neighbours=1).batch([0]).images.shape == (1, 3, 3, SIZE, SIZE)
    torch = pytest.importorskip("torch", reason="torch is not installed")
    loader = torch.utils.data.DataLoader(bags, batch_size=4, num_workers=1, collate_fn=collate)
    images = torch.cat([batch.images for batch in loader])
    assert tuple(images.shape) == (len(bags), 3, 1, SIZE, SIZE)
    assert (pickle.loads(pickle.dumps(data))[1][0] == data[1][0]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"neighbours": -1}, "neighbours=-1: give how many"),
        ({"neighbours": 1, "channels": 3}, "neighboring slices are the channels"),
        ({"slices": 4}, 'use unit="series"'),
        ({"slices": 0, "unit": "series"}, "slices=0: give how many"),
    ],
)
def test_options_that_exclude_each_other_are_refused(made: Place, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Dataset(made.db, **options)


def test_color_has_no_neighbors_as_channels(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number, said in enumerate(at(0, 2)):
        color = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        make_dicom(
            place.source / f"{number}.dcm", color, color=True, **{**said, "WindowCenter": None, "WindowWidth": None}
        )
    place.run()
    with pytest.raises(ConfigError, match="is color, and neighboring slices are channels of grayscale images: use"):
        Dataset(place.db, neighbours=1)[0]
    assert Dataset(place.db, neighbours=1, channels=1)[0][0].shape == (SIZE, SIZE, 3)


def test_no_header_is_opened(place: Place) -> None:
    shutil.rmtree(place.source)
    assert len(list(itertools.islice(quiet(place, neighbours=1), 5))) == 5
