"""The same image twice: named and not trained on twice, and its patients on one side, in any order of arrival."""

import random
import shutil
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread

from dicomprep import ConfigError
from dicomprep.config import Config
from dicomprep.database.writes.duplicates import MAX_GROUPS_PER_IMAGE
from dicomprep.pipeline.stages.decode import decode
from dicomprep.pipeline.stages.discover import discover
from dicomprep.storage.local_source import LocalSource
from tests.building import make_dicom
from tests.running import Place, frames_of, make_files

RLE, LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def noise(seed: int, shape: tuple[int, ...] = (40, 30)) -> np.ndarray:
    """12 bits in 16."""
    return np.random.default_rng(seed).integers(0, 4096, shape, dtype=np.uint16)


def twins(place: Place) -> dict[str, str]:
    """Originals of duplicates, by their paths below the source."""
    rows = place.rows(
        "SELECT f.path, o.path FROM files f JOIN files o ON o.id = f.duplicate_of WHERE f.status = 'done'"
    )
    return dict(rows)


def shown(place: Place) -> list[str]:
    return place.rows("SELECT filename FROM images ORDER BY 1")


def splits_of_groups(place: Place) -> list[str]:
    return place.rows("SELECT split FROM groups ORDER BY id")


def label(place: Place, filename: str, name: str) -> None:
    columns = "INSERT INTO labels (frame_id, label, annotator, created_at)"
    place.execute(f"{columns} SELECT id, ?, 'me', 'now' FROM images WHERE filename = ?", name, filename)


def make_lossy(path: Path, pixels: np.ndarray, **attributes: Any) -> None:
    """A file in a transfer syntax that may lose something, whether or not its codestreams have."""
    frames = pixels[None] if pixels.ndim == 2 else pixels
    streams = [imagecodecs.jpeg2k_encode(p, codecformat="j2k", level=0, reversible=True) for p in frames]
    make_dicom(path, pixels, transfer_syntax="1.2.840.10008.1.2.4.91", codestreams=streams, **attributes)


def many_patients(place: Place, count: int = 16) -> None:
    """Pairs of patients with one image each, shared by both: `a3` and `b3` are one person."""
    for number in range(count):
        for name in "ab":
            make_dicom(place.source / name / f"{number}.dcm", noise(number), patient_id=f"{name}{number}")


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (RLE, None),
        (LOSSLESS, lambda p: imagecodecs.ljpeg_encode(p, bitspersample=16)),
        (JPEG_2000, lambda p: imagecodecs.jpeg2k_encode(p, codecformat="j2k", level=0, reversible=True)),
        (BIG_ENDIAN, None),
    ],
)
def test_the_same_pixels_in_another_wrapper_are_a_duplicate(place: Place, syntax: str, encode: Any) -> None:
    pixels = noise(1)
    make_dicom(place.source / "a.dcm", pixels, patient_id="A")
    if encode is not None:
        make_dicom(place.source / "b.dcm", pixels, patient_id="B", transfer_syntax=syntax, codestreams=[encode(pixels)])
    elif syntax == RLE:
        dataset = dcmread(make_dicom(place.source / "b.dcm", pixels, patient_id="B"))
        dataset.compress(RLE)
        dataset.save_as(place.source / "b.dcm")
    else:
        make_dicom(place.source / "b.dcm", pixels, patient_id="B", transfer_syntax=syntax)
    result = place.run()
    assert (result.found, result.statuses, result.total_frames) == (2, {"done": 2}, 1)
    assert twins(place) == {"b.dcm": "a.dcm"}
    assert shown(place) == ["in/a"]
    assert place.rows("SELECT error_detail FROM inputs ORDER BY path") == [
        None,
        f"a duplicate of {place.source}/a.dcm",
    ]
    place.check()


def test_another_window_or_another_file_name_is_no_other_image(place: Place) -> None:
    make_dicom(place.source / "a.dcm", noise(1), WindowCenter=100, WindowWidth=200)
    make_dicom(place.source / "s/b", noise(1), WindowCenter=2000, WindowWidth=4000)
    make_dicom(place.source / "s/c", noise(2), WindowCenter=2000, WindowWidth=4000)
    place.run()
    assert twins(place) == {"s/b": "a.dcm"}


def smooth_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures of 8 bits that look the same and are not."""
    parts = np.kron(noise(seed, (8, 8)) >> 4, np.ones((16, 16), np.uint16))
    one = parts.astype(np.uint8) | (noise(seed + 1, (128, 128)) & 7).astype(np.uint8)
    other = one.copy()
    other[::2] ^= 1
    return one, other


def test_the_same_instance_compressed_once_more_is_a_duplicate_and_a_made_up_uid_is_not(place: Place) -> None:
    smooth, other = smooth_pair(3)
    same = {"SOPInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}
    for name, pixels, number in (("a", smooth, 1), ("c", other ^ 2, 2), ("d", smooth[::-1], 1)):
        make_dicom(place.source / name, pixels, patient_id=name * 3, InstanceNumber=number, **same)
    make_lossy(place.source / "b", other, patient_id="bbb", InstanceNumber=1, **same)
    place.run()
    assert twins(place) == {"b": "a"}
    assert len(shown(place)) == 3


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", BIG_ENDIAN])
def test_neighboring_slices_under_one_uid_are_images_of_their_own(place: Place, syntax: str) -> None:
    """An anonymizer wrote one SOP Instance UID everywhere; nothing was compressed with loss."""
    same = {"SOPInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "InstanceNumber": None}
    for name, pixels in zip("abc", (*smooth_pair(3), smooth_pair(3)[1] ^ 2), strict=True):
        make_dicom(place.source / name, pixels, transfer_syntax=syntax, **same)
    place.run()
    assert twins(place) == {}
    assert len(shown(place)) == 3


def test_two_series_under_one_uid_are_two_whatever_compressed_them(place: Place) -> None:
    smooth, other = smooth_pair(3)
    make_dicom(place.source / "soft", smooth, SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4")
    make_lossy(place.source / "sharp", other, SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.5")
    place.run()
    assert twins(place) == {}
    assert len(shown(place)) == 2


def test_what_was_compressed_with_loss_and_decompressed_is_lossy(place: Place) -> None:
    """Lossy Image Compression (0028,2110) says so whatever the transfer syntax is; 00 says that nothing was lost."""
    for number, said in enumerate(({"LossyImageCompression": "01"}, {"LossyImageCompression": "00"}, {})):
        smooth, other = smooth_pair(3 + 2 * number)
        same = {"SOPInstanceUID": f"1.2.{number}", "SeriesInstanceUID": "1.2.3.4"}
        make_dicom(place.source / f"{number}a", smooth, **same)
        make_dicom(place.source / f"{number}b", other, **same, **said)
        (make_lossy if number == 1 else make_dicom)(place.source / f"{number}c", other ^ 2, **same, **said)
    place.run()
    assert twins(place) == {"0b": "0a", "0c": "0a"}
    assert place.rows("SELECT path FROM files WHERE is_lossy = 1 ORDER BY 1") == ["0b", "0c"]


def photo(seed: int, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """A smooth picture with some noise."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 2**bits - 2 ** (bits - 2), (8, 8, *shape[2:]))
    smooth = cv2.resize(coarse.astype(np.float32), shape[1::-1], interpolation=cv2.INTER_CUBIC)
    noisy = smooth + draw.normal(0, 2 ** (bits - 6), shape)
    return np.clip(noisy, 0, 2**bits - 1).astype(np.uint8 if bits <= 8 else np.uint16)


def j2k(pixels: np.ndarray, *, level: int = 0) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", level=level, reversible=level == 0)


JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
SEEN = [
    (photo(1, (300, 200), 12), None),
    (photo(2, (40, 700), 12), None),
    (photo(3, (120, 140, 3), 8), None),
    (photo(4, (300, 300), 12), (JPEG_2000, j2k)),
    (photo(5, (600, 500), 12), (JPEG_2000, j2k)),
    (photo(5, (1300, 800), 12), (JPEG_2000, j2k)),
    (photo(6, (600, 500), 8), ("1.2.840.10008.1.2.4.91", lambda p: j2k(p, level=40))),
    (photo(7, (500, 600), 8), (JPEG_BASELINE, lambda p: imagecodecs.jpeg8_encode(p, level=90))),
    (photo(8, (1000, 900), 8), (JPEG_BASELINE, lambda p: imagecodecs.jpeg8_encode(p, level=90))),
]
ASKED = [
    *({"size": size} for size in (16, 32, 64, 224, 512, 1024)),
    *({"size": 64, "fit": fit} for fit in ("crop", "stretch")),
    *({"size": 64, "fidelity": fidelity} for fidelity in ("exact", "draft")),
    *({"size": 64, "window": window} for window in ("10/20", "2000/4000,100/9,brain")),
    {"size": 64, "depth": 16},
]


@pytest.mark.parametrize(("pixels", "coded"), SEEN)
def test_what_is_known_of_a_picture_depends_on_no_option(place: Place, pixels: np.ndarray, coded: Any) -> None:
    wrapped = {"transfer_syntax": coded[0], "codestreams": [coded[1](pixels)]} if coded else {}
    path = make_dicom(place.source / "a.dcm", pixels, **wrapped)
    known = set()
    for asked in ASKED:
        with LocalSource.at(path).open() as file:
            frame = decode(file, max_bytes=2**30).frame(0, Config.of(dicom_dir=place.source, **asked).image)
            known.add((frame.digest, frame.perceptual_hash))
    assert len(known) == 1
    assert None not in known.pop()


@pytest.mark.parametrize("asked", [{"size": 16}, {"size": 512}, {"size": 64, "fidelity": "draft", "workers": 1}])
def test_duplicates_are_the_same_whatever_is_asked_for(place: Place, asked: dict[str, Any]) -> None:
    mask = np.kron(np.eye(4, dtype=np.uint8), np.full((50, 50), 255, np.uint8))
    little = np.zeros((400, 400), np.uint8)
    little[180:260, 100:300] = photo(9, (80, 200), 8)  # as an ultrasound is, black around
    zoomed = np.kron(photo(10, (60, 60), 12), np.ones((3, 3), np.uint16))
    large = photo(11, (600, 500), 12)
    for name in "ab":
        said = {"patient_id": name, "WindowCenter": 100 if name == "a" else 2000, "WindowWidth": 300}
        for kind, pixels in (("mask", mask), ("little", little), ("zoomed", zoomed)):
            make_dicom(place.source / f"{kind}_{name}", pixels, **said)
        make_dicom(place.source / f"large_{name}", large, transfer_syntax=JPEG_2000, codestreams=[j2k(large)], **said)
    for kind, shape in (("small", (300, 300)), ("slice", (512, 512)), ("larger", (1024, 1100))):
        pixels = photo(len(kind), shape, 12)
        make_dicom(place.source / f"{kind}_a", pixels)
        make_dicom(place.source / f"{kind}_b", pixels, transfer_syntax=JPEG_2000, codestreams=[j2k(pixels)])
    place.run(**asked)
    kinds = ("little", "zoomed", "large", "small", "slice", "larger")
    assert twins(place) == {f"{kind}_b": f"{kind}_a" for kind in kinds}


def test_of_many_pairs_in_one_batch_each_finds_its_own(place: Place) -> None:
    expected: dict[str, str] = {}
    for number in range(8):
        one, other = smooth_pair(10 * number)
        cine = np.stack([np.zeros_like(one), one, other]) if number % 2 else one
        again = np.stack([np.zeros_like(one), other, one]) if number % 2 else other
        same = {"patient_id": "P", "SOPInstanceUID": f"1.2.{number}", "SeriesInstanceUID": "1.2"}
        for name in "ab":
            make_dicom(place.source / f"{name}{number}", cine, **same)
        make_lossy(place.source / f"c{number}", again, **same)
        expected |= {f"b{number}": f"a{number}", f"c{number}": f"a{number}"}
    place.run()
    assert twins(place) == expected


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((20, 20), np.uint8),
        np.full((3, 20, 20), 9, np.uint8),
        np.kron(np.eye(4, dtype=np.uint8), np.full((50, 50), 255, np.uint8)),
    ],
)
def test_blank_images_and_patterns_join_nobody(place: Place, pixels: np.ndarray) -> None:
    for number in range(6):
        make_dicom(place.source / f"{number}.dcm", pixels, patient_id=f"P{number}", SOPInstanceUID="1.2.3")
    place.run(split="50/0/50", size=224)
    assert twins(place) == {}
    assert place.rows("SELECT count(*) FROM groups WHERE joined_id IS NOT NULL") == [0]


def test_patients_who_share_an_image_are_on_one_side_whatever_comes_first(place: Place) -> None:
    many_patients(place)
    trees: list[dict[str, str]] = []
    for order in range(3):
        here = Place(place.base / f"{order}")
        here.base.mkdir()
        key = place.base / "0" / "x.db.key"
        if order:
            shutil.copy(key, here.base)
        files = sorted(place.source.rglob("*.dcm"))
        random.Random(order).shuffle(files)
        for part in range(2):
            for file in files[part::2]:
                target = here.source / file.relative_to(place.source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
            here.run(split="34/33/33", split_seed="17")  # by some, a part leaves a split empty
        rows = here.rows("SELECT path, key, split FROM files JOIN groups ON groups.id = group_id")
        trees.append({path: split for path, _, split in rows})
        assert len(shown(here)) == 16
        assert all(trees[order][f"a/{n}.dcm"] == trees[order][f"b/{n}.dcm"] for n in range(16))
    assert trees[0] == trees[1] == trees[2]
    assert set(trees[0].values()) >= {"train", "val"}


def test_which_of_one_run_is_the_original_does_not_depend_on_the_order(place: Place) -> None:
    for name in ("c.dcm", "b.dcm", "a.dcm"):
        make_dicom(place.source / name, noise(1), patient_id="P")
        make_dicom(place.source / "s" / name, noise(2), patient_id="P")
    found = sorted(discover(str(place.source)), key=lambda source: source.path, reverse=True)
    place.run(workers=1, sources=found)
    assert twins(place) == {"b.dcm": "a.dcm", "c.dcm": "a.dcm", "s/b.dcm": "s/a.dcm", "s/c.dcm": "s/a.dcm"}
    make_dicom(place.source / "0.dcm", noise(1), patient_id="P")
    place.run()
    assert twins(place)["0.dcm"] == "a.dcm"


def test_a_twin_takes_over_when_its_original_becomes_another_image(place: Place) -> None:
    for name in "abc":
        make_dicom(place.source / name, noise(1), patient_id=f"P{name}")
    place.run()
    assert twins(place) == {"b": "a", "c": "a"}
    make_dicom(place.source / "a", noise(2), patient_id="Pa")
    place.run()
    assert (twins(place), shown(place)) == ({"c": "b"}, ["in/a", "in/b"])
    (place.source / "b").write_bytes((place.source / "b").read_bytes()[:-100])
    place.run()
    assert (twins(place), shown(place)) == ({}, ["in/a", "in/c"])
    make_dicom(place.source / "b", noise(2), patient_id="Pb")
    place.run()
    assert twins(place) == {"b": "a"}
    place.check()


def test_twins_stay_twins_when_all_is_made_again_and_when_the_tree_moves(place: Place) -> None:
    many_patients(place, 5)
    place.run()
    before, groups = twins(place), place.tables("groups")
    place.run(size=24)
    assert (twins(place), place.tables("groups")) == (before, groups)
    place.source.rename(place.base / "elsewhere")
    moved = place.run(dicom_dir=place.base / "elsewhere", size=24)
    assert (moved.moved, moved.processed, twins(place)) == (10, 0, before)


def test_what_is_labeled_is_not_moved_and_keeps_being_the_image(place: Place) -> None:
    make_dicom(place.source / "b.dcm", noise(1), patient_id="B")
    make_dicom(place.source / "other.dcm", noise(2), patient_id="Q")
    place.run(split="100/0/0")
    label(place, "in/b", "x")
    make_dicom(place.source / "c.dcm", noise(3), patient_id="C")
    place.run(split="0/0/100")
    assert splits_of_groups(place) == ["train", "train", "test"]
    make_dicom(place.source / "a.dcm", noise(1), patient_id="C")  # C is B after all, but B is labeled
    place.run(split="0/0/100")
    assert splits_of_groups(place) == ["train", "train", "test"]
    make_dicom(place.source / "new.dcm", noise(1), patient_id="D")  # new: there is nothing to move yet
    place.run(split="0/0/100")
    assert splits_of_groups(place) == ["train", "train", "test", "train"]
    assert twins(place) == {"a.dcm": "b.dcm", "new.dcm": "b.dcm"}


def test_an_image_that_many_share_joins_nobody(place: Place) -> None:
    for number in range(MAX_GROUPS_PER_IMAGE + 8):
        make_dicom(place.source / f"{number}.dcm", noise(1), patient_id=f"P{number}")
    place.run(split="50/0/50")
    assert len(twins(place)) == MAX_GROUPS_PER_IMAGE + 7
    assert place.rows("SELECT count(*) FROM groups WHERE joined_id IS NOT NULL") == [0]


def test_another_unit_is_refused_for_a_data_set_that_was_begun(place: Place) -> None:
    make_files(place.source, "a.dcm")
    place.run(group_by="study")
    with pytest.raises(ConfigError, match="divided by study"):
        place.run()


def test_frames_count_as_one_instance(place: Place) -> None:
    make_dicom(place.source / "a.dcm", frames_of(3), patient_id="A")
    make_dicom(place.source / "b.dcm", frames_of(3), patient_id="B")
    make_dicom(place.source / "c.dcm", frames_of(3)[::-1].copy(), patient_id="C")
    place.run()
    assert twins(place) == {"b.dcm": "a.dcm"}
    assert place.rows("SELECT count(*) FROM images") == [6]
