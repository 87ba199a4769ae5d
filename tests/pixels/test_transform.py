"""What is recorded of a frame: every text that a release wrote is read, written again as it was, and maps points."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dicomprep
from dicomprep.errors import EnvironmentFault
from dicomprep.models import DecodedAs, Intensity, Transform
from dicomprep.pixels.geometry import Box, plan_geometry
from dicomprep.pixels.intensity import Rescale, ValueRange, Window
from dicomprep.pixels.sizes import Size
from dicomprep.pixels.transform import TableRecord
from tests.building import make_dicom
from tests.running import Place

RECORDED = [
    line.split(" ", 1)[1]
    for line in (Path(__file__).parent / "recorded_transforms.txt").read_text(encoding="utf-8").splitlines()
]
"""One text of each form that any release recorded, after the commit that wrote it; of samples, at several options."""

COLOR = Transform(
    plan_geometry((30, 20), aspect=1.0, size=64, fit="crop"), Intensity(bits_stored=8), DecodedAs("RGB", "native")
)


@pytest.mark.parametrize("text", RECORDED)
def test_what_any_release_recorded_is_read_and_written_as_it_was(text: str) -> None:
    transform = Transform.from_json(text)
    assert transform.to_json() == text
    assert transform.version == 1
    assert dict(transform) == json.loads(text)
    corners = np.array([[0.0, 0.0], transform.geometry.source_shape])
    np.testing.assert_allclose(transform.to_source(transform.to_thumbnail(corners)), corners, atol=1e-9)


def test_each_part_has_its_type() -> None:
    kinds = {type(c.voi) for text in RECORDED for c in Transform.from_json(text).intensity.channels}
    assert kinds == {Window, ValueRange, TableRecord}
    read = [Transform.from_json(text) for text in RECORDED]
    assert {len(transform.intensity.channels) for transform in read} == {0, 1, 3}
    assert {type(c.modality) for t in read for c in t.intensity.channels} == {Rescale, TableRecord}
    assert {transform.decoded.reduction for transform in read} > {1, 4}
    assert {transform.decoded.step for transform in read} == {0, 8}
    assert {transform.intensity.icc for transform in read} == {None, "to sRGB"}
    assert any(transform.intensity.palette and transform.intensity.channels for transform in read)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", "null", '{"geometry": {}, "intensity": {}}',
        COLOR.to_json().replace('"size":64', '"width":64'), COLOR.to_json().replace("[30,20]", "[30]"),
        COLOR.to_json().replace('"size":64', '"size":[64]'), COLOR.to_json().replace('"size":64', '"flipped":[true]'),
        COLOR.to_json().replace("}}", '},"blanked":[[1,2]]}'),
        RECORDED[0].replace("slope", "scale"), RECORDED[0].replace('"voi":{', '"voi":{"lut":"voi",'),
        COLOR.to_json().replace('"bits_stored"', '"decoded_at":"a half","bits_stored"'),
    ],
)  # fmt: skip
def test_a_damaged_text_is_one_sentence(text: str) -> None:
    with pytest.raises(EnvironmentFault, match="is damaged: restore a copy"):
        Transform.from_json(text)


def test_a_newer_text_says_what_to_do() -> None:
    text = json.dumps({**COLOR, "version": 3})
    with pytest.raises(EnvironmentFault, match=r"newer dicomprep \(version 3; supported: 2\): update dicomprep"):
        Transform.from_json(text)


@pytest.mark.parametrize(
    ("plan", "blanked", "added"),
    [
        ({"size": Size((64, 32))}, (), {"size": [64, 32]}),
        ({"size": 64, "flipped": (False, True)}, (), {"size": 64, "flipped": [False, True]}),
        ({"size": 64}, ((0, 1, 5, 20), (8, 0, 9, 3)), {"size": 64}),
    ],
)
def test_what_earlier_releases_cannot_say_is_of_the_second_form(
    plan: dict[str, Any], blanked: tuple[Box, ...], added: dict[str, object]
) -> None:
    made = plan_geometry((30, 20), aspect=1.0, fit="pad", region=(0, 1, 30, 18), **plan)
    transform = Transform(made, Intensity(bits_stored=8), DecodedAs("RGB", "native"), blanked)
    assert Transform.from_json(transform.to_json()) == transform
    assert transform["version"] == transform.version == 2
    assert added.items() <= transform["geometry"].items()
    assert dict(transform).get("blanked", []) == [list(box) for box in blanked]


def test_a_region_alone_is_what_every_release_reads() -> None:
    made = plan_geometry((30, 20), aspect=1.0, size=64, fit="pad", region=(0, 1, 30, 18))
    transform = Transform(made, Intensity(bits_stored=8), DecodedAs("RGB", "native"))
    assert Transform.from_json(transform.to_json()) == transform
    assert (transform.version, {*transform["geometry"]}) == (1, {*COLOR["geometry"]})


def test_nothing_of_it_can_be_changed() -> None:
    transform = Transform.from_json(RECORDED[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.geometry = COLOR.geometry  # type: ignore[misc]
    for record in _records(transform):
        for field in dataclasses.fields(record):  # type: ignore[arg-type]
            assert isinstance(hash(getattr(record, field.name)), int)
    transform["geometry"]["crop_shape"][0] = 99
    assert transform.to_json() == RECORDED[0]


def _records(value: object) -> Iterator[object]:
    """A record and all that are in it."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _records(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _records(item)


def test_a_stored_frame_has_the_transform_that_it_was_drawn_by(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_dicom(place.source / "s/a.dcm", PixelAspectRatio=[2, 1], WindowCenter=40, WindowWidth=400)
    place.run()
    (drawn,) = dicomprep.process_dicom(place.source / "s/a.dcm", size=16)
    assert dicomprep.frame("s/a", db=place.db).transform == drawn.transform
    assert place.rows("SELECT transform FROM frames") == [drawn.transform.to_json()]
    place.execute("UPDATE frames SET transform = '{}'")
    with pytest.raises(EnvironmentFault, match="is damaged"):
        dicomprep.frame("s/a", db=place.db)
