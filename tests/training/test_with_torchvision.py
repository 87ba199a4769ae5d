"""What others give and take: transforms of torchvision, processes that train together."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import dicomprep
from dicomprep.database.writes.store import Store
from dicomprep.training.augmenting import taking_arrays
from dicomprep.training.sampling import BalancedSampler
from tests.running import Place, make_files

_JOIN = "UPDATE groups SET joined_id = (SELECT min(id) FROM groups) WHERE id = (SELECT max(id) FROM groups)"


def test_processes_that_train_together_draw_different_images(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(BalancedSampler(np.arange(100) % 7, length=31))
    drawn = []
    for rank in range(4):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "4")
        sampler = BalancedSampler(np.arange(100) % 7, length=31)
        drawn.append(list(sampler))
        assert len(sampler) == len(drawn[-1]) == 8
    assert len({tuple(one) for one in drawn}) == 4
    assert len(alone) == 31


def test_collate_takes_tensors_and_floats(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    place = Place(tmp_path)
    make_files(place.source, "a.dcm", "b.dcm")
    place.run()
    plain = dicomprep.collate(list(dicomprep.Dataset(place.db))).images
    for transform in (
        lambda array: torch.from_numpy(array)[None],
        lambda array: torch.from_numpy(array)[None] / 255,
        lambda array: array.astype(np.float32) / 255,
    ):
        batch = dicomprep.collate(list(dicomprep.Dataset(place.db, transform=transform)))
        assert torch.allclose(batch.images, plain)
    with pytest.raises(dicomprep.ConfigError, match="gives str, and collate takes"):
        dicomprep.collate(list(dicomprep.Dataset(place.db, transform=str)))


class _Flip:
    """As transforms of torchvision v1 and timm are: it takes an image of Pillow."""

    def __call__(self, image: object) -> object:
        assert not isinstance(image, np.ndarray)
        return np.asarray(image)[:, ::-1]


def test_a_transform_of_pillow_images_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Flip, "__module__", "torchvision.transforms.transforms")
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (taking_arrays(_Flip())(array) == array[:, ::-1]).all()
    with pytest.raises(dicomprep.ConfigError, match="depth 8"):
        taking_arrays(_Flip())(array.astype(np.uint16))


def test_torchvision_flips_what_it_gets() -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2", reason="torchvision is not installed")
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    flip = v2.Compose([v2.RandomHorizontalFlip(1.0)])
    assert (taking_arrays(flip)(array).numpy()[0] == array[:, ::-1]).all()
    deep = taking_arrays(flip)(array.astype(np.uint16) * 257).numpy()[0]
    assert np.allclose(deep, array[:, ::-1] / 255)


def test_patients_who_were_joined_are_drawn_as_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "a.dcm", "b.dcm", "c.dcm")
    place.run()
    store = Store(place.address)
    with store.transaction() as connection:
        connection.exec_driver_sql(_JOIN)
    store.close()
    data = dicomprep.Dataset(place.db)
    drawn = Counter(data.record(index).group_key for index in data.sampler("patient", length=4000))
    assert len(drawn) == 2
    assert max(drawn.values()) < 1.15 * min(drawn.values())
