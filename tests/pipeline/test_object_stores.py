"""Runs whose images go to a bucket: what a folder would hold, and what everybody who reads it makes of it."""

import os
import subprocess
import time
from pathlib import Path

import pytest

import dicomprep
from dicomprep.checks.audit.audit import audit
from dicomprep.checks.verify import Kind, clear, verify
from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.storage import lease
from dicomprep.storage.paths import MARK
from dicomprep.workspace import Workspace
from tests.running import Place, cli, dicomprep_command, make_files, wait_until
from tests.services.careless import serving_carelessly
from tests.services.faulty_proxy import proxying
from tests.services.gateway import ACCESS_KEY, SECRET_KEY, Gateway

NAMES = ("Studie 1/Bild A.dcm", "Studie 1/Bild B.dcm:3", "頭部 CT/ä.dcm", "broken.dcm")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "Daten Ä")
    make_files(place.source, *NAMES[:3])
    (place.source / NAMES[3]).write_bytes(b"no image")
    return place


def pictures(gateway: Gateway, url: str) -> dict[str, bytes]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return {name: content for name, content in gateway.objects(bucket, prefix).items() if name.endswith(".png")}


def test_the_bucket_holds_what_a_folder_would(place: Place, gateway: Gateway, any_place: Place) -> None:
    local, url = place.run(), f"s3://{gateway.new_bucket()}/Thumbnails 1"
    remote = place.run(db=any_place.db, output_dir=url)
    assert pictures(gateway, url) == place.images()
    assert (remote.frames, remote.statuses, remote.output_dir) == (local.frames, local.statuses, url)
    rows = (
        "SELECT path, status, error_code, thumbnail_path, f.size FROM files LEFT JOIN frames f ON files.id = f.file_id"
    )
    assert sorted(map(str, any_place.rows(rows))) == sorted(map(str, place.rows(rows)))
    again = place.run(db=any_place.db, output_dir=url)
    assert (again.processed, again.unchanged) == (0, 4)
    assert set(gateway.objects(url.split("/")[2])) == {f"Thumbnails 1/{name}" for name in (*place.images(), MARK)}


def test_what_reads_images_reads_them_there(place: Place, gateway: Gateway) -> None:
    url = f"s3://{gateway.new_bucket()}/a"
    place.run(output_dir=url)
    data = dicomprep.Dataset(place.db)
    assert [data[number][0].shape for number in range(len(data))] == [(16, 16)] * 5
    assert url in repr(data)
    exported = place.base / "exported"
    export_frames(Format.FOLDER, exported, place.workspace, options=ExportOptions())
    assert len(list(exported.rglob("*.png"))) == 5
    assert any(section.rows for section in audit(place.workspace))


def test_what_is_lost_is_found_and_made_again(place: Place, gateway: Gateway) -> None:
    bucket = gateway.new_bucket()
    place.run(output_dir=f"s3://{bucket}/a")
    before = pictures(gateway, f"s3://{bucket}/a")
    lost, altered, *_ = sorted(before)
    gateway.store(bucket).delete(f"a/{lost}")
    gateway.put(bucket, f"a/{altered}", bytes(len(before[altered])))
    gateway.put(bucket, "a/orphan.png", before[lost])
    gateway.put(bucket, "a/of somebody else.txt", b"x")
    findings = verify(place.workspace)
    assert findings.counts == {Kind.MISSING: 1, Kind.ALTERED: 1, Kind.ORPHANED: 1}
    assert findings.foreign == 1
    done = cli(place.base, "verify", "--repair", "--db", place.db)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pictures(gateway, f"s3://{bucket}/a") == before
    assert clear(place.workspace) == 0


def test_two_data_sets_do_not_share_a_place(place: Place, gateway: Gateway) -> None:
    url = f"s3://{gateway.new_bucket()}/a"
    place.run(output_dir=url)
    before = pictures(gateway, url)
    with pytest.raises(ConfigError, match=f"{url} contains the images of another database. Give another --output-dir"):
        place.run(db=place.base / "other.db", output_dir=url)
    assert pictures(gateway, url) == before
    mark = gateway.objects(url.split("/")[2])[f"a/{MARK}"].decode()
    assert str(place.base) not in mark
    with pytest.raises(ConfigError, match=f"describes the thumbnails in {url}, not in"):
        place.run()


def test_one_run_at_a_time(place: Place, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWED_SECONDS", 0.2)
    url = f"s3://{gateway.new_bucket()}/a"
    mine = Workspace.create(place.db, url)
    other = Workspace.create(place.base / "other.db", url)
    with mine.lock():
        assert other.is_locked()
        with pytest.raises(EnvironmentFault, match=f"Another run is writing to {url}"), other.lock():
            pass
    assert not other.is_locked()
    with other.lock():
        pass


def test_a_killed_runs_lock_ends_by_itself(place: Place, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = gateway.new_bucket()
    left = Workspace.create(place.db, f"s3://{bucket}/a")
    with left.lock():
        killed = gateway.objects(bucket)[f"a/{lease.LEASE}"]
    gateway.put(bucket, f"a/{lease.LEASE}", killed)
    with left.lock():  # its own, and its database says that it is alone
        pass
    gateway.put(bucket, f"a/{lease.LEASE}", killed)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1)
    with Workspace.create(place.base / "other.db", f"s3://{bucket}/a").lock():
        pass
    assert not gateway.objects(bucket)


def test_who_lost_the_lock_writes_nothing_more(place: Place, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWED_SECONDS", 0.1)
    bucket = gateway.new_bucket()
    mine = Workspace.create(place.db, f"s3://{bucket}/a")
    with mine.lock():
        mine.images.require_in_place()
        gateway.put(bucket, f"a/{lease.LEASE}", b'{"token": "another"}')
        assert wait_until(lambda: is_lost(mine), 10)
    assert set(gateway.objects(bucket)) == {f"a/{lease.LEASE}"}


def test_a_server_that_ignores_conditions_holds_no_lock(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen of sixteen would have it."""
    with serving_carelessly() as (endpoint, objects):
        for name, value in {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        with pytest.raises(EnvironmentFault, match="s3://bucket/a cannot be locked: its server ignores conditions"):
            place.run(output_dir="s3://bucket/a", timeout=2.0)
    assert not objects


def is_lost(workspace: Workspace) -> bool:
    try:
        workspace.images.require_in_place()
    except EnvironmentFault as error:
        return "Another run has begun to write" in str(error)
    return False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ftp://host/x", "--output-dir ftp://…: give a folder, or an address that begins with s3://, gs://, az://."),
        ("s3://user:canary@bucket/x", "an address holds no user, password"),
        ("s3:///x", "give the bucket"),
        ("s3://bucket/a/../b", "an empty part, a dot or a control character"),
        ("https://host/x", "give a folder, or an address"),
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dicomprep.preprocess(tmp_path, output_dir=given, db=tmp_path / "x.db")
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_the_command_refuses_it_before_any_work(tmp_path: Path) -> None:
    done = cli(tmp_path, "preprocess", ".", "--output-dir", "ftp://host/x")
    assert done.returncode == 2
    assert "--output-dir ftp://…: give a folder" in " ".join(done.stderr.split())
    assert not any(tmp_path.iterdir())


def test_a_file_address_is_a_folder(place: Place) -> None:
    place.run(output_dir=place.output.as_uri())
    assert len(place.images()) == 5


def test_without_the_extra_it_is_said_what_to_install(place: Place) -> None:
    hidden = {**os.environ, "PYTHONPATH": str(place.base)}
    (place.base / "obstore").mkdir()
    (place.base / "obstore/__init__.py").write_text("raise ModuleNotFoundError(name='obstore')")
    done = cli(place.base, "preprocess", "in", "--output-dir", "s3://bucket/x", env=hidden)
    assert done.returncode == 2
    assert "pip install 'dicomprep[s3]'" in done.stderr


def test_faults_of_the_server_lose_no_image(place: Place, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    url, faults = f"s3://{gateway.new_bucket()}/a", ("cut", None, "503 SlowDown", None, "500 InternalError", None, None)
    local = place.run()
    expected = place.images()
    other = Place(place.base / "other")
    other.base.mkdir()
    with proxying(gateway.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        began = time.monotonic()

        def fault(_method: str, _path: str, number: int) -> str | None:
            """All is refused for three seconds, as where a gateway is started anew; then now and then."""
            is_down = 1 < time.monotonic() - began < 4
            return "503 ServiceUnavailable" if is_down else faults[number % len(faults)]

        proxy.fault = fault
        remote = other.run(dicom_dir=place.source, output_dir=url)
    assert (remote.statuses, remote.frames) == (local.statuses, local.frames)
    assert pictures(gateway, url) == expected


def test_a_killed_run_is_gone_on_with(place: Place, gateway: Gateway) -> None:
    source = make_files(place.base / "many", *(f"s{number % 3}/{number}.dcm" for number in range(60)))
    inputs, url = gateway.new_bucket(), f"s3://{gateway.new_bucket()}/a"
    gateway.fill(inputs, source)
    command = dicomprep_command("preprocess", f"s3://{inputs}", "--output-dir", url, "--db", place.db, "--size", "16")
    for seconds in (1.5, 2.5):
        with subprocess.Popen(command, cwd=place.base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
            time.sleep(seconds)
            killed.kill()
    place.run(dicom_dir=f"s3://{inputs}", output_dir=url)
    recorded = place.rows("SELECT thumbnail_path FROM frames")
    assert len(recorded) == 60
    assert set(recorded) == set(pictures(gateway, url))
    assert not verify(place.workspace).counts


def test_keys_of_the_store_are_nowhere(place: Place, gateway: Gateway) -> None:
    url = f"s3://{gateway.new_bucket()}/a"
    done = cli(place.base, "preprocess", "in", "--output-dir", url, "--db", place.db)
    assert done.returncode == 0, done.stderr
    wrong = {**os.environ, "AWS_SECRET_ACCESS_KEY": f"{SECRET_KEY}x"}
    failed = cli(place.base, "preprocess", "in", "--output-dir", url, "--db", place.db, env=wrong)
    assert failed.returncode == 3
    assert "the secret key is not the right one" in failed.stderr
    written = [path.read_bytes() for path in place.base.rglob("*") if path.is_file()]
    written += [text.encode() for text in (done.stdout, done.stderr, failed.stdout, failed.stderr)]
    written += gateway.objects(url.split("/")[2]).values()
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert not any(secret.encode() in content for content in written)
