"""`dicomprep export nifti` and `zarr`: what is written, what is said of it, and what remains when it is killed."""

import csv
import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zarr

import dicomprep
from dicomprep import ConfigError
from dicomprep.database.writes.releases import hold_back
from dicomprep.exchange.labels import import_labels
from dicomprep.exchange.options import ExportOptions, Format, VolumeOptions
from dicomprep.volumetric.export.run import ExportedVolumes, export_volumes
from dicomprep.volumetric.nifti import nifti_affine
from tests.running import Place, cli, dicomprep_command, started, wait_until
from tests.volumes.scenes import even, make_enhanced, make_stack, uid_of

STRAIGHT = even(4, (0, 0, 3))
PATIENTS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A series of each of some patients, some labeled; one of two echoes, a gapped one, a radiograph."""
    place = Place(tmp_path_factory.mktemp("volumes") / "place")
    for number in range(PATIENTS):
        make_stack(
            place.source,
            f"Müller {number}",
            STRAIGHT + number,
            patient_id=f"P{number}",
            StudyInstanceUID=f"1.9.{number}",
        )
    echoes = [{"EchoTime": (4.6, 9.2)[k % 2]} for k in range(8)]
    mr = {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "patient_id": "P0"}
    make_stack(place.source, "echoes", np.repeat(STRAIGHT, 2, axis=0), each=echoes, **mr)
    make_stack(place.source, "gapped", np.delete(even(6, (0, 0, 3)), 3, axis=0), patient_id="P1")
    make_stack(place.source, "radiograph", STRAIGHT[:1], patient_id="P2", Modality="CR", ImagePositionPatient=None)
    make_enhanced(place.source, "enhanced", STRAIGHT, (1, 0, 0, 0, 1, 0))
    place.run(split="60/20/20")
    rows = [f"{uid_of(f'Müller {n}')},{'ill' if n % 2 else 'well'}\n" for n in range(PATIENTS - 2)]
    (place.base / "l.csv").write_text("".join(["series_id,label\n", *rows]))
    import_labels(place.workspace, place.base / "l.csv", annotator="a")
    return place


@pytest.fixture(scope="module")
def exported(made: Place) -> Path:
    """Of all, as NIfTI."""
    export(made, made.base / "nii")
    return made.base / "nii"


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy whose sources are those of all."""
    copy = Place(tmp_path / "place")
    shutil.copytree(made.base, copy.base, ignore=shutil.ignore_patterns("nii", "in"))
    return copy


def export(
    place: Place, out: Path, kind: Format = Format.NIFTI, *, resample: bool = False, **options: Any
) -> ExportedVolumes:
    volumes = VolumeOptions(resample=resample, workers=2)
    return export_volumes(kind, out, place.workspace, options=ExportOptions(**options), volumes=volumes)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def keys(place: Place) -> dict[str, str]:
    """The name of the folder of each series, by its key."""
    return {key: Path(path).parent.name for key, path in place.rows("SELECT series_key, path FROM files")}


def contents(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_values_and_affine_are_those_of_the_volumes(made: Place, exported: Path) -> None:
    rows = table(exported / "volumes.csv")
    assert len(rows) == PATIENTS + 3
    for row in rows:
        image = nibabel.load(exported / row["file"])
        part = row["part"] or None
        volume = dicomprep.volume(row["key"], db=made.db, values="auto", part=part)
        assert (np.asarray(image.dataobj) == volume.array.transpose(2, 1, 0)).all()
        assert image.affine == pytest.approx(nifti_affine(volume), abs=1e-4)
        assert (row["unit"], row["dtype"]) == (volume.unit or "", volume.array.dtype.name)
        assert [int(row[name]) for name in ("slices", "rows", "columns")] == list(volume.array.shape)
    named = {keys(made)[row["key"]]: row["part"] for row in rows}
    assert named["echoes"] in ("echo1", "echo2")
    assert {row["file"].partition("_")[2] for row in rows if row["part"]} == {"echo1_0000.nii.gz", "echo2_0000.nii.gz"}


def test_what_is_no_volume_is_named_with_the_reason(made: Place, exported: Path) -> None:
    refused = {keys(made)[row["key"]]: row["reason"] for row in table(exported / "refused.csv")}
    assert set(refused) == {"gapped", "radiograph"}
    assert re.search(r"slice spacing is 6.00 mm, elsewhere 3.00 mm between slice 3 and slice 4", refused["gapped"])
    assert "no affine" in refused["radiograph"]


def test_nothing_says_whose_it_is(made: Place, exported: Path) -> None:
    words = [b"ller ", "Müller".encode(), b"echoes/", b"gapped", b"1.9.", b"^P1", str(made.base).encode()]
    words += [uid_of(f"Müller {number}").encode() for number in range(PATIENTS)]
    for name, content in contents(exported).items():
        plain = gzip.decompress(content) if name.endswith(".gz") else content
        assert [word for word in words if word in plain or word in name.encode()] == []
    assert oct((exported / "volumes.csv").stat().st_mode)[-3:] == "600"
    assert {oct(path.stat().st_mode)[-3:] for path in exported.glob("images*/*.nii.gz")} == {"600"}


def test_lists_have_splits_and_labels(made: Place, exported: Path) -> None:
    split_of = dict(made.rows("SELECT DISTINCT t.series_key, i.split FROM images i JOIN tags t ON t.id = i.id"))
    data = json.loads((exported / "datalist.json").read_text())
    assert data["labels"] == {"0": "ill", "1": "well"}
    seen = 0
    for name, split in (("training", "train"), ("validation", "val"), ("test", "test")):
        for entry in data[name]:
            seen += 1
            assert split_of[entry["key"]] == split
            assert (exported / entry["image"]).is_file()
            folder = keys(made)[entry["key"]]
            number = int(folder.rpartition(" ")[2]) if folder.startswith("M") else PATIENTS
            assert entry["label"] == (-1 if number >= PATIENTS - 2 else 0 if number % 2 else 1)
    assert seen == PATIENTS + 3
    nnunet, (split,) = (json.loads((exported / name).read_text()) for name in ("dataset.json", "splits_final.json"))
    training = {path.name.removesuffix("_0000.nii.gz") for path in (exported / "imagesTr").glob("*.gz")}
    assert nnunet["numTraining"] == len(training) == len(split["train"]) + len(split["val"])
    assert set(split["train"]) | set(split["val"]) == training
    assert nnunet["labels"] == {"background": 0}
    only_ct = exported.parent / "ct"
    export(made, only_ct, where="modality = 'CT'", label=("ill",))
    assert json.loads((only_ct / "dataset.json").read_text())["channel_names"] == {"0": "CT"}
    assert {row["label"] for row in table(only_ct / "volumes.csv")} == {"ill"}


def test_datasets_reads_it(exported: Path, tmp_path: Path) -> None:
    import datasets

    data = datasets.load_dataset(
        "niftifolder", data_dir=str(exported / "imagesTr"), split="train", cache_dir=str(tmp_path / "cache")
    )
    rows = {row["file"].partition("/")[2]: row for row in table(exported / "volumes.csv")}
    assert len(data) == len(list((exported / "imagesTr").glob("*.gz")))
    for entry in data:
        row = next(row for row in rows.values() if (row["key"], row["part"]) == (entry["key"], entry["part"]))
        assert entry["nifti"].shape == tuple(int(row[name]) for name in ("columns", "rows", "slices"))
        assert (entry["split"], entry["label_name"]) == (row["split"], row["label"])


def test_what_has_not_changed_is_not_written_again(place: Place, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "nii"
    shutil.copytree(exported, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.gz")}
    done = export(place, out)
    assert (done.added, done.changed, done.removed, done.kept) == (0, 0, 0, PATIENTS + 3)
    assert contents(out) == contents(exported)
    place.execute("UPDATE groups SET split = CASE split WHEN 'test' THEN 'train' ELSE 'test' END")
    gone = next(iter(sorted(before)))
    gone.write_bytes(gone.read_bytes()[:-9])
    place.execute("UPDATE files SET digest = zeroblob(16) WHERE series_instance_uid = ?", uid_of("enhanced"))
    done = export(place, out)
    assert (done.volumes, done.series, done.kept) == (PATIENTS + 3, PATIENTS + 2, 0)
    assert {path.parent.name for path in out.rglob("*.gz")} == {"imagesTr", "imagesTs"}
    assert sorted(row["file"] for row in table(out / "volumes.csv")) == sorted(
        path.relative_to(out).as_posix() for path in out.rglob("*.gz")
    )
    with pytest.raises(ConfigError, match="export with another --where"):
        export(place, out, where="modality = 'CT'")
    with pytest.raises(ConfigError, match="another format, nifti"):
        export(place, out, Format.ZARR)
    assert cli(place.base, "export", "csv", out, "--db", "x.db").returncode == 2


def test_a_damaged_volume_alone_is_written_again(place: Place, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "nii"
    shutil.copytree(exported, out)
    damaged = sorted(out.rglob("*.gz"))[3]
    damaged.write_bytes(b"")
    done = export(place, out)
    assert (done.kept, done.changed) == (PATIENTS + 2, 1)
    assert contents(out) == contents(exported)


def test_series_that_are_gone_or_held_are_removed(place: Place, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "nii"
    shutil.copytree(exported, out)
    one = "(SELECT id FROM files WHERE series_instance_uid = ?)"
    place.execute(
        f"UPDATE frames SET burned_in = 'high' WHERE id = (SELECT min(id) FROM frames WHERE file_id IN {one})",
        uid_of("Müller 3"),
    )
    with place.workspace.writing() as store:
        hold_back(store, on=True)
    place.execute(f"DELETE FROM frames WHERE file_id IN {one}", uid_of("Müller 4"))
    place.execute("DELETE FROM files WHERE series_instance_uid = ?", uid_of("Müller 4"))
    done = export(place, out)
    assert (done.removed, done.volumes) == (2, PATIENTS + 1)
    names = {keys(place).get(row["key"]) for row in table(out / "volumes.csv")}
    assert not names & {"Müller 3", None}
    assert len(list(out.rglob("*.gz"))) == PATIENTS + 1
    assert any("burned-in text" in row["reason"] for row in table(out / "refused.csv"))


def test_a_group_in_several_splits_is_refused(place: Place, tmp_path: Path) -> None:
    ids = place.rows("SELECT id FROM groups WHERE split = 'test' LIMIT 1")
    place.execute(
        "UPDATE files SET group_id = ? WHERE id = (SELECT min(id) FROM files WHERE series_instance_uid = ?)",
        ids[0],
        uid_of("Müller 5"),
    )
    others = place.rows(
        "SELECT split FROM groups g JOIN files f ON f.group_id = g.id WHERE f.series_instance_uid = ?",
        uid_of("Müller 5"),
    )
    place.execute("UPDATE groups SET split = 'train' WHERE id NOT IN (?)", ids[0])
    assert len(others) == 4
    export(place, tmp_path / "nii")
    assert any(row["reason"] == "its images are in several splits" for row in table(tmp_path / "nii" / "refused.csv"))


def test_killed_at_any_moment_it_goes_on(place: Place, exported: Path, pytestconfig: pytest.Config) -> None:
    out = place.base / "nii"
    command = dicomprep_command("export", "nifti", out, "--db", "x.db", "--workers", "2")

    def finished() -> int:
        manifest = out / "manifest.jsonl"
        return manifest.read_bytes().count(b"\n") - 1 if manifest.exists() else 0

    for most in range(PATIENTS + 2) if pytestconfig.getoption("thorough") else (PATIENTS // 2,):
        with started(command, place.base) as run:
            assert wait_until(lambda most=most: finished() >= most or run.process.poll() is not None, 60)
        assert run.none_left(20)
        for path in out.rglob("*.nii.gz"):
            if path.parent.parent == out and path.parent.name.startswith("images"):
                np.asarray(nibabel.load(path).dataobj)
    assert cli(place.base, "export", "nifti", out, "--db", "x.db").returncode == 0
    assert contents(out) == contents(exported)


def test_zarr_has_a_group_for_each_volume(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "zarr"
    done = export(place, out, Format.ZARR, resample=True)
    assert (done.volumes, len(done.refused)) == (PATIENTS + 4, 1)
    listed = json.loads((out / "datalist.json").read_text())
    images = {entry["image"] for name in ("training", "validation", "test") for entry in listed[name]}
    for row in table(out / "volumes.csv"):
        group = zarr.open_group(out / row["file"], mode="r")
        volume = dicomprep.volume(row["key"], db=place.db, values="auto", part=row["part"] or None, resample=True)
        assert (group["0"][:] == volume.array).all()
        assert group.metadata.zarr_format == 3
        assert np.array(group.attrs["affine_lps"]) == pytest.approx(volume.affine)
        (scales,) = group.attrs["ome"]["multiscales"]
        assert scales["datasets"][0]["coordinateTransformations"][0]["scale"][1:] == list(volume.spacing_mm[1:])
        assert f"{row['file']}/0" in images
    assert any(row["notes"].startswith("interpolated linearly") for row in table(out / "volumes.csv"))
    before = contents(out)
    assert export(place, out, Format.ZARR, resample=True).kept == PATIENTS + 4
    (chunk, *_) = (path for path in sorted(out.rglob("c/*/*/*")) if path.is_file())
    chunk.unlink()
    assert export(place, out, Format.ZARR, resample=True).changed == 1
    assert contents(out) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["csv", "t", "--resample"], "--resample is for the formats nifti and zarr"),
        (["nifti", "t", "--version", "v1"], "--version: volumes are read from the sources"),
        (["zarr", "t", "--shard-size", "7"], "--shard-size: volumes are not"),
        (["nifti", "t", "--values", "gray"], "--values gray: choose"),
        (["nifti", "t", "--workers", "0"], "--workers 0"),
        (["nifti", "in"], "contains other files"),
    ],
)
def test_what_does_not_fit_is_refused(made: Place, options: list[str], said: str) -> None:
    done = cli(made.base, "export", *options, "--db", "x.db")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not (made.base / "t").exists()


def test_pseudonyms_of_one_export_alone(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "nii"
    export(place, out, fresh_pseudonyms=True, where="modality = 'MR'")
    known = set(keys(place)) | set(place.rows("SELECT key FROM groups"))
    text = " ".join([*contents(out), *(content.decode("latin-1") for content in contents(out).values())])
    assert not [key for key in known if key and key in text]
    assert export(place, out, fresh_pseudonyms=True, where="modality = 'MR'").kept == 2
    shown = export(place, tmp_path / "uids", with_uids=True, with_paths=True)
    assert shown.volumes == PATIENTS + 3
    assert {row["series_instance_uid"] for row in table(tmp_path / "uids" / "volumes.csv")} >= {uid_of("echoes")}
    assert any("gapped/slice" in row["reason"] for row in table(tmp_path / "uids" / "refused.csv"))


def test_any_database_gives_the_same(any_place: Place, tmp_path: Path) -> None:
    make_stack(any_place.source, "straight", STRAIGHT, patient_id="P1")
    make_stack(any_place.source, "gapped", np.delete(even(6, (0, 0, 3)), 3, axis=0), patient_id="P1")
    any_place.run()
    done = export(any_place, tmp_path / "nii")
    assert (done.volumes, len(done.refused)) == (1, 1)
    assert export(any_place, tmp_path / "nii").kept == 1


def test_a_volume_beyond_the_memory_is_refused(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("thorough"):
        pytest.skip("takes half a minute: --thorough")
    place = Place(tmp_path)
    noise = [{"pixels": np.random.default_rng(n).integers(0, 999, (512, 1024)).astype(np.int16)} for n in range(200)]
    make_stack(place.source, "large", even(200, (0, 0, 2)), each=noise)
    place.run()
    command = ("export", "nifti", "nii", "--db", "x.db")
    assert "1 × it needs more than --max-memory 64 MB" in cli(place.base, *command, "--max-memory", 64).stdout
    assert "Wrote 1 new" in cli(place.base, *command).stdout


@pytest.mark.filterwarnings("ignore")
def test_monai_reads_it(exported: Path) -> None:
    data = pytest.importorskip("monai.data", reason="monai is not installed: group peers")
    transforms = pytest.importorskip("monai.transforms")
    for name in ("training", "validation", "test"):
        for item in data.load_decathlon_datalist(str(exported / "datalist.json"), False, name):
            loaded = transforms.LoadImaged("image")(item)
            image = nibabel.load(item["image"])
            assert np.array_equal(np.asarray(loaded["image"]), np.asarray(image.dataobj, np.float32))
            assert np.asarray(loaded["image"].affine) == pytest.approx(image.affine)


@pytest.mark.filterwarnings("ignore")
def test_nnunet_reads_it(exported: Path) -> None:
    registry = pytest.importorskip("nnunetv2.imageio.reader_writer_registry", reason="nnunetv2 is not installed")
    utilities = pytest.importorskip("nnunetv2.utilities.utils")
    about = json.loads((exported / "dataset.json").read_text())
    cases = utilities.get_filenames_of_train_images_and_targets(str(exported), about)
    (split,) = json.loads((exported / "splits_final.json").read_text())
    assert len(cases) == about["numTraining"]
    assert set(cases) == {*split["train"], *split["val"]}
    for case in cases.values():
        reader = registry.determine_reader_writer_from_dataset_json(about, case["images"][0], verbose=False)
        values, properties = reader().read_images(case["images"])
        image = nibabel.load(case["images"][0])
        assert np.array_equal(values[0], np.asarray(image.dataobj, np.float32).transpose(2, 1, 0))
        assert properties["spacing"] == pytest.approx(image.header.get_zooms()[::-1])


@pytest.mark.filterwarnings("ignore")
def test_torchio_reads_it(exported: Path) -> None:
    torchio = pytest.importorskip("torchio", reason="torchio is not installed: group peers")
    for path in exported.rglob("*.nii.gz"):
        read, image = torchio.ScalarImage(path), nibabel.load(path)
        assert np.array_equal(read.data[0].numpy(), np.asarray(image.dataobj))
        assert read.affine == pytest.approx(image.affine, abs=1e-4)
