"""PNG masks: for each split and class a folder of images that are 255 where the class is, and 0 elsewhere."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError
from dicomprep.exchange.drawings.base import DrawnMask, DrawnSet, ReadDrawings, make_folder
from dicomprep.pixels.png import encode_png
from dicomprep.storage.sync import replace_file

__all__ = ["NEEDS_IMAGES", "read", "write"]

NEEDS_IMAGES = False


def write(out: Path, drawn: DrawnSet) -> Mapping[str, int]:
    """`train/1/KEY.png` …, and `classes.txt` with the names of the classes 1, 2 …, one a line.

    Segments of one class are joined; what is drawn as boxes, points and polygons has no mask.
    """
    make_folder(out)
    replace_file(out / "classes.txt", "".join(f"{name}\n" for name in drawn.classes).encode())
    numbers = {name: number for number, name in enumerate(drawn.classes, 1)}
    for image in drawn.images:
        of_class = defaultdict[str, list[DrawnMask]](list)
        for mask in image.masks:
            of_class[mask.label].append(mask)
        for label, masks in of_class.items():
            folder = out / image.split / str(numbers[label])
            make_folder(folder)
            replace_file(folder / f"{PurePath(image.name).stem}.png", encode_png(_join(masks)))
    shapes = sum(len(image.shapes) for image in drawn.images)
    return {"a box, point or polygon, which is no mask": shapes} if shapes else {}


def read(path: Path) -> ReadDrawings:
    """Raise ConfigError: masks are only written."""
    raise ConfigError(f"{path}: PNG masks are not imported; SEG files are: put them into the folder of the data.")


def _join(masks: Iterable[DrawnMask]) -> NDArray[np.uint8]:
    """(rows, columns): 255 where any of them is set."""
    return np.maximum.reduce([_fill(mask) for mask in masks])


def _fill(mask: DrawnMask) -> NDArray[np.uint8]:
    runs = np.repeat(np.arange(len(mask.counts)) % 2 * 255, mask.counts)
    return runs.reshape(mask.size, order="F").astype(np.uint8)
