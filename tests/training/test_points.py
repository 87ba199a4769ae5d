"""Points and boxes from a thumbnail to its source and back, on images whose pixels tell where they lie."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dicomprep
from dicomprep.models import DecodedAs, Intensity, Transform
from dicomprep.pixels.geometry import plan_geometry, to_source, to_thumbnail
from tests.building import make_dicom
from tests.running import Place

FITS = ["pad", "crop", "stretch"]
sides = st.integers(1, 4000)
coordinates = st.floats(-5000, 5000)


@given(
    sides, sides, st.floats(1 / 20, 20), st.sampled_from([8, 31, 224, 512]), st.sampled_from(FITS),
    st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), min_size=1, max_size=5),
)  # fmt: skip
def test_there_and_back_is_where_it_began(rows, columns, aspect, size, fit, boxes) -> None:
    plan = plan_geometry((rows, columns), aspect=aspect, size=size, fit=fit)
    assert np.allclose(to_thumbnail(to_source(boxes, plan), plan), boxes, atol=1e-6)
    assert np.allclose(to_source(to_thumbnail(boxes, plan), plan), boxes, atol=1e-6)
    corners = np.array(boxes)
    assert (to_source(corners, plan)[:, :2] == to_source(corners[:, :2], plan)).all()
    assert (to_source(corners, plan)[:, 2:] == to_source(corners[:, 2:], plan)).all()


@given(sides, sides, st.floats(1 / 20, 20), st.sampled_from(FITS))
def test_the_picture_covers_the_crop_from_edge_to_edge(rows, columns, aspect, fit) -> None:
    plan = plan_geometry((rows, columns), aspect=aspect, size=224, fit=fit)
    top, left = plan.offset
    drawn = [top, left, top + plan.scaled_shape[0], left + plan.scaled_shape[1]]
    crop = [*plan.crop_origin, *np.add(plan.crop_origin, plan.crop_shape)]
    assert np.allclose(to_source(drawn, plan), crop, atol=1e-6)
    assert np.allclose(to_thumbnail(crop, plan), drawn, atol=1e-6)


@given(sides, sides, st.floats(1 / 20, 20), st.sampled_from(FITS))
def test_what_is_stored_is_the_whole_geometry(rows, columns, aspect, fit) -> None:
    plan = plan_geometry((rows, columns), aspect=aspect, size=224, fit=fit)
    transform = Transform(plan, Intensity(bits_stored=8), DecodedAs("RGB", "native"))
    assert Transform.from_json(transform.to_json()) == transform


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("points")


@settings(max_examples=40)
@given(
    st.tuples(st.integers(20, 400), st.integers(20, 400)), st.sampled_from([(1, 1), (2, 1), (1, 3), (5, 4)]),
    st.sampled_from(FITS), st.sampled_from(["exact", "high"]), st.booleans(),
)  # fmt: skip
def test_a_pixel_of_the_thumbnail_shows_the_source_where_it_says(
    folder: Path, shape, aspect, fit, fidelity, down
) -> None:
    """The source's gray is its own row or column: what a thumbnail shows at a point must be the mapped coordinate."""
    line = np.arange(shape[0 if down else 1]) + 0.5
    ramp = np.broadcast_to(line[:, None] if down else line, shape) * 64
    path = make_dicom(folder / "ramp.dcm", ramp.astype(np.uint16), PixelAspectRatio=list(aspect))
    options = {"fit": fit, "fidelity": fidelity, "depth": 16, "size": 64, "window": "16384/32768"}
    (frame,) = dicomprep.process_dicom(path, **options)
    geometry = frame.transform.geometry
    (top, left), (height, width) = geometry.offset, geometry.scaled_shape
    y, x = np.mgrid[top : top + height, left : left + width]
    shown = frame.array[y, x].ravel() / 65535 * 32767 / 64
    expected = frame.to_source(np.stack([y.ravel(), x.ravel()], -1) + 0.5)[:, 0 if down else 1]
    inner = (expected > 2) & (expected < len(line) - 2)
    assert np.abs(shown - expected)[inner].max(initial=0) < 0.51


def test_a_stored_frame_maps_as_it_was_drawn(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "s/a.dcm", PixelAspectRatio=[2, 1])
    place.run(fit="crop")
    (drawn,) = dicomprep.process_dicom(place.source / "s/a.dcm", size=16, fit="crop")
    (frame_id,) = place.rows("SELECT id FROM images")
    box = [[1.5, 2, 9, 12.25]]
    for which in ("s/a", frame_id):
        stored = dicomprep.frame(which, db=place.db)
        assert (stored.name, stored.id) == ("s/a", frame_id)
        assert (stored.array == drawn.array).all()
        assert (stored.to_source(box) == drawn.to_source(box)).all()
        assert np.allclose(stored.to_thumbnail(stored.to_source(box)), box)
    with pytest.raises(dicomprep.ConfigError, match="contains no image s/b"):
        dicomprep.frame("s/b", db=place.db)
    with pytest.raises(ValueError, match="boxes"):
        drawn.to_source([[1, 2, 3]])
