"""What the pages show of a source file, made in a worker: frames at full resolution, attributes, explanations."""

import re
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataelem import DataElement

from dicomprep.checks.inspect import inspect_file
from dicomprep.checks.viewer import Explain, FindText, FrameView, MeasureGrayLevels, ReadTags, Refusal, ViewFrame
from dicomprep.config import Fidelity, ImageOptions
from dicomprep.dicom.displayable import displayable_value
from dicomprep.dicom.scales import SCALE_KEYWORDS, read_scales
from dicomprep.errors import ConfigError, EnvironmentFault, InputError
from dicomprep.models import Frame
from dicomprep.pipeline.opening import source_at
from dicomprep.pipeline.stages.decode import DicomImage, decode
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.blanking import find_writing
from dicomprep.pixels.image_file import decode_image
from dicomprep.pixels.intensity import (
    GrayscaleTransform,
    LookupTable,
    Rescale,
    Window,
    apply_modality,
    draw_grayscale,
    linear_ends,
    shorten,
)
from dicomprep.pixels.resampling import halve
from dicomprep.pixels.windows import WINDOW_PRESETS
from dicomprep.storage.source import SourceFile

__all__ = ["answer"]

MAX_BYTES = 2**30
"""Bytes that one file may take when it is viewed; bounds memory."""

WHOLE = ImageOptions(size=8192, fidelity=Fidelity.EXACT)
MAX_SHOWN_PIXELS = 2**25
"""Pixels of an image sent to a browser; larger ones are halved."""

MAX_TEXT_CHARACTERS = 300
"""Characters of a value or an error that a page shows; bounds the answer."""

BINS = 32
CODES = 2**16
_LONG_NUMBER = re.compile(r"\d{7,}(?:\.\d+)?|\d(?:\.\d+)?e\+\d+")
"""No page says one that a header holds; `inspect` does."""


class _Opened:
    """The file that was asked for last stays open: a cine is seen frame after frame."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._held: tuple[SourceFile, DicomImage] | None = None

    def open(self, path: str) -> DicomImage:
        if self._held is None or self._held[0].path != path or self._held[0].has_changed():
            self._held = None
            self._stack.close()
            file = self._stack.enter_context(source_at(path).open())
            self._held = file, decode(file, max_bytes=MAX_BYTES, extra=SCALE_KEYWORDS)
        return self._held[1]


_opened = _Opened()


def answer(task: Any, _settings: object, _heartbeat: Callable[[], None]) -> Any:  # noqa: ANN401  (what the task says)
    """Do what a task of `viewer` asks for; a Refusal where the file does not allow it."""
    actions: dict[type, Callable[[Any], Any]] = {
        ViewFrame: view_frame,
        ReadTags: read_tags,
        Explain: explain,
        FindText: find_text,
        MeasureGrayLevels: measure_gray_levels,
    }
    try:
        with warnings.catch_warnings(action="ignore"):
            return actions[type(task)](task)
    except InputError as error:
        return Refusal(error.code, error.detail)


def view_frame(task: ViewFrame) -> FrameView:
    """One frame: gray as codes of 16 bits with what each stands for, or RGB of 8 bits."""
    image = _opened.open(task.path)
    frame = image.frame(task.index, WHOLE)
    about: dict[str, Any] = {"frames": image.frame_count, "aspect": frame.aspect, "notes": list(frame.notes)}
    about |= asdict(read_scales(image.attributes(task.index), image.layout))
    about["modality"] = image.instance.modality or ""
    about["presets"] = list(WINDOW_PRESETS.items()) if about["unit"] == "HU" else []
    if frame.grayscale:
        described, arrays = _grayscale(frame, frame.grayscale[0])
    else:
        pixels = _bounded(normalize(frame, WHOLE).pixels)
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
        described, arrays = {"kind": "rgb", "rows": pixels.shape[0], "columns": pixels.shape[1]}, [pixels]
    shown = described["rows"] / frame.source_shape[0]
    about |= described | {"scale": shown, "source": list(frame.source_shape)}
    return FrameView(about, b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))


def read_tags(task: ReadTags) -> list[tuple[str, str, str]]:
    """(tag, name, value) of the attributes before the pixels: of all, or of those that say what an image is."""
    with source_at(task.path).open() as file:
        try:
            dataset = dcmread(file.stream(), stop_before_pixels=True, force=True, defer_size=2**16)
        except Exception as error:  # noqa: BLE001  (pydicom raises whatever comes)
            return [("", "Error", str(error)[:MAX_TEXT_CHARACTERS] if task.everything else type(error).__name__)]
        said = ((element, _text(element) if task.everything else displayable_value(element)) for element in dataset)
        return [(str(element.tag), element.name, text) for element, text in said if text is not None]


def explain(task: Explain) -> list[tuple[str, str]]:
    """(name, value) rows, the reason why there is no picture last."""
    try:
        options = ImageOptions(**task.image)
    except (ConfigError, TypeError):
        options = ImageOptions()
    inspection = inspect_file(task.path, options, frame_number=0, max_bytes=MAX_BYTES)
    rows = [(name, value if name == "File" else _LONG_NUMBER.sub("…", value)) for name, value in inspection.rows]
    if inspection.error is not None:
        rows.append(("Error", f"{inspection.error.detail} [{inspection.error.code}]"))
    return rows


def find_text(task: FindText) -> list[tuple[int, ...]]:
    """Where lines of text are seen, as `--blank-text` looks for them; of an ultrasound image not what is beside it."""
    frame = _opened.open(task.path).frame(task.index, WHOLE)
    pixels = normalize(frame, WHOLE).pixels
    return list(find_writing(pixels, grid=frame.grid, shape=frame.source_shape, regions=()))


def measure_gray_levels(task: MeasureGrayLevels) -> list[int]:
    """How many pixels fall into each of 32 bins."""
    counts = np.zeros(BINS, np.int64)
    for name in task.names:
        with suppress(OSError, ValueError, EnvironmentFault):
            pixels = decode_image(task.images.read(name))
            ceiling = np.iinfo(pixels.dtype).max + 1
            counts += np.histogram(pixels, bins=BINS, range=(0, ceiling))[0]
    return [int(count) for count in counts]


def _grayscale(frame: Frame, grayscale: GrayscaleTransform) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Codes, the modality value of each code and its gray level as the thumbnail has it."""
    codes, stored = _encode(_bounded(frame.pixels))
    values = apply_modality(stored, grayscale.modality)
    table = draw_grayscale(stored.reshape(1, -1), grayscale=grayscale, bits_stored=frame.bits_stored, depth=8).ravel()
    background = np.zeros(len(stored), np.uint8)
    if grayscale.padding is not None:
        background[(stored >= grayscale.padding[0]) & (stored <= grayscale.padding[1])] = 1
    center, width = _window(grayscale)
    about = {
        "kind": "gray",
        "rows": codes.shape[0],
        "columns": codes.shape[1],
        "codes": len(stored),
        "center": shorten(center),
        "width": shorten(width),
        **_describe_window(grayscale),
        "inverted": grayscale.inverted,
        "rescaled": grayscale.modality != Rescale(),
    }
    return about, [values.astype("<f4"), table, background, codes.astype("<u2")]


def _encode(pixels: NDArray[Any]) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Pixels as codes from 0, and the stored value that each code stands for; a multiple of four of them."""
    finite = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    step = 1.0 if pixels.dtype.kind in "iu" and high - low < CODES else (high - low) / (CODES - 1) or 1.0
    shifted = np.nan_to_num((pixels.astype(np.float64) - low) / step, nan=0.0, posinf=CODES - 1, neginf=0.0)
    codes = np.clip(np.rint(shifted), 0, CODES - 1).astype(np.uint16)
    count = (int(codes.max()) // 4 + 1) * 4
    return codes, low + step * np.arange(count, dtype=np.float64)


def _window(grayscale: GrayscaleTransform) -> tuple[float, float]:
    """Center and width that come nearest to how the frame is drawn."""
    voi = grayscale.voi
    ends = linear_ends(voi)
    if ends is not None:
        return (ends[0] + ends[1]) / 2, max(ends[1] - ends[0], 1e-6)
    if isinstance(voi, LookupTable):
        return voi.first + len(voi.values) / 2, float(len(voi.values))
    return (voi.center, voi.width) if isinstance(voi, Window) else (voi.low, 1.0)


def _describe_window(grayscale: GrayscaleTransform) -> dict[str, Any]:
    """Width and level as a viewer shows them: those of a window as the file states them."""
    voi = grayscale.voi
    level, width = (voi.center, voi.width) if isinstance(voi, Window) else _window(grayscale)
    source = {Window: "file", LookupTable: "VOI LUT"}.get(type(voi), "auto")
    return {"level": shorten(level), "window_width": shorten(width), "window_from": source}


def _bounded(pixels: NDArray[Any]) -> NDArray[Any]:
    while pixels.shape[0] * pixels.shape[1] > MAX_SHOWN_PIXELS:
        pixels = halve(pixels, times=1) if pixels.dtype.str[1:] in ("u1", "u2", "i2") else pixels[::2, ::2]
    return pixels


def _text(element: DataElement) -> str:
    if element.VR == "SQ":
        return f"{len(element.value)} items"
    if isinstance(element.value, bytes):
        return f"{len(element.value):,} bytes"
    text = element.repval if element.VR == "UI" else str(element.value)
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}…"
