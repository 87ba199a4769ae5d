"""Series that are several volumes: which parts they have, and what these are called."""

import numpy as np
import pytest

import dicomprep
from tests.running import Place
from tests.volumes.scenes import OFFSET, sample, uid_of, worlds

PARTS = {
    "ascending": [""],
    "echoes": ["echo1", "echo2"],
    "echoes that vary": ["echo1", "echo2"],
    "components": ["magnitude", "phase"],
    "diffusion": ["b0", "b1000_direction1", "b1000_direction2", "b1000_direction3"],
    "times": ["time1", "time2"],
    "phases": ["phase1", "phase2"],
    "moments": ["time1", "time2"],
    "kernels": ["soft", "lung"],
    "planes": ["axial", "coronal"],
    "blocks": ["acquisition1", "acquisition2"],
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
    thumbnails = dicomprep.volume(uid, db=scenes.db, part="b0")
    assert thumbnails.filenames == dicomprep.volume(uid, db=scenes.db, values="rescaled", part="b0").filenames
