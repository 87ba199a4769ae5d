"""The formats of annotations, by name."""

from enum import StrEnum

from dicomprep.exchange.drawings import coco, csv, cvat, labelstudio, masks, yolo
from dicomprep.exchange.drawings.base import DrawingFormat

__all__ = ["FORMATS", "DrawingFormatName"]


class DrawingFormatName(StrEnum):
    """How annotations are exchanged."""

    COCO = "coco"
    YOLO = "yolo"
    LABELSTUDIO = "labelstudio"
    CVAT = "cvat"
    CSV = "csv"
    MASKS = "masks"


FORMATS: dict[DrawingFormatName, DrawingFormat] = {
    DrawingFormatName.COCO: coco,
    DrawingFormatName.YOLO: yolo,
    DrawingFormatName.LABELSTUDIO: labelstudio,
    DrawingFormatName.CVAT: cvat,
    DrawingFormatName.CSV: csv,
    DrawingFormatName.MASKS: masks,
}
