"""What one file is, and why it looks as it does: a table, a picture in the terminal, or a PNG."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dicomprep.config import ImageOptions
from dicomprep.dicom.header import name_syntax
from dicomprep.errors import ConfigError, InputError
from dicomprep.models import Frame, Pixels, Thumbnail
from dicomprep.pixels.geometry import resample
from dicomprep.stages.decode import Image, NoImage, decode
from dicomprep.stages.normalize import normalize
from dicomprep.stages.resize import resize
from dicomprep.storage import open_source

__all__ = ["Inspection", "inspect_file", "text_picture"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a file: (name, value) rows, and a frame as it would be stored, if one can be drawn."""

    rows: tuple[tuple[str, str], ...]
    thumbnail: Thumbnail | None
    error: InputError | None


def inspect_file(path: Path, options: ImageOptions, *, frame_number: int, max_bytes: int) -> Inspection:
    """Explain one frame of one file.

    Raises InputError only where the file cannot be opened, ConfigError where it has no such frame.
    """
    rows: list[tuple[str, str]] = [("File", f"{path} ({path.stat().st_size:,} bytes)" if path.exists() else str(path))]
    with warnings.catch_warnings(action="ignore"), open_source(os.path.abspath(path)) as file:
        try:
            image = decode(file, max_bytes=max_bytes)
            rows += _describe_image(image)
            if not 0 <= frame_number < image.frame_count:
                raise ConfigError(f"{path} has frames 0 to {image.frame_count - 1}, none of number {frame_number}.")
            frame = next(iter(image.frames([frame_number])))
            if not isinstance(frame, Frame):
                return Inspection(tuple(rows), None, frame[1])
            rows += _describe_frame(frame)
            thumbnail = resize(normalize(frame, options), options)
        except NoImage as error:
            modality = error.instance.modality
            rows += [("Modality", modality)] if modality else []
            return Inspection(tuple(rows), None, error)
        except InputError as error:
            return Inspection(tuple(rows), None, error)
    rows += _describe_transform(thumbnail.transform, whose="as asked for" if options.windows else "as the file states")
    return Inspection(tuple(rows), thumbnail, None)


def text_picture(pixels: Pixels, *, columns: int) -> str:
    """(rows, columns[, 3]) uint8 or uint16 as coloured half blocks for a terminal of 24-bit colour."""
    small = resample(pixels, shape=(columns, columns))
    if small.dtype == np.uint16:
        small = (small >> 8).astype(np.uint8)
    color = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small
    lines = []
    for upper, lower in zip(color[0::2], color[1::2], strict=False):
        cells = ("38;2;{};{};{};48;2;{};{};{}".format(*a, *b) for a, b in zip(upper, lower, strict=True))
        lines.append("".join(f"\x1b[{cell}m▀" for cell in cells) + "\x1b[0m")
    return "\n".join(lines)


def _describe_image(image: Image) -> Iterator[tuple[str, str]]:
    instance, layout = image.instance, image.layout
    if instance.modality:
        yield "Modality", instance.modality
    yield "Transfer syntax", name_syntax(instance.transfer_syntax or "")
    yield "Frames", str(image.frame_count)
    sign = "float" if layout.kind == "float" else "signed" if layout.signed else "unsigned"
    bits = f"{layout.bits_stored} of {layout.bits_allocated} bits, {sign}"
    yield "Pixels", f"{layout.rows}×{layout.columns}, {layout.photometric_interpretation}, {bits}"


def _describe_frame(frame: Frame) -> Iterator[tuple[str, str]]:
    yield "Decoded by", frame.decoder
    yield "Stored values", f"{frame.pixels.min()} … {frame.pixels.max()}"
    if frame.aspect != 1:
        yield "Pixel shape", f"{frame.aspect:g} times as high as wide; made square"
    for note in frame.notes:
        yield "Note", note


def _describe_transform(transform: dict[str, Any], *, whose: str) -> Iterator[tuple[str, str]]:
    intensity, geometry = transform["intensity"], transform["geometry"]
    for channel in intensity.get("channels", [intensity]):
        if "modality" in channel:
            yield "Modality rule", _explain_modality(channel["modality"])
            yield "VOI rule", _explain_voi(channel["voi"], whose)
        if channel.get("inverted"):
            yield "Inverted", "yes: low values are bright (MONOCHROME1 or Presentation LUT Shape INVERSE)"
        if "padding" in channel:
            low, high = channel["padding"]
            yield "Padding", f"stored values {low} … {high} are drawn as background"
    if "palette" in intensity:
        yield "Palette", f"{intensity['palette']} entries from stored value {intensity['first']}"
    if "icc" in intensity:
        yield "ICC profile", intensity["icc"]
    scaled, offset = geometry["scaled_shape"], geometry["offset"]
    crop = geometry["crop_shape"]
    yield (
        "Geometry",
        (
            f"{crop[0]}×{crop[1]} scaled to {scaled[0]}×{scaled[1]}, "
            f"placed at row {offset[0]}, column {offset[1]} of {geometry['size']}×{geometry['size']}"
        ),
    )


def _explain_modality(rule: dict[str, Any]) -> str:
    if "lut" in rule:
        return f"Modality LUT of {rule['entries']} entries from {rule['first']}"
    return f"stored value × {rule['slope']:g} + {rule['intercept']:g}"


def _explain_voi(rule: dict[str, Any], whose: str) -> str:
    if "lut" in rule:
        return f"VOI LUT of {rule['entries']} entries from {rule['first']}, {rule['bits']} bits, {whose}"
    if "center" in rule:
        return f"window center {rule['center']:g}, width {rule['width']:g}, {rule['function']}, {whose}"
    return f"no window is stated: {rule['low']:g} … {rule['high']:g} ({rule['rule']})"
