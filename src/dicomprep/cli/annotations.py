"""`dicomprep annotations import FORMAT FILE` and `dicomprep annotations export FORMAT OUT`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from dicomprep.cli.console import printable
from dicomprep.cli.options import Db, Flag
from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import Choice
from dicomprep.errors import ConfigError, count_of
from dicomprep.exchange.annotation_export import export_annotations
from dicomprep.exchange.annotations import import_annotations
from dicomprep.exchange.drawings.base import Pixels
from dicomprep.exchange.drawings.registry import FORMATS, DrawingFormatName
from dicomprep.exchange.row_report import report_rows
from dicomprep.exchange.tables import require_table_place
from dicomprep.volumetric.segments import read_masks
from dicomprep.workspace import Workspace

__all__ = ["annotations"]

annotations = App(name="annotations", help="Import or export boxes, points and polygons.")

Format = Literal["coco", "yolo", "labelstudio", "cvat", "csv"]
WrittenFormat = Literal["coco", "yolo", "labelstudio", "cvat", "csv", "masks"]
InPixels = Literal["thumbnail", "source"]
_WITH_SEGMENTS = (DrawingFormatName.COCO, DrawingFormatName.MASKS)


@annotations.command(name="import")
def import_(  # noqa: PLR0913
    format: Format,
    file: Path,
    *,
    db: Db = DEFAULT_DB,
    pixels: InPixels = "thumbnail",
    annotator: str = "imported",
    by: str | None = None,
    unmatched: Path | None = None,
) -> int:
    """Import annotations of images: COCO, YOLO, Label Studio (JSON), CVAT (XML 1.1 for images), CSV or Parquet.

    Images are named by key (of an export), file name or path, as for labels. Nothing is overwritten: annotations are a
    log, and importing a file twice records nothing. What is no annotation, lies outside of its image or is of an image
    of another size is named.

    Parameters
    ----------
    format
        coco, yolo, labelstudio, cvat or csv.
    file
        A file; of yolo the folder with data.yaml; of coco also a folder of .json files.
    pixels
        Whose pixels the coordinates are: of the thumbnail (what dicomprep exports) or of the source (the DICOM file).
    annotator
        Who drew what does not say so.
    by
        Column of a table that names the image, or COLUMN=KIND, as for `labels import`.
    unmatched
        Write the images that match nothing to this CSV or Parquet file.

    """
    require_table_place(unmatched, apart_from=file)
    done = import_annotations(
        Workspace.open(db), DrawingFormatName(format), file, pixels=Pixels(pixels), annotator=annotator, by=by
    )
    print(f"{count_of(done.recorded, 'annotation')} recorded, {done.unchanged:,} unchanged.")
    for line in (*done.told, *report_rows(done.matched, unmatched, done.candidates).split("\n")):
        print(printable(line))
    return int(done.matched.has_no_match)


@annotations.command
def export(  # noqa: PLR0913
    format: WrittenFormat,
    out: Path,
    *,
    db: Db = DEFAULT_DB,
    pixels: InPixels = "thumbnail",
    split: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    where: str | None = None,
    version: str | None = None,
    unlabeled: Flag = False,
    segments: Flag = False,
) -> int:
    """Export annotations; images are named by their pseudonymous keys, as in exports.

    Images without an annotation are included if they have a label: somebody saw them.

    Parameters
    ----------
    format
        coco (a JSON file for each split), yolo (with the images), labelstudio, cvat, csv, or masks (PNG, of
        the segments of binary SEG files that name an image).
    out
        A folder for coco, yolo and masks, else a file: .json, .xml, .csv or .parquet.
    pixels
        Coordinates in pixels of the thumbnail, or of the source (the DICOM file).
    split
        Only images of this split: train, val or test; repeatable.
    where
        Only images that meet this condition, such as "modality = 'CT'".
    version
        Images, splits and annotations of this version.
    unlabeled
        Also include images that have neither an annotation nor a label.
    segments
        coco: also write the segments of binary SEG files that name an image, as RLE masks. Their files are read again.

    """
    name = DrawingFormatName(format)
    _require_place(name, out, pixels)
    if segments and name not in _WITH_SEGMENTS:
        raise ConfigError("--segments: masks have a place in coco only, or export the format masks.")
    choice = Choice(split=split, where=where, version=version, held=not FORMATS[name].NEEDS_IMAGES)
    done = export_annotations(
        Workspace.open(db),
        name,
        out,
        pixels=Pixels(pixels),
        choice=choice,
        unlabeled=unlabeled,
        read_masks=read_masks if segments or name is DrawingFormatName.MASKS else None,
    )
    written = f"{count_of(done.shapes, 'annotation')} on {done.annotated:,} of {count_of(done.images, 'image')}"
    print(f"Wrote {written} to {out}.")
    for reason, count in done.left_out.items():
        print(f"Left out: {count:,} × {reason}.")
    return 0


def _require_place(name: DrawingFormatName, out: Path, pixels: str) -> None:
    endings = {DrawingFormatName.LABELSTUDIO: (".json",), DrawingFormatName.CVAT: (".xml",)}.get(name)
    if endings and out.suffix.lower() not in endings:
        raise ConfigError(f"{out}: give a file name ending in {endings[0]}.")
    is_folder = name in (*_WITH_SEGMENTS, DrawingFormatName.YOLO)
    if is_folder and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        raise ConfigError(f"{out} is not empty: {name} is written to a new folder.")
    if name is DrawingFormatName.YOLO and pixels == Pixels.SOURCE:
        raise ConfigError("--pixels source: yolo has the thumbnails beside the labels, and its coordinates are theirs.")
