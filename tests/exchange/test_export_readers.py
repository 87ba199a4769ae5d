"""What Hugging Face's `datasets`, `mlcroissant`, `webdataset` and `pandas` make of exports, as their cards say."""

import csv
import hashlib
import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dicomprep.exchange.hub_card import _quoted
from dicomprep.exchange.versions import freeze
from dicomprep.pixels.png import decode_png
from tests.exchange.test_export import FORMATS, export, read_with, relabel, shards, tree
from tests.running import Place, make_files

pytest.importorskip("pyarrow", reason="pyarrow is not installed")

LABELS = ("=2+3", "None", "../b")
PUBLIC = {"train": "train", "val": "validation", "test": "test"}


def fill(place: Place, labels: tuple[str, ...]) -> Place:
    make_files(place.source, *(f"Mustermann Ä/IM{number:03d}.dcm" for number in range(20)))
    place.run(split="60/20/20", split_seed="one for all")
    for number in range(12):
        relabel(place, f"Mustermann Ä/IM{number:03d}", labels[number % len(labels)])
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return fill(Place(tmp_path_factory.mktemp("readers")), LABELS)


@pytest.fixture(scope="module")
def exports(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each format, below one folder; and a table whose classes are called as numbers are."""
    base = tmp_path_factory.mktemp("exports")
    for kind in FORMATS:
        export(place, kind, base / f"as {kind}", shard_size=4, license="CC-BY-4.0")
    numbered = fill(Place(base / "numbered"), ("7", "3"))
    export(numbered, "csv", base / "as numbers", label=("3", "7"))
    return base


def classes_of(folder: Path) -> list[str]:
    return json.loads((folder / "manifest.jsonl").read_text().splitlines()[0])["classes"]


def facts(place: Place) -> dict[str, list[list[object]]]:
    """For each split, as other programs call it: (label, sum of the pixels) of each image."""
    found: dict[str, list[list[object]]] = {}
    for split, label, path in place.rows("SELECT split, label, thumbnail_path FROM images"):
        found.setdefault(PUBLIC[split], []).append([label or "", int(decode_png(place.images()[path]).sum())])
    return {split: sorted(rows) for split, rows in found.items()}


LOADING = """
import json, datasets, numpy as np
datasets.disable_progress_bars()
said = {}
for kind in ("csv", "parquet", "webdataset", "huggingface", "folder", "numbers"):
    data = datasets.load_dataset(f"as {kind}")
    said[kind] = {}
    for split, part in data.items():
        image = next((name for name in ("image", "png") if name in part.features), None)
        label = "cls" if "cls" in part.features else "label"
        names = getattr(part.features[label], "names", None)
        said[kind][split] = {
            "names": names,
            "labels": part[label][:],
            "sums": [int(np.asarray(one).sum()) for one in part[image]] if image else None,
            "splits": sorted(set(part["split"])) if "split" in part.features else None,
        }
print(json.dumps(said))
"""


def test_hugging_face_loads_every_format_as_its_card_says(place: Place, exports: Path) -> None:
    pytest.importorskip("datasets", reason="datasets is not installed")
    said: Any = read_with(LOADING, exports)
    expected = facts(place)
    assert set(expected) == {"train", "validation", "test"}
    for kind in FORMATS:
        assert set(said[kind]) == set(expected), kind
        classes = classes_of(exports / f"as {kind}")
        for split, rows in expected.items():
            part = said[kind][split]
            named = ["'=2+3" if name == "=2+3" else name for name in classes] if kind == "csv" else classes
            assert part["names"] == (None if kind == "folder" else named), kind  # imagefolder: numbers alone
            labels = [classes[label] if label not in (None, -1) else "" for label in part["labels"]]
            if part["sums"] is None:
                assert sorted(labels) == [label for label, _ in rows], kind
            else:
                assert sorted(map(list, zip(labels, part["sums"], strict=True))) == rows, kind
            assert part["splits"] in (None, [split.replace("validation", "val")])
    for part in said["numbers"].values():  # as text: `datasets` would take 7 for the number of a class
        assert part["names"] is None
        assert set(part["labels"]) <= {"3", "7"}


CROISSANT = """
import io, json, os
os.environ["CROISSANT_CACHE"] = "cache"
import mlcroissant, numpy as np
said = {}
for kind in ("csv", "parquet", "webdataset", "huggingface", "folder"):
    data = mlcroissant.Dataset(f"as {kind}/croissant.json")
    issues = data.metadata.ctx.issues
    records = {}
    for records_of in data.metadata.record_sets:
        rows = [{name.split("/")[1]: value for name, value in row.items()} for row in data.records(records_of.id)]
        for row in rows:
            row |= {name: value.decode() for name, value in row.items() if isinstance(value, bytes)}
            if row.get("image") is not None:
                row["image"] = int(np.asarray(row["image"].convert("L")).sum())
        records[records_of.id] = rows
    said[kind] = {"issues": [*issues.errors, *issues.warnings], "records": records}
print(json.dumps(said, default=str))
"""


def test_mlcroissant_finds_nothing_wrong_and_reads_all_records(place: Place, exports: Path) -> None:
    pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    said: Any = read_with(CROISSANT, exports)
    expected = facts(place)
    sums = sorted(total for rows in expected.values() for _, total in rows)
    labels = sorted(label for rows in expected.values() for label, _ in rows if label)
    for kind in FORMATS:
        classes = classes_of(exports / f"as {kind}")
        assert said[kind]["issues"] == [], kind
        records = said[kind]["records"]
        assert [row["name"] for row in records["splits"]] == ["train", "val", "test"]
        assert [(row["name"], row["number"]) for row in records["classes"]] == [(n, i) for i, n in enumerate(classes)]
        if kind == "webdataset":
            read = {
                name: [row for split in PUBLIC for row in records[f"{split}_{name}"]] for name in ("image", "label")
            }
            assert sorted(classes[row["label"]] for row in read["label"]) == labels
            assert sorted(row["image"] for row in read["image"]) == sums
            continue
        rows = records["images"]
        if kind in ("parquet", "huggingface"):  # pandas takes a class called None in CSV for none
            found = [
                classes[row["label"]] if kind == "huggingface" else row["label"]
                for row in rows
                if row["label"] is not None
            ]
            assert sorted(found) == labels, kind
        assert len({row["key"] for row in rows}) == len(rows) == len(sums)
        if kind in ("huggingface", "folder"):
            assert sorted(row["image"] for row in rows) == sums, kind


@pytest.mark.parametrize("kind", FORMATS)
def test_croissant_has_the_digest_of_every_shard_and_the_license(exports: Path, kind: str) -> None:
    folder = exports / f"as {kind}"
    said = json.loads((folder / "croissant.json").read_text())
    files = {one["contentUrl"]: one["sha256"] for one in said["distribution"] if one["@type"] == "cr:FileObject"}
    assert files == {str(one["file"]): one["sha256"] for one in shards(folder)}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in files.items())
    assert said["license"] == "CC-BY-4.0"


def test_croissant_names_the_version_and_follows_the_shards(tmp_path: Path) -> None:
    place = fill(Place(tmp_path / "place"), ("a", "b"))
    version = freeze(place.workspace, "paper v1")
    export(place, "csv", tmp_path / "frozen", version="paper v1")
    said = json.loads((tmp_path / "frozen/croissant.json").read_text())
    assert said["name"] == "paper v1"
    assert said["version"] == f"1.0.0+sha256.{version.digest}"
    assert version.digest in said["description"]
    export(place, "csv", tmp_path / "out")
    before = (tmp_path / "out/croissant.json").read_bytes()
    export(place, "csv", tmp_path / "out")
    assert (tmp_path / "out/croissant.json").read_bytes() == before
    relabel(place, "Mustermann Ä/IM003", "a")
    export(place, "csv", tmp_path / "out")
    after = json.loads((tmp_path / "out/croissant.json").read_text())
    assert after["version"] != json.loads(before)["version"]
    assert {one["contentUrl"]: one["sha256"] for one in after["distribution"] if "sha256" in one} == {
        str(one["file"]): one["sha256"] for one in shards(tmp_path / "out")
    }


def test_an_export_of_nothing_has_a_croissant_file_all_the_same(place: Place, tmp_path: Path) -> None:
    assert export(place, "csv", tmp_path / "out", where="width = 1").images == 0
    said = json.loads((tmp_path / "out/croissant.json").read_text())
    assert (said["distribution"], said["recordSet"]) == ([], [])


def test_tables_join_with_the_images_of_other_exports(exports: Path) -> None:
    def named(folder: Path) -> set[str]:
        texts = [path.read_text().splitlines(keepends=True) for path in folder.glob("*.csv")]
        return {Path(row["file_name"]).name for text in texts for row in csv.DictReader(text)}

    def members(archive: Path) -> list[str]:
        with tarfile.open(archive) as opened:
            return opened.getnames()

    names = named(exports / "as csv")
    archived = [name for path in (exports / "as webdataset").glob("*.tar") for name in members(path)]
    assert names == {name for name in archived if name.endswith(".png")}
    assert names == named(exports / "as folder") == {path.name for path in (exports / "as folder").rglob("*.png")}


def test_each_split_of_a_folder_lists_its_files(exports: Path) -> None:
    folder = exports / "as folder"
    for split in PUBLIC:
        rows = list(csv.DictReader((folder / split / "metadata.csv").read_text().splitlines()))
        assert {row["file_name"] for row in rows} == {
            path.relative_to(folder / split).as_posix() for path in (folder / split).rglob("*.png")
        }


def test_a_class_of_a_folder_has_its_number_whichever_splits_have_it(exports: Path) -> None:
    folder = exports / "as folder"
    names = (folder / "classes.txt").read_text("utf-8").splitlines()
    assert names == ["%2E%2E%2Fb", "%3D2+3", "None"]
    for split in PUBLIC:
        for row in csv.DictReader((folder / split / "metadata.csv").read_text().splitlines()):
            assert [*names, "unlabelled"][int(row["label"])] == row["file_name"].partition("/")[0]


def test_a_split_that_left_a_folder_leaves_no_list(tmp_path: Path) -> None:
    place = fill(Place(tmp_path / "place"), ("a", "b"))
    export(place, "folder", tmp_path / "out", label=("a", "b"))
    assert (tmp_path / "out/val/metadata.csv").exists()
    for name in place.rows("SELECT filename FROM images WHERE split = 'val'"):
        relabel(place, name, None)
    export(place, "folder", tmp_path / "out", label=("a", "b"))
    assert not (tmp_path / "out/val").exists()


def test_the_card_names_the_archives_that_exist(tmp_path: Path) -> None:
    place = fill(Place(tmp_path / "place"), LABELS)
    out = tmp_path / "out"
    export(place, "webdataset", out, shard_size=1, label=LABELS)
    train = [shard for shard in shards(out) if shard["split"] == "train"]
    assert cards_archives(out)["train"] == f"train-{{000000..{len(train) - 1:06d}}}.tar"
    names = {key: name for name, key in keys_of(place, tmp_path).items()}
    relabel(place, names[train[1]["keys"][0]], None)
    export(place, "webdataset", out, shard_size=1, label=LABELS)
    assert cards_archives(out)["train"].startswith("train-000000.tar::train-{000002..")


def cards_archives(folder: Path) -> dict[str, str]:
    """How the card names the archives of each split, which are those that are there."""
    braceexpand = pytest.importorskip("braceexpand", reason="webdataset is not installed")
    urls = dict(re.findall(r'- (\w+): `webdataset.WebDataset\("(.*)"\)`', (folder / "README.md").read_text()))
    named = [name for url in urls.values() for part in url.split("::") for name in braceexpand.braceexpand(part)]
    assert sorted(named) == sorted(path.name for path in folder.glob("*.tar"))
    return urls


def keys_of(place: Place, tmp_path: Path) -> dict[str, str]:
    """The key of each image, by its name."""
    export(place, "csv", tmp_path / "keys", with_paths=True)
    texts = [path.read_text().splitlines() for path in (tmp_path / "keys").glob("*.csv")]
    return {row["filename"]: row["key"] for text in texts for row in csv.DictReader(text)}


def test_images_labeled_with_none_of_the_classes_are_not_unlabeled(tmp_path: Path) -> None:
    place = fill(Place(tmp_path / "place"), ("a,b", "", "a"))
    for kind in ("csv", "folder"):
        export(place, kind, tmp_path / kind)
        texts = [path.read_text().splitlines() for path in (tmp_path / kind).glob("*.csv")]
        rows = [row for text in texts for row in csv.DictReader(text)]
        assert Counter((row["label"], row["negative"]) for row in rows) == {
            ("a,b", "0"): 4, ("", "1"): 4, ("a", "0"): 4, ("", ""): 8
        }  # fmt: skip
    folders = Counter(path.parent.name for path in (tmp_path / "folder").rglob("*.png"))
    assert folders == {"a,b": 4, "negative": 4, "a": 4, "unlabelled": 8}
    card = (tmp_path / "csv/README.md").read_text()
    assert "Labels: none 8, a 4, a,b 4, negative 4." in card
    assert "Class numbers: 0 negative, 1 a, 2 a,b." in card


@pytest.mark.parametrize(("kind", "pattern"), [("csv", "frames-*.csv"), ("parquet", "frames-*.parquet")])
def test_an_export_of_an_earlier_release_keeps_its_files(tmp_path: Path, kind: str, pattern: str) -> None:
    place = fill(Place(tmp_path / "place"), ("a", "b"))
    out = as_earlier(place, kind, tmp_path)
    before = {path.name for path in out.glob(pattern)}
    assert len(before) == 2
    make_files(place.source, "new.dcm", seed=70)
    place.run(split="60/20/20")
    export(place, kind, out, shard_size=12)
    assert {path.name for path in out.iterdir()} == {*(path.name for path in out.glob(pattern)), *BESIDE}
    assert before < {path.name for path in out.glob(pattern)}
    assert "configs:" not in (out / "README.md").read_text()


BESIDE = {"README.md", "croissant.json", "manifest.jsonl"}


def test_an_earlier_export_for_hugging_face_keeps_names_of_classes(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    place = fill(Place(tmp_path / "place"), ("a", "b"))
    out = as_earlier(place, "huggingface", tmp_path)
    rows = [row for path in out.rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["label"] for row in rows} == {"a", "b", None}
    assert "  - split: val\n    path: data/val-*.parquet" in (out / "README.md").read_text()


def as_earlier(place: Place, kind: str, tmp_path: Path) -> Path:
    """An export that a release before layouts had begun: its manifest says nothing of one."""
    export(place, kind, tmp_path / "new", shard_size=12)
    header = json.loads((tmp_path / "new/manifest.jsonl").read_text().splitlines()[0])
    del header["layout"]
    out = tmp_path / "earlier"
    out.mkdir()
    (out / "manifest.jsonl").write_text(json.dumps(header) + "\n")
    export(place, kind, out, shard_size=12)
    assert set(tree(out)) >= BESIDE
    return out


def test_yaml_has_any_class_as_it_is() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    for name in ('a"b\\c', "x: y # z", "Ä\u2028\x7f\ufeff", "😀", "- a", "\t"):
        assert yaml.safe_load(f"'0': {_quoted(name)}") == {"0": name}
