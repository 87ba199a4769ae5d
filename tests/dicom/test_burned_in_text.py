"""Text in the pixels: suspected by the header, seen in the picture, held back until a person has looked."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import dicomprep
from dicomprep.database.connection import connect
from dicomprep.database.queries.releases import may_leave
from dicomprep.database.schema import frames
from dicomprep.pixels.text_detection import shows_text
from tests.building import make_dicom
from tests.running import Place, cli

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def speckle(seed: int, side: int = 512) -> NDArray[np.uint8]:
    """Something like an ultrasound image: blurred noise in a sector, black around it."""
    noise = np.random.default_rng(seed).rayleigh(25, (side, side)).astype(np.float32)
    picture = np.clip(cv2.GaussianBlur(noise, (0, 0), 1.2), 0, 255).astype(np.uint8)
    rows, columns = np.mgrid[:side, :side]
    picture[(np.hypot(columns - side / 2, rows - 40) > 0.85 * side) | (np.abs(columns - side / 2) > 0.8 * rows)] = 0
    return picture


def write_on(picture: NDArray[np.uint8], seed: int, *, height: int = 14) -> NDArray[np.uint8]:
    """A name and a date in a corner."""
    text = f"DOE, JANE {seed:04d}  12/0{1 + seed % 9}/1964"
    place = (8, 24 + (seed % 2) * (picture.shape[0] - 48))
    return cv2.putText(picture.copy(), text, place, seed % 4, height / 22, 220 + seed % 30, 1, cv2.LINE_AA)


def test_text_is_found_and_its_absence_too() -> None:
    """Docs/privacy.md has the figures of a larger trial."""
    pictures = [speckle(seed) for seed in range(30)]
    seen = [shows_text(write_on(picture, seed, height=10 + seed % 12)) for seed, picture in enumerate(pictures)]
    assert sum(seen) >= 24
    assert sum(map(shows_text, pictures)) <= 1


@pytest.mark.parametrize("change", ["dark on light", "color", "16 bits", "large"])
def test_text_is_found_in_any_dress(change: str) -> None:
    picture = write_on(speckle(3), 3)
    changed = {
        "dark on light": 255 - picture,
        "color": np.stack([np.zeros_like(picture), picture, picture], axis=-1),
        "16 bits": picture.astype(np.uint16) * 257,
        "large": cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR),
    }[change]
    assert shows_text(changed)


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3), (64, 64, 3)])
def test_any_shape_is_taken(shape: tuple[int, ...]) -> None:
    assert not shows_text(np.zeros(shape, np.uint8))


def region_from(row: int) -> list[dict[str, int]]:
    """An ultrasound region that reaches from a row to the end of the image."""
    ends = {"RegionLocationMinX0": 0, "RegionLocationMaxX1": 511, "RegionLocationMaxY1": 511}
    return [{"RegionLocationMinY0": row, **ends}]


@pytest.mark.parametrize(
    ("attributes", "risk", "reasons"),
    [
        ({"Modality": "CT"}, "none", None),
        ({"Modality": "CT", "BurnedInAnnotation": "YES"}, "high", "stated"),
        ({"Modality": "CT", "SOPClassUID": CAPTURE, "BurnedInAnnotation": "NO"}, "low", "secondary_capture,eight_bits"),
        ({"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "high", "screen"),
        ({"Modality": "OT", "ConversionType": "DF"}, "high", "scanned,modality"),
        ({"Modality": "US"}, "low", "modality"),
        ({"Modality": "US", "SequenceOfUltrasoundRegions": region_from(60)}, "high", "banner,modality"),
        ({"Modality": "US", "SequenceOfUltrasoundRegions": region_from(0)}, "low", "modality"),
    ],
)  # fmt: skip
def test_the_header_gives_a_risk_and_its_reasons(
    tmp_path: Path, attributes: dict[str, Any], risk: str, reasons: str | None
) -> None:
    place = Place(tmp_path)
    pixels = speckle(1) if "SOPClassUID" in attributes or attributes["Modality"] in ("US", "OT") else None
    make_dicom(place.source / "a.dcm", pixels, **{"SOPClassUID": CT_IMAGE} | attributes)
    place.run()
    assert place.rows("SELECT burned_in, burned_in_reasons FROM tags") == [(risk, reasons)]


def test_frames_of_a_file_share_the_text_that_one_of_them_shows(tmp_path: Path) -> None:
    place = Place(tmp_path)
    pixels = np.stack([speckle(1), speckle(2), write_on(speckle(3), 3)])
    make_dicom(place.source / "a.dcm", pixels, Modality="US", SOPClassUID=CT_IMAGE)
    place.run(size=64)
    assert place.rows("SELECT burned_in, burned_in_reasons FROM tags") == [("high", "text,modality")] * 3


def leaving(place: Place, **options: Any) -> int:
    engine = connect(place.address)
    with engine.connect() as connection:
        count = len(connection.execute(frames.select().where(may_leave(connection, **options))).all())
    engine.dispose()
    return count


def test_risky_images_are_held_until_a_person_releases_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("s/a", "s/b", "t/c"):
        make_dicom(place.source / f"{name}.dcm", BurnedInAnnotation="YES", SOPClassUID=CT_IMAGE)
    make_dicom(place.source / "s" / "plain.dcm", SOPClassUID=CT_IMAGE)
    place.run()
    assert (leaving(place), leaving(place, hold=True)) == (4, 1)
    place.run(hold_burned_in=True)
    place.run()  # it stays so
    assert (leaving(place), leaving(place, hold=False)) == (1, 4)
    listed = cli(tmp_path, "release", "--db", place.db).stdout
    assert "3 images with suspected burned-in text, held back until released" in listed
    assert all(f"\t{name}\t" in listed for name in ("s/a", "s/b", "t/c"))
    (first,) = place.rows("SELECT id FROM images WHERE filename = 's/a'")
    assert "1 image released" in cli(tmp_path, "release", first, "--db", place.db, "--by", "Dr. A").stdout
    assert leaving(place) == 2
    cli(tmp_path, "release", "--study", "t", "--db", place.db, "--by", "Dr. B")
    assert leaving(place) == 3
    cli(tmp_path, "release", first, "--revoke", "--db", place.db, "--by", "Dr. B")
    assert leaving(place) == 2
    assert place.rows("SELECT person, released FROM releases ORDER BY id") == [("Dr. A", 1), ("Dr. B", 1), ("Dr. B", 0)]
    cli(tmp_path, "release", "--all-frames", "--db", place.db)
    assert leaving(place) == 4
    place.run(hold_burned_in=False)
    assert leaving(place) == 4


def test_a_release_is_for_the_image_that_was_looked_at(tmp_path: Path) -> None:
    place = Place(tmp_path)
    source = make_dicom(place.source / "a.dcm", speckle(1), BurnedInAnnotation="YES")
    place.run(hold_burned_in=True)
    cli(tmp_path, "release", "--all-frames", "--db", place.db)
    assert leaving(place) == 1
    make_dicom(source, write_on(speckle(2), 2), BurnedInAnnotation="YES")
    place.run()
    assert leaving(place) == 0
    assert place.rows("SELECT released FROM tags") == [0]


@pytest.mark.parametrize("risky", ["a", "b"])
@pytest.mark.parametrize("runs", [1, 2])
def test_what_one_copy_is_suspected_of_all_are(tmp_path: Path, risky: str, runs: int) -> None:
    """Whichever is read first: an anonymizer has removed Burned In Annotation from one of them."""
    place = Place(tmp_path)
    pixels = np.random.default_rng(1).integers(0, 4096, (2, 40, 30), dtype=np.uint16)
    for name in "ab":
        said = {"BurnedInAnnotation": "YES"} if name == risky else {}
        series = {"SeriesInstanceUID": f"1.2.{'ab'.index(name)}", "InstanceNumber": 1}
        make_dicom(place.source / f"{name}.dcm", pixels, patient_id=name, SOPClassUID=CT_IMAGE, **said, **series)
        if runs == 2:
            place.run(hold_burned_in=True)
    place.run(hold_burned_in=True)
    assert place.rows("SELECT filename FROM images") == ["in/a_frame0000", "in/a_frame0001"]
    assert place.rows("SELECT burned_in, burned_in_reasons FROM tags") == [("high", "stated")] * 2
    assert len(dicomprep.frames(place.db)) == 0
    for series in ("1.2.0", "1.2.1"):
        with pytest.raises(dicomprep.ExportError, match="held back"):
            dicomprep.volume(series, db=place.db)
    listed = cli(tmp_path, "release", "--reason", "stated", "--db", place.db).stdout
    assert "in/a_frame0000\tCT\tstated" in listed or "in/a_frame0000\t-\tstated" in listed
    assert "2 images with suspected burned-in text" in listed
    cli(tmp_path, "release", "--all-frames", "--db", place.db)
    assert len(dicomprep.frames(place.db)) == 2
    assert len(dicomprep.volume("1.2.1", db=place.db).filenames) == 2


def test_what_is_suspected_of_a_copy_goes_with_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    pixels = np.random.default_rng(1).integers(0, 4096, (40, 30), dtype=np.uint16)
    make_dicom(place.source / "a.dcm", pixels, SOPClassUID=CT_IMAGE)
    copy = make_dicom(place.source / "b.dcm", pixels, SOPClassUID=CT_IMAGE, BurnedInAnnotation="YES")
    place.run(hold_burned_in=True)
    assert len(dicomprep.frames(place.db)) == 0
    make_dicom(copy, pixels[::-1], SOPClassUID=CT_IMAGE, BurnedInAnnotation="YES")
    place.run()
    assert list(dicomprep.frames(place.db)["filename"]) == ["in/a"]
    make_dicom(copy, pixels, SOPClassUID=CT_IMAGE, BurnedInAnnotation="YES")
    place.run()
    assert len(dicomprep.frames(place.db)) == 0
    copy.unlink()
    place.run(prune=True)
    assert list(dicomprep.frames(place.db)["filename"]) == ["in/a"]
    assert place.rows("SELECT burned_in FROM tags") == ["none"]
