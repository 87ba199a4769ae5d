"""What one file is, and why it looks as it does: a table, a picture in the terminal, or a PNG."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dicomprep.checks.explain import Rows, explain_frame, explain_image, explain_references, explain_thumbnail
from dicomprep.config import ImageOptions
from dicomprep.dicom.provenance import read_provenance
from dicomprep.dicom.references import describes_images, read_references
from dicomprep.errors import ConfigError, InputError
from dicomprep.models import Instance, Pixels, Thumbnail
from dicomprep.pipeline.opening import source_at
from dicomprep.pipeline.stages.decode import NoImage, decode
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pipeline.stages.resize import resize
from dicomprep.pixels.png import encode_png
from dicomprep.pixels.resampling import resample
from dicomprep.storage.place import is_url
from dicomprep.storage.source import SourceFile
from dicomprep.storage.sync import drafted

__all__ = ["Inspection", "inspect_file", "render_in_terminal", "save_png"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a file: (name, value) rows, and a frame as it would be stored, if one can be drawn."""

    rows: tuple[tuple[str, str], ...]
    thumbnail: Thumbnail | None
    error: InputError | None


def inspect_file(path: str | Path, options: ImageOptions, *, frame_number: int, max_bytes: int) -> Inspection:
    """Explain one frame of one file.

    Raises InputError only where the file cannot be opened, ConfigError where it has no such frame.
    """
    with warnings.catch_warnings(action="ignore"), source_at(_place_of(path)).open() as file:
        rows = [("File", f"{path} ({file.size:,} bytes)")]
        try:
            image = decode(file, max_bytes=max_bytes)
            rows += explain_image(image)
            rows += _explain_references(file, image.instance, max_bytes)
            if not 0 <= frame_number < image.frame_count:
                raise ConfigError(f"{path} has no frame {frame_number} (valid: 0 to {image.frame_count - 1}).")
            frame = image.frame(frame_number, options)
            rows += explain_frame(frame, read_provenance(image.attributes(frame_number)), options)
            thumbnail = resize(normalize(frame, options), options)
        except NoImage as error:
            modality = error.instance.modality
            rows += [("Modality", modality)] if modality else []
            rows += _explain_references(file, error.instance, max_bytes)
            return Inspection(tuple(rows), None, error)
        except InputError as error:
            return Inspection(tuple(rows), None, error)
    rows += explain_thumbnail(thumbnail, frame)
    return Inspection(tuple(rows), thumbnail, None)


def _explain_references(file: SourceFile, instance: Instance, max_bytes: int) -> Rows:
    """What the file says of images of others, if it is of a kind that does."""
    if describes_images(instance.sop_class_uid):
        yield from explain_references(read_references(file, instance.sop_class_uid, max_bytes=max_bytes))


def save_png(pixels: Pixels, path: Path) -> None:
    """Write (rows, columns[, 3]) uint8 or uint16 to `path`: as a whole, or not at all."""
    with drafted(path) as draft:
        draft.write_bytes(encode_png(pixels))


def _place_of(path: str | Path) -> str:
    return str(path) if is_url(path) else os.path.abspath(path)


def render_in_terminal(pixels: Pixels, *, columns: int) -> str:
    """(rows, columns[, 3]) uint8 or uint16 as colored half blocks for a terminal of 24-bit color.

    It is as wide as `columns`, and no higher than wide.
    """
    rows, width = pixels.shape[:2]
    scale = columns / max(rows, width)
    across, down = max(1, round(width * scale)), max(1, round(rows * scale / 2))  # two rows make one of the terminal's
    small = resample(pixels, shape=(2 * down, across))
    if small.dtype == np.uint16:
        small = (small >> 8).astype(np.uint8)
    color = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small
    lines = []
    for upper, lower in zip(color[0::2], color[1::2], strict=False):
        cells = ("38;2;{};{};{};48;2;{};{};{}".format(*a, *b) for a, b in zip(upper, lower, strict=True))
        lines.append("".join(f"\x1b[{cell}m▀" for cell in cells) + "\x1b[0m")
    return "\n".join(lines)
