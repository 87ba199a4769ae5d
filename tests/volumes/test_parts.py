"""Series that are several volumes: which parts they have, and what these are called."""

from typing import Any

import numpy as np
import pytest

import dicomprep
from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.dividers import read_dividers
from dicomprep.dicom.grayscale import FrameAttributes
from tests.building import dataset_of
from tests.running import Place
from tests.volumes.scenes import OFFSET, sample, uid_of, worlds

PARTS = {
    "ascending": [""],
    "echoes": ["echo1", "echo2"],
    "echoes that vary": ["echo1", "echo2"],
    "echoes that jitter": ["echo1", "echo2"],
    "components": ["magnitude", "phase"],
    "contents": ["time1", "time2"],
    "diffusion": ["b0", "b1000_direction1", "b1000_direction2", "b1000_direction3"],
    "times": ["time1", "time2"],
    "phases": ["phase1", "phase2"],
    "moments": ["time1", "time2"],
    "kernels": ["soft", "lung"],
    "planes": ["axial", "coronal"],
    "blocks": ["acquisition1", "acquisition2"],
    "nuclear": ["phase1", "phase2"],
    "enhanced 4D": ["time1", "time2"],
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_named_and_each_is_a_volume(scenes: Place, name: str) -> None:
    volumes = list(dicomprep.volumes(uid_of(name), db=scenes.db))
    assert sorted(volume.part for volume in volumes) == sorted(PARTS[name])
    means = []
    for volume in volumes:
        excess = volume.array - sample(worlds(volume))
        if volume.part != "coronal":
            assert excess == pytest.approx(np.full(excess.shape, excess.mean().round(-2)), abs=0.501)
        means.append(excess.mean().round(-2))
    if name not in ("planes", "ascending"):
        assert sorted(means) == [OFFSET * number for number in range(len(volumes))]
    names = [name for volume in volumes for name in volume.filenames]
    assert len(names) == len(set(names))


def test_one_of_several_parts_is_asked_for_by_name(scenes: Place) -> None:
    uid = uid_of("diffusion")
    with pytest.raises(dicomprep.ExportError, match="not one volume but 4: give part= one of b0, b1000_direction1, "):
        dicomprep.volume(uid, db=scenes.db, values="auto")
    with pytest.raises(dicomprep.ExportError, match=r"has no part b2000: its parts are b0, "):
        dicomprep.volume(uid, db=scenes.db, values="auto", part="b2000")
    with pytest.raises(dicomprep.ExportError, match="has no part b0: it is not divided"):
        dicomprep.volume(uid_of("ascending"), db=scenes.db, values="auto", part="b0")
    assert dicomprep.volume(uid, db=scenes.db, values="rescaled", part="b0").part == "b0"
    with pytest.raises(dicomprep.ExportError, match=r"the same position .* Its parts, for part=: echo1, echo2\.$"):
        dicomprep.volume(uid_of("echoes"), db=scenes.db)
    thumbnails = dicomprep.volume(uid, db=scenes.db, part="b0")
    assert thumbnails.filenames == dicomprep.volume(uid, db=scenes.db, values="rescaled", part="b0").filenames


def test_components_that_vendors_state_by_themselves() -> None:
    ge = dataset_of(Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "OTHER"])
    ge.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 2)
    root = Attributes.of(ge)
    assert read_dividers(root, FrameAttributes(root, 0))["image_type"] == "R"


@pytest.mark.parametrize(
    ("group", "creator", "elements"),
    [
        (0x0019, "SIEMENS MR HEADER", {0x0E: ("FD", [0.6, 0.8, 0.0])}),
        (0x0019, "GEMS_ACQU_01", {0xBB: ("DS", "0.6"), 0xBC: ("DS", "0.8"), 0xBD: ("DS", "0")}),
        (0x2005, "Philips MR Imaging DD 001", {0xB0: ("FL", 0.6), 0xB1: ("FL", 0.8), 0xB2: ("FL", 0.0)}),
    ],
)
def test_directions_that_vendors_state_by_themselves(group: int, creator: str, elements: dict[int, Any]) -> None:
    dataset = dataset_of(Modality="MR")
    block = dataset.private_block(group, creator, create=True)
    for element, (representation, value) in elements.items():
        block.add_new(element, representation, value)
    root = Attributes.of(dataset)
    assert read_dividers(root, FrameAttributes(root, 0))["direction"] == pytest.approx((0.6, 0.8, 0))


def test_segments_of_a_segmentation() -> None:
    groups = [{"SegmentIdentificationSequence": [{"ReferencedSegmentNumber": number}]} for number in (1, 2)]
    root = Attributes.of(dataset_of(Modality="SEG", PerFrameFunctionalGroupsSequence=groups))
    assert [read_dividers(root, FrameAttributes(root, index))["segment"] for index in (0, 1)] == [1, 2]
