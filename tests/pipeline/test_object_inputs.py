"""Runs over buckets: what a folder of the same files gives, whatever the server does meanwhile."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import zstandard
from pydicom.uid import JPEG2000Lossless

from dicomprep.checks import viewer_worker
from dicomprep.checks.inspect import inspect_file
from dicomprep.checks.repair import repair
from dicomprep.checks.verify import verify
from dicomprep.checks.viewer import ViewFrame
from dicomprep.cli.samples import make_samples
from dicomprep.config import ImageOptions
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.pipeline.rerun import due_runs
from dicomprep.pipeline.result import ProgressListener
from dicomprep.pipeline.stages.listing import folder_order
from tests.building import make_dicom
from tests.pages import serving
from tests.running import Place, cli, make_files
from tests.services.faulty_proxy import Proxy, proxying
from tests.services.gateway import ACCESS_KEY, SECRET_KEY, Gateway

NAMES = ("Studie 1/Bild A.dcm", "Studie 1/Bild B.dcm:3", "頭部 CT/ä.dcm", "Studie 1/Bild A")
ROWS = """SELECT path, status, error_code, study_id, name, f.thumbnail_path, f.digest, g.split FROM files
LEFT JOIN frames f ON files.id = f.file_id LEFT JOIN groups g ON files.group_id = g.id"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "Daten Ä")
    make_files(place.source, *NAMES)
    (place.source / "broken.dcm").write_bytes(b"no image")
    (place.source / "notes.txt").write_bytes(b"nothing")
    return place


@pytest.fixture
def proxy(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxying(gateway.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


def in_bucket(gateway: Gateway, place: Place) -> str:
    """The address of a bucket that holds the files of a place, under the name of their folder."""
    bucket = gateway.new_bucket()
    gateway.fill(bucket, place.source, f"{place.source.name}/")
    return f"s3://{bucket}/{place.source.name}"


def rows(place: Place) -> list[str]:
    return sorted(map(str, place.rows(ROWS)))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "samp_ds"
    make_samples(folder)
    return folder


def test_the_sample_tree_gives_the_same_from_a_bucket(samples: Path, tmp_path: Path, gateway: Gateway) -> None:
    bucket = gateway.new_bucket()
    gateway.fill(bucket, samples, "samp_ds/")
    local, remote = Place(tmp_path / "local"), Place(tmp_path / "remote")
    local.run(dicom_dir=samples)
    remote.base.mkdir()
    (remote.base / "x.db.key").write_bytes((local.base / "x.db.key").read_bytes())
    result = remote.run(dicom_dir=f"s3://{bucket}/samp_ds")
    assert remote.images() == local.images()
    assert rows(remote) == rows(local)
    assert result.other_files == 0


def test_what_is_unchanged_is_not_fetched_again(place: Place, gateway: Gateway, proxy: Proxy) -> None:
    url = in_bucket(gateway, place)
    first = place.run(dicom_dir=url)
    assert (first.found, first.other_files) == (5, 1)
    proxy.requests.clear()
    again = place.run(dicom_dir=url)
    assert (again.unchanged, again.processed) == (5, 0)
    assert all("list-type" in request or request.endswith("notes.txt") for request in proxy.requests)
    gateway.put(url.split("/")[2], "in/Studie 1/Bild A.dcm", (place.source / "頭部 CT/ä.dcm").read_bytes())
    assert place.run(dicom_dir=url).processed == 1


@pytest.fixture(scope="module")
def mammograms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEG 2000 of more than 2 MB: whole, cut in its codestream, cut behind it, with a hole, with another order."""
    folder = tmp_path_factory.mktemp("mammograms") / "mg"
    noise = np.random.default_rng(0).normal(0, 20, (2560, 2048))
    pixels = np.clip(noise + np.linspace(900, 2500, 2048), 0, 4095).astype(np.uint16)
    stream = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", bitspersample=12, reversible=True, level=0)
    other = imagecodecs.htj2k_encode(pixels, reversible=True)
    made: dict[str, Any] = {"Modality": "MG", "transfer_syntax": JPEG2000Lossless, "BitsStored": 12, "HighBit": 11}
    whole = make_dicom(folder / "whole.dcm", pixels, codestreams=[stream], WindowCenter=2000, WindowWidth=3000, **made)
    make_dicom(folder / "measured.dcm", pixels, codestreams=[stream], **made, patient_id="P2")
    make_dicom(folder / "other.dcm", pixels, codestreams=[other], **made, patient_id="P3")
    content = whole.read_bytes()
    (folder / "cut.dcm").write_bytes(content[: len(content) * 2 // 3])
    (folder / "open.dcm").write_bytes(content[:-12])
    hole = len(content) // 25
    (folder / "hole.dcm").write_bytes(content[:hole] + bytes(400) + content[hole + 400 :])
    return folder


def test_of_large_jpeg_2000_a_part_is_fetched_and_everything_comes_out_as_from_a_folder(
    mammograms: Path, tmp_path: Path, gateway: Gateway, proxy: Proxy
) -> None:
    bucket = gateway.new_bucket()
    gateway.fill(bucket, mammograms, "mg/")
    gateway.put(bucket, "mg/copy/copy.dcm", (mammograms / "whole.dcm").read_bytes())
    (mammograms / "copy").mkdir()
    (mammograms / "copy/copy.dcm").write_bytes((mammograms / "whole.dcm").read_bytes())
    local, remote = Place(tmp_path / "local"), Place(tmp_path / "remote")
    local.run(dicom_dir=mammograms, size=224)
    remote.base.mkdir()
    (remote.base / "x.db.key").write_bytes((local.base / "x.db.key").read_bytes())
    remote.run(dicom_dir=f"s3://{bucket}/mg", size=224)
    assert remote.images() == local.images()
    shown = ROWS.replace("path, status", "path, error_detail, f.likeness, duplicate_of IS NULL, status")
    compared = [sorted(map(str, place.rows(shown))) for place in (local, remote)]
    assert [row.replace(str(mammograms), f"s3://{bucket}/mg") for row in compared[0]] == compared[1]
    assert sum(", 0, 'done'" in row for row in compared[1]) == 2  # duplicates: another header, a copy
    assert sum("'truncated'" in row for row in compared[1]) == 2
    for name in ("whole.dcm", "measured.dcm"):
        asked = [line.rpartition("=")[2].split("-") for line in proxy.ranges if f"/mg/{name} " in line]
        size = (mammograms / name).stat().st_size
        assert len(asked) <= 3
        assert sum(int(last) - int(first) + 1 for first, last in asked) < size / 3
    assert remote.run(dicom_dir=f"s3://{bucket}/mg", size=224).processed == 0


def packed(folder: Path, name: str) -> bytes:
    """An archive of a folder."""
    held = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return held.getvalue()
    with tarfile.open(fileobj=held, mode="w:gz" if name.endswith("gz") else "w") as tar:
        for path in sorted((path.relative_to(folder).as_posix() for path in folder.rglob("*.*")), key=folder_order):
            tar.add(folder / path, path)
        tar.add(folder / NAMES[-1], NAMES[-1])
    return zstandard.compress(held.getvalue()) if name.endswith("zst") else held.getvalue()


@pytest.mark.parametrize("name", ["in.zip", "in.tar.zst"])
def test_an_archive_in_a_bucket_is_as_its_folder(place: Place, gateway: Gateway, proxy: Proxy, name: str) -> None:
    place.run()
    bucket = gateway.new_bucket()
    gateway.put(bucket, f"d/{name}", packed(place.source, name))
    other = Place(place.base / "other")
    other.base.mkdir()
    (other.base / "x.db.key").write_bytes((place.base / "x.db.key").read_bytes())
    result = other.run(dicom_dir=f"s3://{bucket}/d/{name}")
    assert (result.found, result.other_files) == (5, 1)
    assert other.images() == place.images()
    assert rows(other) == rows(place)
    again = other.run(dicom_dir=f"s3://{bucket}/d/{name}")
    assert (again.processed, again.unchanged) == (0, 5)
    around = other.run(dicom_dir=f"s3://{bucket}")
    assert (around.found, around.processed) == (5, 0)
    assert other.run(dicom_dir=f"s3://{bucket}", archives=False).archives == 1
    proxy.fault = lambda method, _path, _number: "503 SlowDown" if method == "GET" and broken.pop() else None
    broken = [False] * 500 + [True, False, True]
    assert place.run(dicom_dir=f"s3://{bucket}", output_dir=place.base / "out 2", db=place.base / "y.db").found == 5


def test_members_in_a_bucket_are_looked_at_retried_and_made_again(place: Place, gateway: Gateway) -> None:
    for name in ("in.zip", "in.tar.gz"):
        bucket = gateway.new_bucket()
        gateway.put(bucket, f"d/{name}", packed(place.source, name))
        url = f"s3://{bucket}/d/{name}"
        place = Place(place.base.parent / name)
        shutil.copytree(place.base.parent / "Daten Ä/in", place.source)
        place.run(dicom_dir=f"s3://{bucket}")
        before = place.images()
        (place.output / min(before)).unlink()
        due = verify(place.workspace).due
        assert repair(place.workspace, due, workers=1, make_listener=lambda *_: ProgressListener()).exit_code == 0
        assert place.images() == before
        member = f"{url}!/Studie 1/Bild B.dcm"
        shown = inspect_file(member, ImageOptions(), frame_number=2, max_bytes=2**28)
        assert shown.thumbnail is not None
        ((_, find, count),) = due_runs(place.workspace, codes=None, workers=1, changes={})
        assert (count, [source.path for source in filter(None, find(None))]) == (1, [f"d/{name}!/broken.dcm"])
        assert viewer_worker.answer(ViewFrame(member, 2), None, lambda: None).about["frames"] == 3


def test_of_a_zip_in_a_bucket_what_is_unchanged_is_not_fetched_and_what_it_lost_is_gone(
    place: Place, gateway: Gateway, proxy: Proxy
) -> None:
    bucket = gateway.new_bucket()
    make_files(place.source, *(f"more/{number}.dcm" for number in range(9)), seed=90)
    gateway.put(bucket, "in.zip", packed(place.source, "in.zip"))
    place.run(dicom_dir=f"s3://{bucket}")
    before = place.images()
    (place.source / "頭部 CT/ä.dcm").unlink()
    make_files(place.source, "new.dcm", seed=99)
    gateway.put(bucket, "in.zip", packed(place.source, "in.zip"))
    result = place.run(dicom_dir=f"s3://{bucket}", prune=True)
    assert (result.processed, result.unchanged, result.pruned) == (1, 13, 1)
    assert before.items() - place.images().items() == {("in/頭部 CT/ä.png", before["in/頭部 CT/ä.png"])}
    gateway.store(bucket).delete("in.zip")
    gateway.put(bucket, "other.dcm", (place.source / "new.dcm").read_bytes())
    assert place.run(dicom_dir=f"s3://{bucket}", prune=True).pruned == 13


def test_parts_of_an_address_are_the_same_inputs(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    place.run(dicom_dir=url)
    for part in (f"{url}/Studie 1", f"{url}/Studie 1/", f"{url}/頭部 CT/ä.dcm", url.rpartition("/")[0]):
        assert place.run(dicom_dir=part).processed == 0
    assert len(place.rows("SELECT id FROM files")) == 5
    with pytest.raises(ConfigError, match="no user, password, query or token"):
        place.run(dicom_dir="https://host/a.dcm?token=canary")


def test_a_folder_and_a_bucket_in_one_run(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    make_files(place.base / "other", "here.dcm", seed=77)
    result = place.run(dicom_dir=[place.base / "other", url])
    assert (result.found, result.frames) == (6, 7)


def test_what_is_gone_is_pruned(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    place.run(dicom_dir=url)
    gateway.store(url.split("/")[2]).delete("in/頭部 CT/ä.dcm")
    assert place.run(dicom_dir=url, prune=True).pruned == 1
    assert len(place.images()) == 5


def test_images_beside_the_inputs_are_no_inputs(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    place.run(dicom_dir=url, output_dir=f"{url}/out")
    again = place.run(dicom_dir=url, output_dir=f"{url}/out")
    assert (again.found, again.other_files) == (5, 1)


def test_repair_retry_and_inspect_take_the_same_names(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    place.run(dicom_dir=url)
    before = place.images()
    (place.output / min(before)).unlink()
    due = verify(place.workspace).due
    assert repair(place.workspace, due, workers=1, make_listener=lambda *_: ProgressListener()).exit_code == 0
    assert place.images() == before
    shown = inspect_file(f"{url}/Studie 1/Bild A.dcm", ImageOptions(), frame_number=0, max_bytes=2**28)
    assert shown.rows[0][1].startswith(url)
    assert shown.thumbnail is not None
    ((config, sources, count),) = due_runs(place.workspace, codes=None, workers=1, changes={})
    assert (config.dicom_dir, count, [source.path for source in sources(None)]) == ((url,), 1, ["broken.dcm"])


def test_pages_show_images_and_originals_from_a_bucket(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    images = f"s3://{gateway.new_bucket()}/images"
    place.run(dicom_dir=url, output_dir=images)
    ids = dict(place.rows("SELECT filename, id FROM images"))
    stored = gateway.objects(images.split("/")[2], "images")
    with serving(place) as pages:
        for _ in range(2):
            shown = {name: pages.ask("GET", f"/image/{number}") for name, number in ids.items()}
            assert shown == {name: (200, stored[f"{name}.png"]) for name in ids}
        number = ids["Studie 1/Bild A"]
        assert pages.ask("GET", f"/original/{number}/pixels")[0] == 200
        assert pages.ask("GET", f"/original/{number}/tags")[0] == 200
        page = pages.ask("GET", f"/original/{number}")[1].decode() + pages.ask("GET", "/overview")[1].decode()
    assert ACCESS_KEY not in page
    assert SECRET_KEY not in page


def test_faults_of_the_server_lose_nothing(place: Place, gateway: Gateway, proxy: Proxy) -> None:
    local, url = place.run(), in_bucket(gateway, place)
    expected = place.images()
    other = Place(place.base / "other")
    other.base.mkdir()
    faults = ("cut", None, "503 SlowDown", None, "500 InternalError", "length", None)
    proxy.fault = lambda _method, _path, number: faults[number % len(faults)]
    remote = other.run(dicom_dir=url)
    assert (remote.statuses, remote.codes) == (local.statuses, local.codes)
    assert other.images() == expected


@pytest.mark.parametrize("fault", ["503 SlowDown", "400 ExpiredToken"])
def test_a_store_that_ends_leaves_its_inputs_to_be_done(
    place: Place, gateway: Gateway, proxy: Proxy, fault: str
) -> None:
    url = in_bucket(gateway, place)
    listed: list[bool] = []

    def refuse(_method: str, path: str, _number: int) -> str | None:
        """All but the listings of a run's beginning."""
        listed.append("list-type" in path)
        return None if listed[-1] and all(listed) else fault

    proxy.fault = refuse
    with pytest.raises(EnvironmentFault, match="expired" if "Expired" in fault else "cannot"):
        place.run(dicom_dir=url, timeout=2, workers=1)
    assert place.rows("SELECT count(*) FROM files") == [0]
    proxy.fault = lambda *_: None
    assert place.run(dicom_dir=url).found == 5


def test_keys_of_the_store_are_nowhere(place: Place, gateway: Gateway) -> None:
    url = in_bucket(gateway, place)
    done = cli(place.base, "preprocess", url, "--output-dir", place.output, "--db", place.db)
    assert done.returncode == 0, done.stderr
    assert f"Cannot read {url}/broken.dcm" in done.stderr
    written = [path.read_bytes() for path in place.base.rglob("*") if path.is_file()]
    written += [text.encode() for text in (done.stdout, done.stderr)]
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert not any(secret.encode() in content for content in written)
