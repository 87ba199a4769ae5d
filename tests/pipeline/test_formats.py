"""Every format of images from one end to the other: runs, loaders, exports, pages, verify, and from one to the next."""

import asyncio
import io
import json
import tarfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette

import dicomprep
from dicomprep.checks.orphans import MARK_BYTES
from dicomprep.checks.repair import repair
from dicomprep.checks.verify import clear, verify
from dicomprep.config import ImageOptions
from dicomprep.database.writes.recovery import add_pending_deletions, pending_deletions
from dicomprep.errors import ConfigError
from dicomprep.exchange.export import export_frames
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.pipeline.result import ProgressListener
from dicomprep.pixels.encoding import ENDINGS, Encoding, format_of
from dicomprep.pixels.image_file import decode_image, encode_image, is_own_image
from dicomprep.pixels.webp import encode_webp
from dicomprep.web.thumbnails import Thumbnails
from tests.building import gradient, make_dicom
from tests.running import Place, make_files, set_labels

TEXTS = ["jpeg", "jpeg=60", "webp", "webp=80", "npy", "png"]
LOSSLESS = ["png", "webp", "npy"]
CT = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One data set that goes from format to format: gray, three channels, a mask, labels."""
    place = Place(tmp_path_factory.mktemp("formats"))
    for number in range(6):
        make_dicom(
            place.source / "ct" / f"{number}.dcm", np.roll(gradient(), number * 7), patient_id=f"C{number}", **CT
        )
    make_files(place.source, "us/cine.dcm:2")
    mask = np.indices((40, 40)).sum(axis=0) > 40
    make_dicom(place.source / "seg" / "mask.dcm", mask, Modality="SEG", SegmentationType="BINARY")
    place.run(window="lung,mediastinum,bone", size=48)
    set_labels(place, {"ct/0": "a", "ct/1": "b"})
    return place


def facts(place: Place) -> list[Any]:
    """What no format changes: ids, names, labels, splits, what was drawn."""
    return place.rows("SELECT i.id, filename, label, split, width FROM all_images i ORDER BY id")


def loaded(place: Place) -> dict[str, NDArray[Any]]:
    data = dicomprep.Dataset(place.db)
    return {data.record(number).filename: data[number][0] for number in range(len(data))}


@pytest.mark.parametrize("text", TEXTS)
def test_a_data_set_goes_from_one_format_to_another(place: Place, text: str, tmp_path: Path) -> None:
    before, was = facts(place), dict(place.rows("SELECT filename, thumbnail_path FROM frames"))
    drawn = {frame.name: frame.array for one in place.source.rglob("*.dcm") for frame in named(one, place)}
    place.run(window="lung,mediastinum,bone", size=48, format=text)
    encoding = Encoding.parse(text)
    assert facts(place) == before
    place.check()  # no file of another format is left
    paths = dict(place.rows("SELECT filename, thumbnail_path FROM frames"))
    for name, path in paths.items():
        expected = ".png" if name == "seg/mask" and encoding.is_lossy else encoding.format.ending
        assert path == f"{name}{expected}"
        assert path == was[name] or not (place.output / was[name]).exists()
        assert is_own_image(place.images()[path])
    for name, pixels in loaded(place).items():
        assert pixels.shape == drawn[name].shape
        assert pixels.dtype == drawn[name].dtype
        worst = np.abs(pixels.astype(int) - drawn[name]).mean()
        assert worst == 0 if not encoding.is_lossy else 0 < worst < 16
    for name, transform in place.rows("SELECT filename, transform FROM frames"):
        recorded = json.loads(transform).get("encoded")
        assert recorded == (str(encoding) if encoding.is_lossy and name != "seg/mask" else None)
    assert not verify(place.workspace).counts
    check_exports(place, encoding, tmp_path)
    check_pages(place)


def named(path: Path, place: Place) -> list[SimpleNamespace]:
    """What is drawn of a file, by the names that its images have."""
    stem = path.relative_to(place.source).with_suffix("").as_posix()
    frames = dicomprep.process_dicom(path, window="lung,mediastinum,bone", size=48)
    several = len(frames) > 1
    return [
        SimpleNamespace(name=f"{stem}_frame{n:04d}" if several else stem, array=f.array) for n, f in enumerate(frames)
    ]


def check_exports(place: Place, encoding: Encoding, folder: Path) -> None:
    """Each format of export has the files, and says what they are."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import pyarrow.parquet as pq

    for kind in (Format.CSV, Format.PARQUET, Format.WEBDATASET, Format.HUGGINGFACE, Format.FOLDER):
        export_frames(kind, folder / kind, place.workspace, options=ExportOptions())
    ending, kind = encoding.format.ending, encoding.format
    originals = {content for path, content in place.images().items() if not path.startswith("seg/")}
    files = {path.read_bytes() for path in (folder / "folder").rglob("*") if path.suffix in ENDINGS}
    assert files == originals
    members: dict[str, bytes] = {}
    for path in (folder / "webdataset").glob("*.tar"):
        with tarfile.open(path) as archive:
            members |= {one.name: archive.extractfile(one).read() for one in archive if one.name.endswith(ending)}
    assert set(members.values()) == originals
    rows = [
        row["image"] for path in (folder / "huggingface").rglob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    assert len(rows) == len(originals)
    for row in rows:  # as the feature `Image` reads them
        shown = ".png" if ending == ".npy" else ending
        assert row["path"].endswith(shown)
        Image.open(io.BytesIO(row["bytes"])).load()
    names = (folder / "csv").glob("*.csv")
    assert all(ending in path.read_text(encoding="utf-8") for path in names)
    described = json.loads((folder / "folder" / "croissant.json").read_text(encoding="utf-8"))
    (images,) = (one for one in described["distribution"] if one["@id"] == "files")
    assert images["encodingFormat"] == kind.media_type
    assert all(pattern.endswith(f"*{ending}") for pattern in images["includes"])
    card = (folder / "webdataset" / "README.md").read_text(encoding="utf-8")
    assert f"`KEY{ending}`" in card


def check_pages(place: Place) -> None:
    """Every image is one that a browser shows, under its digest."""
    workspace = place.workspace

    @contextmanager
    def reading() -> Any:
        with workspace.reading() as connection:
            yield connection

    app = Starlette(routes=Thumbnails(SimpleNamespace(reading=reading, images=workspace.images)).routes())
    for frame_id, path, digest in place.rows("SELECT id, thumbnail_path, digest FROM frames"):
        status, headers, content = ask(app, f"/image/{frame_id}", f"v={digest.hex()}")
        shown = "png" if path.endswith(".npy") else format_of(path).value
        assert (status, headers["content-type"], headers["etag"]) == (200, f"image/{shown}", f'"{digest.hex()}"')
        picture = Image.open(io.BytesIO(content))
        assert picture.format == shown.upper()
        held = decode_image(place.images()[path])
        assert picture.size == held.shape[1::-1]
        if shown == "png":
            np.testing.assert_array_equal(np.asarray(picture), held)


def ask(app: Starlette, path: str, query: str) -> tuple[int, dict[str, str], bytes]:
    """One GET, without a server."""
    sent: list[dict[str, Any]] = []

    async def call() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
        await app(scope, receive, send)

    asyncio.run(call())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("text", ["jpeg", "webp=80", "npy"])
def test_verify_knows_damage_and_orphans_of_every_format(text: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_files(place.source, "s/a.dcm", "s/b.dcm")
    place.run(format=text)
    ending = Encoding.parse(text).format.ending
    whole = place.images()
    (place.output / f"s/a{ending}").write_bytes(whole[f"s/a{ending}"][:-1])
    (place.output / f"s/orphan{ending}").write_bytes(whole[f"s/b{ending}"])
    (place.output / f"s/foreign{ending}").write_bytes(b"not ours" * 20)
    findings = verify(place.workspace)
    assert sorted(kind.name for kind in findings.counts) == ["CUT", "ORPHANED"]
    assert findings.foreign == 1
    repair(place.workspace, findings.due, workers=1, make_listener=lambda _config, _count: ProgressListener())
    assert clear(place.workspace) == 1
    assert {path: content for path, content in place.images().items() if "foreign" not in path} == whole


def test_what_a_killed_change_of_formats_left_is_removed(tmp_path: Path) -> None:
    """The file of the old ending has a name that a row has, with another ending."""
    place = Place(tmp_path)
    make_files(place.source, "s/a.dcm")
    place.run(format="jpeg")
    with place.workspace.writing() as store, store.transaction() as connection:
        add_pending_deletions(connection, ["s/a.png", "s/a.jpg"])
        assert pending_deletions(connection) == ["s/a.png"]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("text", LOSSLESS)
@pytest.mark.parametrize("shape", [(3, 5), (7, 4, 3)])
def test_what_is_read_is_what_was_drawn(text: str, depth: int, shape: tuple[int, ...]) -> None:
    encoding = Encoding.parse(text)
    if not encoding.takes(depth=depth):
        return
    pixels = (
        np.random.default_rng(3).integers(0, 2**depth, shape, np.uint16).astype(np.uint8 if depth == 8 else np.uint16)
    )
    content = encode_image(pixels, encoding)
    np.testing.assert_array_equal(decode_image(content), pixels)
    assert content == encode_image(pixels, encoding)
    if text == "npy":
        np.testing.assert_array_equal(np.load(io.BytesIO(content)), pixels)
        assert is_own_image(content[:MARK_BYTES])


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_cut_is_no_image(text: str) -> None:
    content = encode_image(gradient().astype(np.uint8), Encoding.parse(text))
    for end in (0, 3, 11, 30, len(content) // 2, len(content) - 1):
        with pytest.raises(ValueError, match=r"."):
            decode_image(content[:end])


def test_gray_stays_gray_in_webp_and_color_stays_color() -> None:
    gray = gradient().astype(np.uint8)
    assert decode_image(encode_webp(gray, quality=40)).ndim == 2
    same = np.repeat(gray[..., None], 3, axis=-1)
    assert decode_image(encode_webp(same, quality=None)).ndim == 3


@pytest.mark.parametrize(
    "options",
    [
        {"format": "gif"},
        {"format": "png=3"},
        {"format": "jpeg=0"},
        {"format": "jpeg=101"},
        {"format": "jpeg", "depth": 16},
        {"format": "webp", "depth": 16},
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--format"):
        ImageOptions(**options)


def test_formats_that_are_the_same_are_one() -> None:
    assert ImageOptions(format="jpg").fingerprint() == ImageOptions(format="jpeg=90").fingerprint()
    prints = {ImageOptions(format=text).fingerprint() for text in (*TEXTS, "png")}
    assert len(prints) == len(TEXTS)
    assert ImageOptions(format="png").fingerprint() == ImageOptions().fingerprint()


def test_an_image_may_be_too_large_for_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="at most 16,383 pixels a side: choose --format png"):
        encode_image(np.zeros((1, 16_384), np.uint8), Encoding.parse("webp"))
