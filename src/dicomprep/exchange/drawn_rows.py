"""The annotations of an export, beside its images: a COCO file for each split."""

import json
from contextlib import suppress
from pathlib import Path

from dicomprep.config import SPLIT_NAMES
from dicomprep.database.queries.annotations import Annotation, drawn_on
from dicomprep.exchange.annotation_export import drawn_classes, shapes_of
from dicomprep.exchange.drawings.base import DrawnImage, Pixels
from dicomprep.exchange.drawings.coco import as_coco
from dicomprep.exchange.formats.folder import class_folders
from dicomprep.exchange.options import Format
from dicomprep.exchange.rows import Rows
from dicomprep.pixels.transform import Transform
from dicomprep.storage.access import make_folder
from dicomprep.storage.sync import replace_file
from dicomprep.workspace import Workspace

__all__ = ["FOLDER", "write_drawings"]

FOLDER = "annotations"


def write_drawings(  # noqa: PLR0913
    rows: Rows, workspace: Workspace, kind: Format, out: Path, *, classes: list[str], version: str | None, access: int
) -> int:
    """Write `annotations/SPLIT.json` of all images of an export, in pixels of its images; how many drawings there are.

    `file_name` is that of the image: in folders its path from the folder of the export.
    """
    with workspace.reading() as connection:
        drawn = drawn_on(connection, version)
        names = drawn_classes(connection, drawn)
    folders, count = class_folders(classes) if kind is Format.FOLDER else {}, 0
    make_folder(out / FOLDER, access)
    for split in SPLIT_NAMES:
        place = out / FOLDER / f"{split}.json"
        images = [_image(rows, int(number), drawn, folders) for number in rows.of_split(split)]
        if images:
            content = json.dumps(as_coco(images, names), ensure_ascii=False).encode()
            replace_file(place, content, mode=0o666 & access)
        else:
            with suppress(FileNotFoundError):
                place.unlink()
        count += sum(len(image.shapes) for image in images)
    return count


def _image(rows: Rows, number: int, drawn: dict[int, list[Annotation]], folders: dict[str | None, str]) -> DrawnImage:
    row, columns = int(rows.order[number]), rows.selection.columns
    split, label = columns["split"][row], columns["label"][row]
    name = rows.image_name(number)
    several = drawn.get(columns["id"][row], [])
    shapes = shapes_of(several, Transform.from_json(columns["transform"][row]), Pixels.THUMBNAIL) if several else ()
    return DrawnImage(
        f"{split}/{folders[label]}/{name}" if folders else name,
        split,
        (columns["height"][row], columns["width"][row]),
        shapes,
        columns["thumbnail_path"][row],
        columns["digest"][row],
    )
