"""Volumes from the sources: real values in their place, or the reason why not."""

import numpy as np
import pytest

import dicomprep
from tests.running import Place
from tests.volumes.scenes import even, make_stack, sample, uid_of, worlds


def load(place: Place, name: str, values: str = "hu", **options: object) -> dicomprep.Volume:
    return dicomprep.volume(uid_of(name), db=place.db, values=values, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "slices"),
    [
        ("ascending", 5), ("descending", 5), ("decubitus", 5), ("oblique", 5), ("enhanced", 5), ("single", 1),
        ("rounded", 12), ("thin", 12), ("rounded oblique", 9),
    ],
)  # fmt: skip
def test_every_value_lies_where_the_affine_says(scenes: Place, name: str, slices: int) -> None:
    volume = load(scenes, name)
    assert volume.array.shape == (slices, 10, 8)
    assert (volume.array.dtype, volume.unit, volume.part, volume.notes) == (np.int16, "HU", "", ())
    rounding = 0.5 + (0.05 * 14 if name.startswith("rounded") else 1e-3)
    assert np.abs(volume.array - sample(worlds(volume))).max() <= rounding
    assert np.all(np.diff(volume.positions_mm) > 0)


def test_thumbnails_stay_what_they_were(scenes: Place) -> None:
    volume = load(scenes, "oblique", "display")
    assert (volume.array.dtype, volume.values, volume.unit) == (np.uint8, "display", None)


@pytest.mark.parametrize(
    ("name", "dtype", "slope", "intercept"),
    [("scaled", np.int16, 2, -7), ("fractions", np.float32, 0.25, 0), ("large", np.int32, 1000, 0)],
)
def test_values_are_exact_in_the_narrowest_type(
    scenes: Place, name: str, dtype: type, slope: float, intercept: float
) -> None:
    plain, volume = load(scenes, "ascending"), load(scenes, name)
    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array, plain.array * np.float64(slope) + intercept)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tilted", r"tilted by 16\.7 degrees"),
        ("gapped", r"spacing is 9\.00 mm, elsewhere 3\.00 mm between"),
        ("half", "the slice spacing is"),
        ("doubled", "have the same position, and nothing tells them apart"),
        ("mosaic", "a mosaic of Siemens has several slices in one image"),
        ("unscaled", "Rescale Slope .* is 0"),
        ("color", "RGB is color"),
        ("held", "held back for suspected burned-in text"),
    ],
)
def test_what_is_no_volume_is_refused(scenes: Place, name: str, reason: str) -> None:
    with pytest.raises(dicomprep.ExportError, match=f"is not a volume: .*{reason}"):
        load(scenes, name)


@pytest.mark.parametrize(
    ("name", "shape", "note"),
    [
        ("tilted", (6, 13, 8), "interpolated"),
        ("gapped", (8, 10, 8), "interpolated"),
        ("half", (5, 10, 8), "interpolated"),
        ("doubled", (5, 10, 8), "1 images at the place of another left out"),
    ],
)
def test_resampled_it_is_one(scenes: Place, name: str, shape: tuple[int, ...], note: str) -> None:
    """What rises evenly is interpolated exactly, but for the rounding of its values and pixels that no slice covers."""
    volume = load(scenes, name, resample=True)
    assert volume.array.shape == shape
    assert note in volume.notes[-1]
    expected = sample(worlds(volume))
    covered = volume.array > volume.array.min() if name == "tilted" else np.ones(shape, bool)
    inner = covered & np.roll(covered, 1, axis=1) & np.roll(covered, -1, axis=1)
    assert inner.sum() >= 0.5 * covered.sum()
    assert np.abs(volume.array - expected)[inner].max() <= 0.51
    assert volume.affine[:3, 0] == pytest.approx(np.linalg.norm(volume.affine[:3, 0]) * np.array([0, 0, 1]), abs=1e-9)


def test_without_positions_there_are_values_and_no_affine(scenes: Place) -> None:
    volume = load(scenes, "unplaced")
    assert (volume.affine, volume.positions_mm, volume.spacing_mm) == (None, None, (None, 1.5, 2.5))
    assert np.array_equal(volume.array, load(scenes, "ascending").array)


def test_a_source_that_changed_is_refused(tmp_path: pytest.TempPathFactory) -> None:
    place = Place(tmp_path)  # type: ignore[arg-type]
    uid = make_stack(place.source, "s", even(3, (0, 0, 2)))
    place.run()
    path = place.source / "s/slice 07.dcm"
    content = path.read_bytes()
    path.write_bytes(content)
    assert dicomprep.volume(uid, db=place.db, values="hu").array.shape == (3, 10, 8)
    path.write_bytes(content[:-2] + b"\1\1")
    with pytest.raises(dicomprep.ExportError, match=r"slice 07\.dcm has changed since it was processed"):
        dicomprep.volume(uid, db=place.db, values="hu")
    path.unlink()
    with pytest.raises(dicomprep.ExportError, match=r"slice 07\.dcm: .*\[unreadable\]"):
        dicomprep.volume(uid, db=place.db, values="hu")


def test_values_that_are_not_what_is_asked_for_are_refused(scenes: Place) -> None:
    with pytest.raises(dicomprep.ExportError, match="not in Hounsfield units"):
        load(scenes, "times", part="time1")
    with pytest.raises(dicomprep.ExportError, match="SUV is of PET images alone"):
        load(scenes, "ascending", "suv")
    with pytest.raises(dicomprep.ConfigError, match="choose from display, auto, hu, suv, rescaled"):
        load(scenes, "ascending", "HU")
    with pytest.raises(dicomprep.ConfigError, match="resample=True interpolates values of the sources"):
        load(scenes, "ascending", "display", resample=True)
