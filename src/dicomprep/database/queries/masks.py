"""Which frames of segmentations say something of an image."""

from typing import NamedTuple

from sqlalchemy import Connection, or_, select

from dicomprep.database.reference_schema import image_references
from dicomprep.database.schema import files, frames

__all__ = ["MaskOfImage", "masks_of"]

MAX_MASKS = 32
"""Of one image; bounds what a page fetches."""


class MaskOfImage(NamedTuple):
    """A frame of a segmentation, which is an image of kind mask."""

    id: int
    frame: int
    """From 0."""
    digest: str
    """Of its thumbnail."""
    name: str
    number: int | None
    """Of its segment; None of a label map, whose values are the numbers."""


def masks_of(connection: Connection, frame_id: int) -> list[MaskOfImage]:
    """The frames of segmentations that were drawn on an image, in the order of their files; 32 at most."""
    image = select(files.c.sop_instance_uid, frames.c.frame_number).join(files, files.c.id == frames.c.file_id)
    row = connection.execute(image.where(frames.c.id == frame_id)).first()
    if row is None or row.sop_instance_uid is None:
        return []
    said, masked = image_references.c, frames.c
    statement = (
        select(masked.id, masked.frame_number, masked.digest, said.meaning, said.label, said.number)
        .select_from(image_references.join(files, files.c.id == said.file_id))
        .join(frames, (masked.file_id == said.file_id) & (masked.frame_number == said.source_frame - 1))
        .where(said.target_sop_instance_uid == row.sop_instance_uid, said.kind == "segment")
        .where(or_(said.target_frame.is_(None), said.target_frame == row.frame_number + 1))
        .where(files.c.duplicate_of.is_(None))
        .order_by(masked.id, said.position)
        .limit(MAX_MASKS)
    )
    return [
        MaskOfImage(mask_id, number, digest.hex(), meaning or label or "segment", segment)
        for mask_id, number, digest, meaning, label, segment in connection.execute(statement)
    ]
