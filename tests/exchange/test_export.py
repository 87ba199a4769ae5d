"""`dicomprep export`: what others read from it, what it keeps to itself, and that it can be gone on with."""

import csv
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dicomprep.errors import ConfigError, EnvironmentFault, ExportError
from dicomprep.exchange import export as exporting
from dicomprep.exchange.export import Exported, export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.pixels.png import decode_png
from dicomprep.storage.naming import folded_name
from tests.running import Place, cli, dicomprep_command, make_files, set_labels, started, wait_until

FORMATS = ["csv", "parquet", "webdataset", "huggingface", "folder"]
pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def relabel(place: Place, name: str, label: str | None) -> None:
    set_labels(place, {name: label}, annotator="Dr. Who")


def fill(place: Place) -> Place:
    names = [f"Mustermann_Erika/IM{number:03d}.dcm" for number in range(20)]
    make_files(place.source, *names, "cine.dcm:4")
    place.run(split="60/20/20")
    for number in range(12):
        relabel(place, f"Mustermann_Erika/IM{number:03d}", ("a", "=2+3", "../b")[number % 3])
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return fill(Place(tmp_path_factory.mktemp("export")))


@pytest.fixture
def own(tmp_path: Path) -> Place:
    """A place that a test may change."""
    return fill(Place(tmp_path / "place"))


def export(place: Place, kind: str, out: Path, **options: Any) -> Exported:
    return export_frames(Format(kind), out, place.workspace, options=ExportOptions(**options))


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def shards(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()[1:]]


def rows_of(folder: Path, kind: str) -> list[dict[str, object]]:
    """What an export says of its frames, in the words of whoever reads the format."""
    import pyarrow.parquet as pq

    if kind in ("csv", "folder"):
        texts = [path.read_text().splitlines(keepends=True) for path in sorted(folder.glob("*.csv"))]
        return [row for text in texts for row in csv.DictReader(text)]
    if kind in ("parquet", "huggingface"):
        rows = [row for path in sorted(folder.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
        classes = json.loads((folder / "manifest.jsonl").read_text().splitlines()[0])["classes"]
        return [row | {"label": label_of(row["label"], classes)} for row in rows]
    rows = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            rows += [json.load(archive.extractfile(member)) for member in archive if member.name.endswith(".json")]
    return rows


def label_of(said: object, classes: list[str]) -> object:
    """The name of a class that is given by its number."""
    return classes[said] if isinstance(said, int) else said


@pytest.mark.parametrize("kind", FORMATS)
def test_all_frames_are_in_it_once_with_their_facts(place: Place, tmp_path: Path, kind: str) -> None:
    assert export(place, kind, tmp_path / "out", shard_size=7).images == 24
    rows = rows_of(tmp_path / "out", kind)
    assert len({row["key"] for row in rows}) == len(rows) == 24
    of_csv = {None: "", "=2+3": "'=2+3"} if kind in ("csv", "folder") else {}
    expected = Counter(
        (str(split), of_csv.get(label, label), patient)
        for split, label, patient in place.rows("SELECT split, label, patient_key FROM images")
    )
    assert Counter((row["split"], row["label"], row["patient_key"]) for row in rows) == expected
    assert len({row["study_key"] for row in rows}) == len(place.rows("SELECT DISTINCT study_instance_uid FROM files"))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_database_gives_the_same_bytes(place: Place, tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        export(place, kind, tmp_path / name, shard_size=9)
        time.sleep(0.01)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    before = {p: p.stat().st_mtime_ns for s in shards(tmp_path / "one") for p in [tmp_path / "one" / str(s["file"])]}
    assert export(place, kind, tmp_path / "one", shard_size=9) == Exported(24, 0, 0, 0, kept=len(before))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("kind", FORMATS)
def test_the_manifest_has_the_digest_of_every_shard(place: Place, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    export(place, kind, out, shard_size=5)
    for shard in shards(out):
        content = (out / str(shard["file"])).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (shard["bytes"], shard["sha256"])
    keys = [key for shard in shards(out) for key in shard["keys"]]
    assert sorted(keys) == sorted(str(row["key"]) for row in rows_of(out, kind))
    named = {str(shard["file"]) for shard in shards(out)} | {"README.md", "manifest.jsonl", "croissant.json"}
    images = {str(row["file_name"]) for row in rows_of(out, kind)} if kind == "folder" else set()
    lists = {f"{name.partition('/')[0]}/metadata.csv" for name in images} | ({"classes.txt"} if images else set())
    assert set(tree(out)) == named | images | lists


@pytest.mark.parametrize("kind", FORMATS)
def test_it_says_nothing_of_patients_and_places_unless_asked(place: Place, tmp_path: Path, kind: str) -> None:
    uids = place.rows("SELECT sop_instance_uid FROM files") + place.rows("SELECT study_instance_uid FROM files")
    secrets = ["Mustermann", "Erika", "IM00", "cine", "Dr. Who", str(place.base), *uids]
    key = (place.base / "x.db.key").read_text().strip()

    def told(out: Path) -> str:
        held = b"".join(tree(out).values()).decode("latin-1") + " ".join(tree(out))
        held += json.dumps(rows_of(out, kind), default=str)
        assert key not in held
        return held

    export(place, kind, tmp_path / "plain")
    plain = told(tmp_path / "plain")
    assert [secret for secret in secrets if secret in plain] == []
    export(place, kind, tmp_path / "uids", with_uids=True)
    assert all(uid in told(tmp_path / "uids") for uid in uids)
    assert "Mustermann" not in told(tmp_path / "uids")
    export(place, kind, tmp_path / "paths", with_paths=True)
    assert "Mustermann_Erika/IM003" in told(tmp_path / "paths")
    assert not any(uid in told(tmp_path / "paths") for uid in uids)


@pytest.mark.parametrize("kind", FORMATS)
def test_new_images_go_into_new_shards(own: Place, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    export(own, kind, out, shard_size=5)
    before = {str(s["file"]): (out / str(s["file"])).stat() for s in shards(out)}
    contents = tree(out)
    make_files(own.source, *(f"later/{number}.dcm" for number in range(8)), seed=90)
    own.run(split="60/20/20")
    done = export(own, kind, out, shard_size=5)
    assert (done.images, done.changed, done.removed, done.kept) == (32, 0, 0, len(before))
    assert done.added >= 2
    for name, status in before.items():
        assert (out / name).stat().st_mtime_ns == status.st_mtime_ns
        assert (out / name).read_bytes() == contents[name]
    rows = rows_of(out, kind)
    assert len({row["key"] for row in rows}) == len(rows) == 32


@pytest.mark.parametrize("kind", FORMATS)
def test_another_label_changes_the_shard_it_is_in(own: Place, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    export(own, kind, out, shard_size=5)
    count = len(shards(out))
    relabel(own, "Mustermann_Erika/IM000", "zz")
    assert export(own, kind, out, shard_size=5) == Exported(24, 0, 1, 0, kept=count - 1)
    assert [row["label"] for row in rows_of(out, kind)].count("zz") == 1
    if kind == "folder":
        assert sum("/zz/" in name for name in tree(out)) == 1
        assert sum(name.endswith(".png") for name in tree(out)) == 24


def test_frames_that_are_chosen_no_more_leave(own: Place, tmp_path: Path) -> None:
    chosen = {"label": ("zz", "a"), "shard_size": 1}
    for kind in ("webdataset", "folder"):
        out = tmp_path / kind
        count = export(own, kind, out, **chosen).added
        relabel(own, "Mustermann_Erika/IM000", None)
        assert export(own, kind, out, **chosen) == Exported(count - 1, 0, 0, 1, kept=count - 1)
        assert len(rows_of(out, kind)) == count - 1
        assert sum(name.endswith((".png", ".tar")) for name in tree(out)) == count - 1
        relabel(own, "Mustermann_Erika/IM000", "a")


@pytest.mark.parametrize("kind", ["webdataset", "huggingface", "folder"])
def test_a_missing_image_stops_it_and_it_is_gone_on_with(own: Place, tmp_path: Path, kind: str) -> None:
    export(own, kind, tmp_path / "undisturbed", shard_size=3)
    victim = own.output / sorted(own.images())[7]
    content = victim.read_bytes()
    victim.write_bytes(content[:-1] + b"x")
    with pytest.raises(ExportError, match=rf"{victim.name} is not what was recorded.*verify --repair"):
        export(own, kind, tmp_path / "out", shard_size=3)
    victim.write_bytes(content)
    export(own, kind, tmp_path / "out", shard_size=3)
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")


@pytest.mark.parametrize("kind", ["webdataset", "folder"])
def test_a_killed_export_ends_as_an_undisturbed_one(place: Place, tmp_path: Path, kind: str) -> None:
    export(place, kind, tmp_path / "undisturbed", shard_size=1)
    out = tmp_path / "out"
    command = dicomprep_command("export", kind, out, "--db", place.db, "--shard-size", 1)
    for lines in (1, 6, 15):
        with started(command, place.base) as run:
            manifest = out / "manifest.jsonl"
            wait_until(lambda file=manifest, n=lines: file.exists() and file.read_bytes().count(b"\n") > n, 20)
            run.signal(signal.SIGKILL)
        with manifest.open("ab") as file:
            file.write(b'{"file": "torn')
    export(place, kind, out, shard_size=1)
    assert tree(out) == tree(tmp_path / "undisturbed")


@pytest.mark.parametrize("kind", ["csv", "webdataset", "folder"])
def test_an_export_out_of_disk_at_any_moment_is_gone_on_with(
    place: Place, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fsync and each rename fails in turn, as on a full disk."""
    export(place, kind, tmp_path / "whole", shard_size=10)
    for call in ("fsync", "replace"):
        for moment in count():
            out = tmp_path / f"{call} {moment}"
            with monkeypatch.context() as patch:
                left = fail_at(patch, call, moment)
                try:
                    export(place, kind, out, shard_size=10)
                except EnvironmentFault as fault:
                    assert "No space left" in str(fault)
            if left():
                break
            export(place, kind, out, shard_size=10)
            assert tree(out) == tree(tmp_path / "whole"), (call, moment)
        assert moment > 3


def fail_at(patch: pytest.MonkeyPatch, call: str, moment: int) -> Callable[[], bool]:
    """Let the call of this number fail; tells whether there were fewer."""
    numbers = count()
    owner: Any = os if call == "fsync" else Path
    real, reached = getattr(owner, call), []

    def act(*arguments: Any) -> Any:
        if next(numbers) == moment:
            reached.append(True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    patch.setattr(owner, call, act)
    return lambda: not reached


def test_what_an_export_of_an_earlier_release_left_is_gone_on_with(place: Place, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.manifest.jsonl.tmp").write_text("{")
    export(place, "csv", tmp_path / "out")


def test_fresh_pseudonyms_are_of_one_export_alone(place: Place, tmp_path: Path) -> None:
    def keys(name: str, **options: Any) -> dict[str, set[str]]:
        export(place, "csv", tmp_path / name, **options)
        rows = [
            row for path in (tmp_path / name).glob("*.csv") for row in csv.DictReader(path.read_text().splitlines())
        ]
        return {column: {row[column] for row in rows} for column in ("key", "patient_key", "study_key", "series_key")}

    usual, fresh, other = keys("usual"), keys("one", fresh_pseudonyms=True), keys("two", fresh_pseudonyms=True)
    for column in usual:
        assert len(usual[column]) == len(fresh[column]) == len(other[column])
        assert not (usual[column] & fresh[column] or fresh[column] & other[column] or usual[column] & other[column])
    text = b"".join(tree(tmp_path / "one").values()).decode()
    assert not [key for values in usual.values() for key in values if key in text]
    check = json.loads((tmp_path / "usual/manifest.jsonl").read_text().splitlines()[0])["data_set"]
    assert check not in text
    again = export(place, "csv", tmp_path / "one", fresh_pseudonyms=True)
    assert (again.added, again.changed, again.removed) == (0, 0, 0)


@pytest.mark.parametrize("option", ["with_uids", "with_paths"])
def test_fresh_pseudonyms_beside_what_links_them_are_a_mistake(option: str) -> None:
    with pytest.raises(ConfigError, match="would link this export"):
        ExportOptions(fresh_pseudonyms=True, **{option: True})


def test_a_folder_of_an_export_that_broke_off_holds_no_image_twice(own: Place, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stray = out / "train" / "a" / "0123.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"x")
    (out / ".dicomprep-tmp").mkdir()
    export(own, "folder", tmp_path / "whole")
    head = (tmp_path / "whole" / "manifest.jsonl").read_bytes().splitlines(keepends=True)[0]
    (out / "manifest.jsonl").write_bytes(head)
    export(own, "folder", out)
    assert tree(out) == tree(tmp_path / "whole")


OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def read_with(code: str, cwd: Path) -> list[object]:
    environment = os.environ | OFFLINE | {"HF_HOME": str(cwd / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def facts(place: Place, split: str) -> list[list[object]]:
    """(label, sum of the pixels) of each image of a split."""
    rows = place.rows("SELECT label, thumbnail_path FROM images WHERE split = ?", split)
    return sorted([label or "", int(decode_png(place.images()[path]).sum())] for label, path in rows)


def test_webdataset_reads_it(place: Place, tmp_path: Path) -> None:
    pytest.importorskip("webdataset", reason="webdataset is not installed")
    export(place, "webdataset", tmp_path / "out", shard_size=4)
    last = max(int(str(s["file"])[6:12]) for s in shards(tmp_path / "out") if s["split"] == "train")
    code = (
        "import json, webdataset as w;"
        f"data = w.WebDataset('out/train-{{000000..{last:06d}}}.tar', shardshuffle=False).decode('rgb8');"
        "print(json.dumps([[r['json']['label'] or '', int(r['png'][..., 0].sum()), r.get('cls')] for r in data]))"
    )
    loaded = read_with(code, tmp_path)
    assert sorted(row[:2] for row in loaded) == facts(place, "train")
    classes = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[0])["classes"]
    assert all(number is None if not label else classes[int(number)] == label for label, _, number in loaded)


def test_a_class_keeps_its_number_when_others_come(own: Place, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(own, "webdataset", out)
    relabel(own, "Mustermann_Erika/IM019", "0 first by name")
    export(own, "webdataset", out)
    header = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    assert header["classes"] == ["../b", "=2+3", "a", "0 first by name"]


def test_a_folder_has_one_for_each_split_and_class(place: Place, tmp_path: Path) -> None:
    export(place, "folder", tmp_path / "out")
    images = [Path(name) for name in tree(tmp_path / "out") if name.endswith(".png")]
    folders = {None: "unlabelled", "a": "a", "=2+3": "%3D2+3", "../b": "%2E%2E%2Fb"}
    expected = Counter((split, folders[label]) for split, label in place.rows("SELECT split, label FROM images"))
    assert Counter(image.parts[:2] for image in images) == expected
    assert {(tmp_path / "out" / image).read_bytes() for image in images} == set(place.images().values())


def test_classes_have_folders_that_every_disk_takes_and_tells_apart(own: Place, tmp_path: Path) -> None:
    labels = ["nul", "Benign", "benign", "B:9 ", "Ångström", "\u212bngstr\u00f6m"]
    for name, label in zip(own.rows("SELECT filename FROM images ORDER BY id"), labels, strict=False):
        relabel(own, name, label)
    export(own, "folder", tmp_path / "out")
    folders = {Path(name).parts[1] for name in tree(tmp_path / "out") if name.endswith(".png")}
    assert folders >= {"%6Eul", "Benign", "B%3A9%20", "Ångström"}
    assert len({folded_name(folder) for folder in folders}) == len(folders)
    assert sum(folder.lower().startswith("benign") for folder in folders) == 2
    assert sum(folder.endswith("ngström") for folder in folders) == 1


def test_it_is_filtered(place: Place, tmp_path: Path) -> None:
    options = ["--split", "train", "--split", "val", "--label", "a", "--where", "frame_number = 0 and width > 3"]
    done = cli(tmp_path, "export", "csv", "out", "--db", place.db, *options)
    assert (done.returncode, "updated, 0 removed" in done.stdout) == (0, True)
    expected = place.rows("SELECT count(*) FROM images WHERE label = 'a' AND split != 'test'")
    assert len(rows_of(tmp_path / "out", "csv")) == expected[0]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "split train, val; label a; `frame_number = 0 and width > 3`" in card


def test_the_card_tells_what_is_in_it(place: Place, tmp_path: Path) -> None:
    export(place, "huggingface", tmp_path / "out", license="CC-BY-4.0")
    card = (tmp_path / "out" / "README.md").read_text()
    for split in ("train", "val", "test"):
        images, patients = place.rows(
            "SELECT count(*), count(DISTINCT patient_key) FROM images WHERE split = ?", split
        )[0]
        assert (f"| {split} | {images} | {patients} |" in card) == (images > 0)
    for said in ('license: "CC-BY-4.0"', "Labels: none 12, ", "size 16", "not for diagnosis"):
        assert said in card


@pytest.mark.parametrize(
    ("kind", "out", "options", "reason"),
    [
        ("csv", "new", {"where": "width = 1; DROP TABLE frames"}, "this cannot be read: ; DROP"),
        ("csv", "new", {"split": ("validation",)}, "choose from train, val, test"),
        ("csv", "new", {"shard_size": 0}, "at least 1"),
        ("csv", "new", {"license": "a\nb"}, "single line"),
        ("csv", "new.csv", {}, "give a folder"),
        ("csv", "others", {}, "contains other files"),
        ("csv", "known", {"with_uids": True}, "contains an export with another --with-uids"),
        ("parquet", "known", {}, "contains an export in another format, csv"),
    ],
)
def test_a_mistake_is_named_before_anything_is_written(
    place: Place, tmp_path: Path, kind: str, out: str, options: dict[str, Any], reason: str
) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "thesis.txt").write_text("x")
    export(place, "csv", tmp_path / "known")
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match=reason):
        export(place, kind, tmp_path / out, **options)
    assert tree(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("out", ["new.csv", "file"])
def test_a_file_in_place_of_a_folder_is_named_before_anything_is_read(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.setattr(exporting, "read_rows", None)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file: give a folder"):
        export(place, "csv", tmp_path / out)


def test_a_mistake_on_the_command_line_ends_with_2(place: Place, tmp_path: Path) -> None:
    done = cli(tmp_path, "export", "csv", "new", "--db", place.db, "--where", "path LIKE ")
    assert (done.returncode, "a text in quotes is expected at the end" in done.stderr) == (2, True)


def test_another_data_set_is_not_mixed_in(place: Place, own: Place, tmp_path: Path) -> None:
    export(place, "csv", tmp_path / "out")
    with pytest.raises(ConfigError, match="an export of another data set"):
        export(own, "csv", tmp_path / "out")
    (own.base / "x.db.key").unlink()
    with pytest.raises(ConfigError, match="key file"):
        export(own, "csv", tmp_path / "new")


def test_two_exports_at_once_to_one_folder_do_not_mix(place: Place, tmp_path: Path) -> None:
    from filelock import FileLock

    scratch = tmp_path / "out" / ".dicomprep-tmp"
    scratch.mkdir(parents=True)
    with FileLock(scratch / "lock"), pytest.raises(EnvironmentFault, match="Another export is writing"):
        export(place, "csv", tmp_path / "out")


def test_what_is_missing_is_named_with_its_extra(place: Place, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; from dicomprep.cli.app import main;"
        f"main(['export', 'parquet', 'out', '--db', {str(place.db)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "pip install 'dicomprep[parquet]'" in done.stderr) == (2, True)
