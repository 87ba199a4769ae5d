"""Images of an object store are fetched once: afterward it is this machine's copy, and never another picture."""

import stat
from pathlib import Path

import pytest

import dicomprep
from dicomprep.checks.verify import Kind, verify
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.storage import image_cache
from dicomprep.storage.image_cache import ImageCache
from dicomprep.storage.source import digest_bytes
from tests.running import Place, make_files
from tests.services.faulty_proxy import proxying
from tests.services.gateway import Gateway


def test_a_second_epoch_and_an_export_ask_the_store_for_nothing(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, bucket = Place(tmp_path / "Daten Ä"), gateway.new_bucket()
    make_files(place.source, "a/1.dcm", "a/2.dcm:3", "b/3.dcm")
    with proxying(gateway.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        place.run(output_dir=f"s3://{bucket}/x")

        def fetched() -> int:
            asked = [request for request in proxy.requests if request.startswith("GET") and ".png" in request]
            proxy.requests.clear()
            return len(asked)

        fetched()
        first = [sample[0].tobytes() for sample in dicomprep.Dataset(place.db)]
        assert fetched() == 5
        assert [sample[0].tobytes() for sample in dicomprep.Dataset(place.db)] == first
        assert fetched() == 0
        export_frames(Format.FOLDER, place.base / "exported", place.workspace, options=ExportOptions())
        assert fetched() == 0
        gateway.put(bucket, "x/a/1.png", b"altered")
        assert verify(place.workspace).counts == {Kind.CUT: 1}  # which looks at what is there
        monkeypatch.setenv("DICOMPREP_CACHE", "")
        fetched()
        assert len(list(dicomprep.Dataset(place.db, where="filename = 'b/3'"))) == 1
        assert fetched() == 1


def test_only_the_picture_that_is_meant_is_kept(tmp_path: Path) -> None:
    cache, digest = ImageCache(tmp_path / "c", 10**6), digest_bytes(b"right")
    asked = []

    def fetch(content: bytes) -> bytes:
        asked.append(content)
        return content

    assert cache.read(digest, lambda: fetch(b"another")) == b"another"
    assert cache.read(digest, lambda: fetch(b"right")) == b"right"
    assert cache.read(digest, lambda: fetch(b"unasked")) == b"right"
    kept = next(path for path in (tmp_path / "c").rglob("*") if path.is_file())
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (tmp_path / "c", kept.parent, kept)} == {0}
    kept.write_bytes(b"damaged")
    assert cache.read(digest, lambda: fetch(b"right")) == b"right"
    assert kept.read_bytes() == b"right"
    assert asked == [b"another", b"right", b"right"]


def test_it_keeps_within_its_bound_and_a_part_of_what_comes_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "WRITTEN_BETWEEN_SWEEPS", 10_000)
    cache, images = ImageCache(tmp_path / "c", 100_000), [number.to_bytes(4) * 250 for number in range(300)]
    fetched = []

    def fetch(image: bytes) -> bytes:
        fetched.append(image)
        return image

    for _ in range(2):
        fetched.clear()
        for image in images:
            assert cache.read(digest_bytes(image), lambda image=image: fetch(image)) == image
    assert sum(path.stat().st_size for path in (tmp_path / "c").rglob("*.png")) <= 110_000
    assert len(fetched) < 290  # of a cache of the newest images a second round would find none


def test_a_cache_that_cannot_be_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert ImageCache(tmp_path / "file", 10**6).read(digest_bytes(b"x"), lambda: b"x") == b"x"
