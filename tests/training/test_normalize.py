"""`Dataset(normalize=…)`."""

import numpy as np
import pytest

import dicomprep
from tests.running import Place, make_files


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("normal"))
    make_files(place.source, *(f"g{number}.dcm" for number in range(8)))
    place.run(split="50/25/25")
    return place


def test_values_are_normalized(place: Place) -> None:
    plain = dicomprep.Dataset(place.db, channels=3)[0][0] / np.float32(255)
    done = dicomprep.Dataset(place.db, channels=3, normalize="imagenet")[0][0]
    assert done.dtype == np.float32
    assert np.allclose(done, (plain - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], atol=1e-5)
    data = dicomprep.Dataset(place.db, normalize=(0.25, 0.5))
    gray = dicomprep.Dataset(place.db)[0][0] / 255
    assert np.allclose(data[0][0], (gray - 0.25) / 0.5, atol=1e-5)
    assert np.allclose(data.batch([0]).images[0, 0], data[0][0])


def test_every_split_is_normalized_as_train_is(place: Place) -> None:
    train, val = (dicomprep.Dataset(place.db, split=split, normalize="dataset") for split in ("train", "val"))
    assert train.normalization == val.normalization
    values = np.stack([pixels for pixels, *_ in train])
    assert (values.mean(), values.std()) == pytest.approx((0, 1), abs=1e-3)


def test_tensors_are_normalized(place: Place) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    as_tensor = dicomprep.Dataset(
        place.db, normalize="imagenet", channels=3, transform=lambda array: torch.from_numpy(array).permute(2, 0, 1)
    )
    as_array = dicomprep.Dataset(place.db, normalize="imagenet", channels=3)
    assert np.allclose(as_tensor[0][0].permute(1, 2, 0).numpy(), as_array[0][0], atol=1e-5)


@pytest.mark.parametrize("wrong", ["cifar", (0.5,), (0.5, 0), ((0.1, 0.2), (0.1,))])
def test_what_is_wrong_is_said(place: Place, wrong: object) -> None:
    with pytest.raises(dicomprep.ConfigError, match="normalize="):
        dicomprep.Dataset(place.db, normalize=wrong)  # type: ignore[arg-type]
