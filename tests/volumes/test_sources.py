"""Where the sources of volumes lie, and that each is opened once."""

import shutil
import tarfile
import zipfile
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import dicomprep
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import SourceFile
from tests.exchange.test_whole_series import two_series
from tests.pipeline.test_duplicates import noise
from tests.running import Place
from tests.volumes.scenes import AXIAL, even, make_enhanced, make_stack, sample, uid_of, worlds


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One series of five slices; no run yet."""
    place = Place(tmp_path)
    make_stack(place.source, "série 1", even(5, (0, 0, 3)))
    return place


def load(place: Place) -> dicomprep.Volume:
    volume = dicomprep.volume(uid_of("série 1"), db=place.db, values="hu")
    assert np.abs(volume.array - sample(worlds(volume))).max() <= 0.501
    return volume


@pytest.mark.parametrize("name", ["export.zip", "export.tar", "export.tar.gz"])
def test_members_of_archives(place: Place, name: str) -> None:
    archive = place.base / name
    files = sorted((place.source / "série 1").iterdir())
    if name.endswith("zip"):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in files:
                packed.write(path, f"study/{path.name}")
    else:
        with tarfile.open(archive, "w:gz" if name.endswith("gz") else "w") as packed_too:
            for path in files:
                packed_too.add(path, f"study/{path.name}")
    shutil.rmtree(place.source)
    place.source.mkdir()
    shutil.move(archive, place.source / name)
    place.run()
    assert load(place).array.shape == (5, 10, 8)


def test_each_source_is_opened_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.run()
    opened, own = Counter[str](), LocalSource.open

    def count(source: LocalSource) -> AbstractContextManager[SourceFile]:
        opened[source.path] += 1
        return own(source)

    monkeypatch.setattr(LocalSource, "open", count)
    load(place)
    assert sorted(opened.values()) == [1] * 5


def test_slices_that_are_hidden_as_duplicates_are_slices(tmp_path: Path) -> None:
    place = Place(tmp_path)
    two_series(place)
    place.run()
    for series, numbers in (("8", (0, 1, 2, 3)), ("9", (10, 1, 12, 12))):
        volume = dicomprep.volume(f"1.2.{series}", db=place.db, values="rescaled")
        assert np.array_equal(volume.array, np.stack([noise(number) for number in numbers]))


def test_a_failed_file_is_no_shorter_volume(place: Place) -> None:
    path = sorted((place.source / "série 1").iterdir())[-1]
    path.write_bytes(path.read_bytes()[:-60])
    place.run()
    with pytest.raises(dicomprep.ExportError, match=r"is not a volume: .*slice 28\.dcm .*failed: "):
        load(place)


def test_all_frames_of_a_file_count_whatever_was_drawn_of_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_enhanced(place.source, "série 1", even(5, (0, 0, 3)), AXIAL)
    place.run(frames="max=2")
    assert dicomprep.volume(uid, db=place.db).array.shape[0] == 2
    assert dicomprep.volume(uid, db=place.db, values="hu").array.shape[0] == 5


def test_a_frame_that_nobody_looked_at_may_be_broken(tmp_path: Path) -> None:
    place = Place(tmp_path)
    uid = make_enhanced(place.source, "série 1", even(5, (0, 0, 3)), AXIAL)
    path = place.source / "série 1/enhanced.dcm"
    path.write_bytes(path.read_bytes()[:-40])
    place.run(frames="first")
    with pytest.raises(dicomprep.ExportError, match=r"is not a volume: .*enhanced\.dcm.*truncated"):
        dicomprep.volume(uid, db=place.db, values="hu")
