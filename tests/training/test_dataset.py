"""`dicomprep.Dataset` over a real database: what it yields, in this process, in workers, and without torch."""

import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import dicomprep
from dicomprep.database.writes.releases import add_releases, hold_back
from dicomprep.database.writes.store import Store
from dicomprep.exchange.labels import import_labels
from dicomprep.exchange.options import ExportOptions
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.exchange.rows import read_rows
from dicomprep.pixels.png import decode_png, encode_png
from dicomprep.training.sampling import BalancedSampler, class_weights
from tests.building import make_dicom
from tests.running import SIZE, Place, frames_of, make_files, set_labels


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Ten gray images of seven patients, a color one; some with labels."""
    place = Place(tmp_path_factory.mktemp("data"))
    make_files(place.source, *(f"g{number}.dcm" for number in range(10)))
    make_dicom(place.source / "rgb.dcm", np.stack(3 * [frames_of(1)[0]], -1), color=True, patient_id="C", Modality="US")
    place.run(split="60/20/20")
    labels = {"g0": "b", "g1": "a", "g2": "b", "g3": "b", "rgb": "a", "g4": "c"}
    set_labels(place, {f"in/{name}": label for name, label in labels.items()})
    set_labels(place, {"in/g4": None})
    return place


def test_a_sample_is_the_image_its_target_and_its_record(place: Place) -> None:
    data = dicomprep.Dataset(place.db)
    assert len(data) == len(list(data)) == 11
    assert data.classes == ("a", "b")
    for (pixels, target, record), row in zip(data, place.rows("SELECT * FROM images ORDER BY id"), strict=True):
        assert record[:11] == tuple("" if value is None else value for value in row[:11])
        assert (pixels == decode_png(place.images()[record.thumbnail_path])).all()
        assert target == {"a": 0, "b": 1, "": -1}[record.label]
    assert data[-1][2] == data[10][2]
    for frame_id in (data.record(3).id, np.int64(data.record(3).id)):  # the latter is what a table of pandas has
        assert dicomprep.frame(frame_id, db=place.db).name == data.record(3).filename
    with pytest.raises(IndexError):
        data[11]


def test_frames_are_chosen_by_split_label_and_condition(place: Place) -> None:
    def names(**options: object) -> list[str]:
        return [record.filename.removeprefix("in/") for _, _, record in dicomprep.Dataset(place.db, **options)]

    splits = {split: names(split=split) for split in ("train", "val", "test")}
    assert sorted(splits["train"] + splits["val"] + splits["test"]) == sorted(names())
    assert sorted(names(split=("train", "test"))) == sorted(splits["train"] + splits["test"])
    assert sorted(names(labels="any")) == ["g0", "g1", "g2", "g3", "rgb"]
    assert sorted(names(labels=["a"])) == ["g1", "rgb"]
    assert sorted(names(labels={"b": 1.5})) == ["g0", "g2", "g3"]
    assert names(where="modality = 'US'") == ["rgb"]


def test_targets_follow_the_names_or_the_mapping(place: Place) -> None:
    data = dicomprep.Dataset(place.db, labels=["b", "a"])
    assert data.classes == ("b", "a")
    assert {record.label: target for _, target, record in data} == {"b": 0, "a": 1}
    assert dicomprep.Dataset(place.db, labels={"a": 0.5, "b": 2}).targets.dtype == np.float32
    assert Counter(dicomprep.Dataset(place.db, labels={"a": 7, "b": 7}).targets.tolist()) == {7: 5}


def test_classes_are_the_same_in_every_split(place: Place) -> None:
    assert {dicomprep.Dataset(place.db, split=split).classes for split in ("train", "val", "test")} == {("a", "b")}


def test_a_transform_gets_the_array(place: Place) -> None:
    data = dicomprep.Dataset(place.db, transform=np.mean, channels=1)
    assert data[0][0] == dicomprep.Dataset(place.db)[0][0].mean()


def test_channels_make_all_images_alike(place: Place) -> None:
    plain, grayscale, color = (dicomprep.Dataset(place.db, channels=channels) for channels in (None, 1, 3))
    assert {pixels.shape for pixels, _, _ in grayscale} == {(SIZE, SIZE)}
    assert {pixels.shape for pixels, _, _ in color} == {(SIZE, SIZE, 3)}
    for one, two, three in zip(plain, grayscale, color, strict=True):
        assert (two[0] == (one[0] if one[0].ndim == 2 else one[0][..., 1])).all()  # this color image has gray pixels
        assert (three[0] == (one[0] if one[0].ndim == 3 else one[0][..., None])).all()


def test_a_batch_is_ready_for_a_network(place: Place) -> None:
    data = dicomprep.Dataset(place.db, channels=1)
    batch = data.batch([3, 0, 10])
    assert (batch.images.shape, batch.images.dtype) == ((3, 1, SIZE, SIZE), np.float32)
    assert np.allclose(batch.images[1, 0], data[0][0] / 255)
    assert batch.targets.tolist() == [data[i][1] for i in (3, 0, 10)]
    assert batch.records[2] == data[10][2]
    assert dicomprep.Dataset(place.db, channels=3).batch([0]).images.shape == (1, 3, SIZE, SIZE)


def test_a_batch_of_gray_and_color_says_what_to_do(place: Place) -> None:
    data = dicomprep.Dataset(place.db)
    color = next(index for index in range(11) if data.record(index).modality == "US")
    with pytest.raises(dicomprep.ConfigError, match=r"in/rgb is color.*channels=3"):
        data.batch([(color + 1) % 11, color])


def test_it_is_pickled_without_a_connection_and_reads_from_anywhere(place: Place, tmp_path: Path) -> None:
    data = dicomprep.Dataset(place.db, split="train")
    (tmp_path / "data.pickle").write_bytes(pickle.dumps(data))
    code = "import pickle; d = pickle.load(open('data.pickle', 'rb')); print(len(d), d[0][0].sum())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(data)), str(data[0][0].sum())]


def test_nothing_stays_open(place: Place) -> None:
    data = dicomprep.Dataset(place.db)
    opened = [path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()]
    assert place.db.resolve() not in opened
    assert len(data) == 11


def test_a_data_set_moves_as_a_whole(place: Place, tmp_path: Path) -> None:
    before = dicomprep.Dataset(place.db)[0][0]
    moved = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", place.base, moved], check=True)
    data = dicomprep.Dataset(moved / "x.db")
    assert data.path(0).startswith(str(moved))
    assert (data[0][0] == before).all()


def test_a_missing_or_cut_image_is_named(place: Place, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", place.base, tmp_path / "copy"], check=True)
    data = dicomprep.Dataset(tmp_path / "copy" / "x.db")
    whole = Path(data.path(0)).read_bytes()
    Path(data.path(0)).write_bytes(whole[: len(whole) // 2])
    Path(data.path(1)).unlink()
    for index in (0, 1):
        with pytest.raises(dicomprep.EnvironmentFault, match=r"out/in/(g\d|rgb)\.png .*verify --repair"):
            data[index]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"split": "validation"}, "choose from train, val, test"),
        ({"labels": "a"}, "in a list"),
        ({"channels": 4}, "choose 1, 3"),
        ({"where": "modality = "}, "a text in quotes is expected at the end"),
    ],
)
def test_a_wrong_option_is_named(place: Place, options: dict[str, object], reason: str) -> None:
    with pytest.raises(dicomprep.ConfigError, match=reason):
        dicomprep.Dataset(place.db, **options)
    with pytest.raises(dicomprep.ConfigError, match="There is no database"):
        dicomprep.Dataset(place.base / "none.db")


def test_class_weights_make_classes_count_alike(place: Place) -> None:
    data = dicomprep.Dataset(place.db)
    weights = data.class_weights()
    assert np.isclose(weights[0] * 2, weights[1] * 3)
    assert np.isclose(weights[data.targets[data.targets >= 0]].mean(), 1)
    assert class_weights(np.array([0, 2, 2]), 3)[1] == 0


@pytest.mark.parametrize("by", ["patient", "class"])
def test_the_sampler_balances(place: Place, by: str) -> None:
    data = dicomprep.Dataset(place.db)
    sampler = data.sampler(by, length=20_000, seed=1)
    of = [record.patient_key if by == "patient" else record.label for record in map(data.record, sampler)]
    counts = Counter(of)
    groups = {r.patient_key for _, _, r in data} if by == "patient" else {"a", "b"}
    assert set(counts) == groups
    assert max(counts.values()) < 1.15 * min(counts.values())
    assert len(data.sampler(by)) <= len(data)


def test_epochs_of_a_sampler_differ_and_come_again() -> None:
    groups = np.array([0, 0, 1, 2, -1, 2])
    sampler = BalancedSampler(groups, length=50)
    first, second = list(sampler), list(sampler)
    assert first != second
    assert 4 not in first + second
    sampler.set_epoch(1)
    assert list(sampler) == second
    assert list(BalancedSampler(groups, length=50)) == first
    with pytest.raises(dicomprep.ConfigError, match="No frames to sample from"):
        BalancedSampler(np.array([-1, -1]))


@pytest.mark.parametrize("shape", [(7, 5), (5, 7, 3), (224, 224), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_is_read_as_it_was_written(shape: tuple[int, ...], dtype: type) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    for drawn in (pixels, np.zeros_like(pixels)):
        assert (decode_png(encode_png(drawn)) == drawn).all()
        assert decode_png(encode_png(drawn)).dtype == dtype


def test_a_png_of_others_is_read_and_a_cut_one_refused() -> None:
    import cv2

    pixels = np.random.default_rng(1).integers(0, 255, (9, 8, 3), dtype=np.uint8)
    assert (decode_png(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()) == pixels).all()
    whole = encode_png(pixels)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="PNG"):
            decode_png(whole[:length])


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Images with none, one or two classes, and one that nobody has labeled."""
    place = Place(tmp_path_factory.mktemp("multi"))
    make_files(place.source, *(f"g{number}.dcm" for number in range(6)))
    place.run()
    labels = {"g0": "bone,lung", "g1": "lung", "g2": "", "g3": "lung", "g4": "heart"}
    set_labels(place, {f"in/{name}": label for name, label in labels.items()})
    return place


def test_an_image_may_have_several_classes(several: Place) -> None:
    data = dicomprep.Dataset(several.db, multi=True)
    assert data.classes == ("bone", "heart", "lung")
    targets = {record.filename: target.tolist() for _, target, record in data}
    assert targets == {
        "in/g0": [1, 0, 1],
        "in/g1": [0, 0, 1],
        "in/g2": [0, 0, 0],
        "in/g3": [0, 0, 1],
        "in/g4": [0, 1, 0],
        "in/g5": [-1, -1, -1],
    }
    named = dicomprep.Dataset(several.db, multi=True, labels=["lung", "bone"])
    assert [record.filename for _, _, record in named] == [f"in/g{number}" for number in range(5)]
    assert named.targets.tolist() == [[1, 1], [1, 0], [0, 0], [1, 0], [0, 0]]
    assert named.class_weights().tolist() == pytest.approx([2 / 3, 4])
    with pytest.raises(dicomprep.ConfigError, match="with multi=True, give names"):
        dicomprep.Dataset(several.db, multi=True, labels={"lung": 1})


def test_the_sampler_balances_classes_of_which_an_image_has_several(several: Place) -> None:
    data = dicomprep.Dataset(several.db, multi=True)
    drawn = Counter(data.record(index).filename for index in data.sampler("class", length=20_000))
    assert "in/g5" not in drawn
    shares = {"in/g0": 1 / 4 + 1 / 12, "in/g1": 1 / 12, "in/g2": 1 / 4, "in/g3": 1 / 12, "in/g4": 1 / 4}
    assert {name: count / 20_000 for name, count in drawn.items()} == pytest.approx(shares, abs=0.02)
    assert len(data.sampler("class")) == 5


def test_torch_learns_several_classes(several: Place) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    data = dicomprep.Dataset(several.db, multi=True, labels="any")
    for collate in (dicomprep.collate, None):
        loader = torch.utils.data.DataLoader(data, batch_size=3, collate_fn=collate)
        targets = torch.cat([targets for _, targets, _ in loader])
        assert (targets.dtype, targets.tolist()) == (torch.float32, data.targets.tolist())
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=torch.from_numpy(data.class_weights()))
    assert loss(torch.zeros(5, 3), targets).item() > 0


def test_a_table_has_one_row_a_frame(place: Place) -> None:
    pytest.importorskip("pandas")
    table = dicomprep.frames(place.db, where="label IS NOT NULL")
    assert sorted(table["label"]) == ["a", "a", "b", "b", "b"]
    assert all(Path(path).is_file() for path in table["image"])
    assert table["series_instance_uid"].notna().all()


def test_fastai_learns_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vision = pytest.importorskip("fastai.vision.all", reason="fastai is not installed: pip install fastai torchvision")
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    for number, pixels in enumerate(frames_of(40)):
        make_dicom(place.source / f"{number}.dcm", pixels, patient_id=f"P{number}")
    place.run(split="50/49/1")
    for split in ("train", "val"):
        names = [record.filename for _, _, record in dicomprep.Dataset(place.db, split=split)]
        set_labels(place, {name: "ab"[number % 2] for number, name in enumerate(names[1:])})
    loaders = dicomprep.to_fastai(place.db, bs=4)
    assert set(loaders.vocab) == {"a", "b"}
    for items, split in ((loaders.train_ds.items, "train"), (loaders.valid_ds.items, "val")):
        labeled = [record.filename for _, _, record in dicomprep.Dataset(place.db, split=split, labels="any")]
        assert sorted(items["filename"]) == sorted(labeled)
    network = vision.nn.Sequential(vision.nn.Flatten(), vision.nn.Linear(3 * SIZE * SIZE, 2))
    learner = vision.Learner(loaders, network, loss_func=vision.CrossEntropyLossFlat())
    with learner.no_bar(), learner.no_logging():
        learner.fit(1)
    assert learner.save("model").is_relative_to(Path("models"))
    with pytest.raises(dicomprep.ConfigError, match="labeled frames in train and in val"):
        dicomprep.to_fastai(place.db, where="split = 'train'")


def test_what_is_missing_is_named_with_its_extra(place: Place) -> None:
    code = f"import sys; sys.modules['pandas'] = None; import dicomprep; dicomprep.frames({str(place.db)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: dicomprep.frames needs pandas: pip install 'dicomprep[pandas]'" in done.stderr


def test_torch_loads_it_in_workers_with_nothing_else(place: Place) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    data = dicomprep.Dataset(place.db, channels=3)
    for context in ("fork", "spawn"):
        loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context=context)
        images, targets, records = zip(*loader, strict=True)
        assert (torch.cat(images).numpy() == np.stack([pixels for pixels, _, _ in data])).all()
        assert torch.cat(targets).tolist() == data.targets.tolist()
        assert [name for batch in records for name in batch.filename] == [r.filename for _, _, r in data]


def test_torch_batches_with_our_collate_and_sampler(place: Place) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    data = dicomprep.Dataset(place.db, channels=1, labels="any")
    loader = torch.utils.data.DataLoader(
        data, batch_size=3, sampler=data.sampler("class", length=7), collate_fn=dicomprep.collate
    )
    batches = list(loader)
    assert [len(batch.images) for batch in batches] == [3, 3, 1]
    assert batches[0].images.dtype == torch.float32
    loss = torch.nn.functional.cross_entropy(
        torch.zeros(3, 2), batches[0].targets, torch.from_numpy(data.class_weights())
    )
    assert loss.item() > 0


def test_frames_that_may_show_text_are_held_back_until_released(place: Place, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", place.base, tmp_path / "copy"], check=True)
    copy = Place(tmp_path / "copy")
    store = Store(copy.address)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE frames SET burned_in = 'high' WHERE id <= 3")
    assert len(dicomprep.Dataset(copy.db)) == 11
    hold_back(store, on=True)
    assert len(dicomprep.Dataset(copy.db)) == 8
    (tmp_path / "labels.csv").write_text("id,label\n1,x\n")
    assert import_labels(copy.workspace, tmp_path / "labels.csv", annotator="t").recorded == 1
    rows = read_rows(copy.workspace, ExportOptions(), Pseudonyms(copy.workspace.key))
    assert len(rows) == 8
    add_releases(store, [1], person="t")
    store.close()
    assert len(dicomprep.Dataset(copy.db)) == 9
