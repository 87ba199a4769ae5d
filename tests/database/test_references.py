"""The view `references`: what files say of which images, whichever comes first, goes, or is there twice."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from dicomprep.checks.verify import verify
from dicomprep.database.migrations import m0021_references
from tests.building import make_dicom
from tests.describing import (
    make_key_images,
    make_presentation,
    make_report,
    make_segmentation,
    make_series,
    make_structure_set,
    save,
)
from tests.running import Place, cli

MARKED = """SELECT images.filename, marks.kind, count(*) FROM "references" AS marks
JOIN images ON images.id = marks.image_id GROUP BY images.filename, marks.kind ORDER BY 1, 2"""
"""Which images have what: the query of the documentation."""


def query(place: Place, statement: str) -> list[tuple[Any, ...]]:
    with place.workspace.reading() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def describe(folder: Path, sources: Path) -> None:
    """Files of each kind that say something of a series."""
    slices = make_series(sources)
    save(make_segmentation(slices[:2]), folder / "seg.dcm")
    save(make_report(slices), folder / "sr.dcm")
    save(make_key_images(slices[2:3]), folder / "ko.dcm")
    save(make_presentation(slices[:1]), folder / "pr.dcm")
    make_structure_set(folder / "rs.dcm", slices, by_plane=True)


EXPECTED = [
    ("ct/0", "contour", 1),
    ("ct/0", "evaluation", 1),
    ("ct/0", "measurement", 1),
    ("ct/0", "presentation", 1),
    ("ct/0", "segment", 1),
    ("ct/1", "contour", 1),
    ("ct/1", "measurement", 1),
    ("ct/1", "segment", 1),
    ("ct/2", "key_image", 1),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def described(any_place: Place) -> Place:
    describe(any_place.source / "says", any_place.source / "ct")
    return any_place


def test_which_images_have_a_segmentation_or_a_mark_is_one_query(described: Place) -> None:
    result = described.run()
    assert query(described, MARKED) == EXPECTED
    assert "10 references, 9 to images that are here" in result.described  # a region without contours is nowhere
    rows = query(
        described, "SELECT error_detail FROM inputs WHERE path LIKE '%says/%' AND status = 'done' ORDER BY path"
    )
    assert rows[0] == ("describes images: 1 reference, 1 image named",)
    assert result.statuses == {"done": 9}
    shown = cli(described.base, "status", "--db", str(described.workspace.address)).stdout
    assert "Files that describe images" in shown


def test_verify_wants_no_images_of_what_describes_others(described: Place) -> None:
    described.run()
    assert not verify(described.workspace).counts


def test_it_does_not_matter_which_comes_first(place: Place) -> None:
    describe(place.source / "says", place.source / "ct")
    images = place.source / "ct"
    images.rename(place.base / "ct")
    place.run()
    assert query(place, MARKED) == []
    assert query(place, 'SELECT count(*) FROM "references" WHERE image_id IS NULL') == [(10,)]
    (place.base / "ct").rename(images)
    place.run()
    assert query(place, MARKED) == EXPECTED


def test_references_follow_their_file(described: Place) -> None:
    """Processed again, changed, gone."""
    described.run()
    described.run(depth=16)
    assert query(described, MARKED) == EXPECTED
    slices = make_series(described.base / "again")
    save(make_key_images(slices[3:]), described.source / "says/ko.dcm")
    os.utime(described.source / "says/ko.dcm", (10**9, 10**9))
    described.run(depth=16)
    marks = [row for row in query(described, MARKED) if row[1] == "key_image"]
    assert marks == [("ct/3", "key_image", 1)]
    for name in ("ko.dcm", "seg.dcm", "rs.dcm"):
        (described.source / "says" / name).unlink()
    described.run(depth=16, prune=True)
    assert {kind for _, kind, _ in query(described, MARKED)} == {"evaluation", "measurement", "presentation"}
    assert query(described, "SELECT count(*) FROM image_references WHERE kind IN ('segment', 'contour')") == [(0,)]
    shutil.rmtree(described.source / "ct")
    described.run(depth=16, prune=True)
    assert query(described, MARKED) == []


def test_copies_count_once(place: Place) -> None:
    """Of what says something, and of what it is said of; the image that stays in `images` has it."""
    describe(place.source / "says", place.source / "ct")
    for folder in ("says", "ct"):
        shutil.copytree(place.source / folder, place.source / f"copy of {folder}")
    place.run()
    assert [count for _, _, count in query(place, MARKED)] == [1] * len(EXPECTED)


def test_frames_of_a_file(place: Place) -> None:
    """A reference to frame 2 is to that alone; one to the file is to each."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 10), dtype=np.uint8)
    make_dicom(place.source / "us.dcm", pixels, SOPInstanceUID="1.2.3")
    for name, frames in (("one", [2]), ("all", None)):
        image = {"ReferencedSOPInstanceUID": "1.2.3", "ReferencedFrameNumber": frames}
        make_dicom(
            place.source / f"{name}.dcm",
            PixelData=None,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59",
            ValueType="CONTAINER",
            ContentSequence=[{"ValueType": "IMAGE", "ReferencedSOPSequence": [image]}],
        )
    place.run()
    found = query(place, 'SELECT frame_number, count(*) FROM "references" JOIN images ON image_id = id GROUP BY 1')
    assert sorted(found) == [(0, 1), (1, 2), (2, 1)]


def test_planes_are_found_in_their_series_or_space(place: Place) -> None:
    slices = make_series(place.source / "ct")
    for name, keyword in (("series", ""), ("space", "ReferencedSeriesSequence")):
        segmentation = make_segmentation(slices[:2], labels=(name,))
        for group in segmentation.PerFrameFunctionalGroupsSequence:
            del group.DerivationImageSequence
            x, y, z = group.PlanePositionSequence[0].ImagePositionPatient
            group.PlanePositionSequence[0].ImagePositionPatient = [x, y, float(z) + 0.008]
        if keyword:
            del segmentation[keyword]
        save(segmentation, place.source / f"{name}.dcm")
    place.run()
    assert query(place, MARKED) == [("ct/0", "segment", 2), ("ct/1", "segment", 2)]


def test_a_report_that_is_too_deep_is_recorded_in_part(place: Place) -> None:
    image = {"ValueType": "IMAGE", "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "1.2.3"}]}
    deep: dict[str, Any] = image
    for _ in range(40):
        deep = {"ValueType": "CONTAINER", "ContentSequence": [deep]}
    make_dicom(
        place.source / "sr.dcm",
        PixelData=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33",
        ValueType="CONTAINER",
        ContentSequence=[image, deep],
    )
    place.run()
    ((status, code, detail),) = query(place, "SELECT status, error_code, error_detail FROM inputs")
    assert (status, code) == ("partial", "limit_exceeded")
    assert detail.startswith("describes images: 1 reference, 1 image named; not all could be read: ")


def test_files_that_were_recorded_before_are_read_again(described: Place) -> None:
    """Those alone that say something of images."""
    place = described
    place.run()
    with place.workspace.writing() as store, store.transaction() as connection:
        connection.exec_driver_sql('DROP VIEW "references"')
        connection.exec_driver_sql("DROP TABLE image_references")
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER references_forgotten")
        else:
            connection.exec_driver_sql("DROP TRIGGER references_forgotten ON files")
            connection.exec_driver_sql("DROP FUNCTION references_forgotten")
        for name in ("sop_instance", "series_instance", "frame_of_reference"):
            connection.exec_driver_sql(f"DROP INDEX files_by_{name}")
        connection.exec_driver_sql("ALTER TABLE files DROP COLUMN frame_of_reference_key")
        connection.exec_driver_sql("UPDATE files SET status = 'skipped', error_code = 'no_pixel_data' WHERE frames = 0")
        m0021_references.upgrade(connection)
    result = place.run()
    assert (result.processed, result.unchanged, result.headers) == (4, 5, 1)
    assert query(place, MARKED) == EXPECTED
