"""A data set of images of several sizes: loaders, exports, volumes, and repair take it as any other."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import dicomprep
from dicomprep.checks.inspect import render_in_terminal
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.formats import parquet
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.pixels.png import decode_png
from dicomprep.training import tables
from tests.building import make_dicom
from tests.running import Place, cli, set_labels

SHAPES = {"a": (30, 20), "b": (12, 44), "c": (31, 20), "d": (9, 9), "e": (25, 40)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Each of its own size, of five patients; d in color."""
    place = Place(tmp_path_factory.mktemp("mixed"))
    random = np.random.default_rng(1)
    for name, shape in SHAPES.items():
        pixels = random.integers(1, 256, (*shape, *((3,) if name == "d" else ())), dtype=np.uint8)
        make_dicom(place.source / f"{name}.dcm", pixels, patient_id=name, color=name == "d")
    result = place.run(size="native", window="127.5/255", split="40/40/20")
    assert (result.smallest, result.largest) == ((9, 9), (31, 44))
    return place


def test_each_image_has_its_own_size(place: Place) -> None:
    rows = place.rows("SELECT filename, height, width, thumbnail_path FROM images ORDER BY id")
    assert {name.removeprefix("in/"): (height, width) for name, height, width, _ in rows} == SHAPES
    images = place.images()
    assert all(decode_png(images[path]).shape[:2] == (height, width) for _, height, width, path in rows)
    assert [sample[0].shape[:2] for sample in dicomprep.Dataset(place.db)] == [row[1:3] for row in rows]


def test_a_batch_is_as_large_as_its_largest(place: Place) -> None:
    data = dicomprep.Dataset(place.db, channels=1)
    batch = data.batch(range(5))
    assert batch.images.shape == (5, 1, 31, 44)
    assert batch.mask.shape == batch.images.shape
    assert batch.shapes == tuple((record.height, record.width) for record in batch.records)
    for number, (rows, columns) in enumerate(batch.shapes):
        drawn = data[number][0] / np.float32(255)
        assert np.allclose(batch.images[number, 0, :rows, :columns], drawn)
        assert (batch.images[number] > 0).sum() == np.count_nonzero(drawn) == np.count_nonzero(batch.images[number])
        assert batch.mask[number].sum() == rows * columns
    assert data.batch([2, 2]).images.shape[2:] == data[2][0].shape
    assert data.batch([2, 2]).mask.all()
    with pytest.raises(dicomprep.ConfigError, match="grayscale and in/d is color"):
        dicomprep.Dataset(place.db).batch(range(5))


def test_torch_collates_them(place: Place) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    data = dicomprep.Dataset(place.db, channels=3)
    loader = torch.utils.data.DataLoader(data, batch_size=5, collate_fn=dicomprep.collate)
    (batch,) = loader
    images, targets, records = batch
    assert (tuple(images.shape), len(targets), len(records)) == ((5, 3, 31, 44), 5, 5)
    assert batch.mask.dtype == torch.bool
    assert batch.mask.sum(dim=(1, 2, 3)).tolist() == [rows * columns for rows, columns in batch.shapes]
    assert (images * ~batch.mask).abs().sum() == 0


def test_fastai_is_told_that_sizes_differ(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    loaders = SimpleNamespace(
        ImageDataLoaders=SimpleNamespace(from_df=lambda *_, **options: SimpleNamespace(**options))
    )
    monkeypatch.setattr(tables, "load_extra", lambda name, **_: pandas if name == "pandas" else loaders)
    chosen = {split: dicomprep.Dataset(place.db, split=split).record(0) for split in ("train", "val")}
    set_labels(place, {record.filename: split for split, record in chosen.items()})
    with pytest.raises(dicomprep.ConfigError, match=r"several sizes; give item_tfms=Resize\(224\)"):
        dicomprep.to_fastai(place.db)
    assert dicomprep.to_fastai(place.db, item_tfms="Resize").item_tfms == "Resize"


@pytest.mark.parametrize("shape", [(3000, 150), (150, 3000), (64, 64), (5, 4)])
def test_a_terminal_shows_any_shape(shape: tuple[int, int]) -> None:
    lines = render_in_terminal(np.full(shape, 200, np.uint8), columns=60).split("\n")
    across, down = lines[0].count("▀"), 2 * len(lines)
    assert max(across, down) == 60
    assert abs(down / across / (shape[0] / shape[1]) - 1) < 0.5


def test_bags_of_series_may_differ(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for series, shape in enumerate([(10, 20), (16, 12)]):
        for number in range(3):
            pixels = np.full(shape, 40 * number + 1, np.uint8)
            where = {"ImagePositionPatient": [0, 0, number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
            made = make_dicom(place.source / f"{series}/{number}.dcm", pixels, InstanceNumber=number, **where)
            assert made.exists()
    place.run(size="native", window="127.5/255")
    batch = dicomprep.Dataset(place.db, unit="series", slices=3).batch([0, 1])
    assert batch.images.shape == (2, 3, 1, 16, 20)
    assert batch.mask.shape == (2, 1, 1, 16, 20)
    assert sorted(batch.shapes) == [(10, 20), (16, 12)]
    assert (batch.images > 0).sum() == 3 * batch.mask.sum()


def test_depths_of_a_batch_may_differ(tmp_path: Path) -> None:
    place = Place(tmp_path)
    white = np.full((16, 16), 255, np.uint8)
    make_dicom(place.source / "one/a.dcm", white, patient_id="1")
    place.run(window="127.5/255", dicom_dir=place.source / "one")
    make_dicom(place.source / "two/b.dcm", white // 2, patient_id="2")
    place.run(window="127.5/255", dicom_dir=place.source / "two", depth=16)
    images = dicomprep.Dataset(place.db).batch([0, 1]).images
    np.testing.assert_allclose(images.max(axis=(1, 2, 3)), [1, 127 / 255], atol=0.01)


@pytest.mark.parametrize("kind", ["csv", "parquet", "webdataset", "huggingface", "folder"])
def test_exports_say_the_size_of_each(place: Place, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    monkeypatch.setattr(parquet, "MAX_GROUP_BYTES", 1000)
    export_frames(Format(kind), tmp_path / "out", place.workspace, options=ExportOptions())
    images = {path.stem: decode_png(path.read_bytes()).shape[:2] for path in (tmp_path / "out").rglob("*.png")}
    if kind in ("parquet", "huggingface"):
        import pyarrow.parquet as pq

        files = sorted((tmp_path / "out").rglob("*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        assert sorted((row["height"], row["width"]) for row in rows) == sorted(SHAPES.values())
        if kind == "huggingface":
            images = {row["key"]: decode_png(row["image"]["bytes"]).shape[:2] for row in rows}
            assert all((row["height"], row["width"]) == images[row["key"]] for row in rows)
            groups = [pq.ParquetFile(file).metadata for file in files]
            assert max(one.row_group(at).num_rows for one in groups for at in range(one.num_row_groups)) <= 2
    if images:
        assert sorted(images.values()) == sorted(SHAPES.values())


def test_a_volume_of_several_sizes_is_refused_by_name(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number, shape in enumerate([(10, 20), (10, 20), (12, 20)]):
        make_dicom(
            place.source / f"{number}.dcm", np.full(shape, number + 1, np.uint8), ImagePositionPatient=[0, 0, number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], InstanceNumber=number, WindowCenter=1, WindowWidth=9,
        )  # fmt: skip
    place.run(size="native")
    (series,) = place.rows("SELECT DISTINCT series_key FROM tags")
    with pytest.raises(dicomprep.ExportError, match=r"in/2 differ in shape: 10×20 pixels .* 12×20 pixels"):
        dicomprep.volume(series, db=place.db)


@pytest.mark.parametrize("options", [{"size": "native"}, {"size": "24x40", "spacing": 0.7}])
def test_repair_makes_the_same_image_again(tmp_path: Path, options: dict[str, object]) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "a.dcm", PixelSpacing=[0.6, 0.4])
    place.run(**options)
    before = place.images()
    (image,) = place.output.rglob("*.png")
    os.truncate(image, 50)
    done = cli(tmp_path, "verify", "--db", place.db, "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.images() == before


def test_the_records_say_which_size_was_asked_for(place: Place, tmp_path: Path) -> None:
    (options,) = place.rows("SELECT options FROM runs")
    assert json.loads(options)["image"]["size"] == "native"
    export_frames(Format.CSV, tmp_path / "out", place.workspace, options=ExportOptions())
    assert "size native" in (tmp_path / "out" / "README.md").read_text()
