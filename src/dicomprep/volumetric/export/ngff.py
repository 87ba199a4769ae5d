"""A volume as a group of zarr (version 3) with the metadata of OME-NGFF 0.5."""

from pathlib import Path
from typing import Any

import numpy as np

from dicomprep.extras import load_extra
from dicomprep.storage.access import access_of
from dicomprep.volumetric.volume import Volume

__all__ = ["write_zarr"]

CHUNK_BYTES = 4 * 2**20
"""About as much as a block of slices takes before it is compressed."""

AXES = ("z", "y", "x")
"""Slices, rows and columns."""


def write_zarr(volume: Volume, path: Path, *, access: int) -> None:
    """Write a volume as a new group with one array `0`, (slices, rows, columns), in blocks of slices.

    Attributes have the affine (LPS, as `Volume.affine`) and the unit of values; `ome` is what viewers read. Files are
    for whom `access` says. Raises ConfigError without zarr.
    """
    zarr = load_extra("zarr", extra="volumes", purpose="export zarr")
    slices, rows, columns = volume.array.shape
    block = min(slices, max(1, CHUNK_BYTES // (rows * columns * volume.array.itemsize)))
    with access_of(access):
        group = zarr.open_group(str(path), mode="w", zarr_format=3)
        array = group.create_array(
            "0", shape=volume.array.shape, chunks=(block, rows, columns), dtype=volume.array.dtype, dimension_names=AXES
        )
        for start in range(0, slices, block):
            array[start : start + block] = volume.array[start : start + block]
        group.attrs.update(_attributes(volume))


def _attributes(volume: Volume) -> dict[str, Any]:
    affine = np.eye(4) if volume.affine is None else volume.affine
    scale = [float(length) for length in np.linalg.norm(affine[:3, :3], axis=0)]
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in AXES]
    return {
        "affine_lps": affine.tolist(),
        "unit": volume.unit,
        "values": volume.values,
        "part": volume.part,
        "notes": list(volume.notes),
        "ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset], "name": volume.part or "0"}]},
    }
