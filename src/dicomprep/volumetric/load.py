"""A part of a series from its sources: each opened once, decoded slice by slice into one array."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.config import Fidelity, ImageOptions
from dicomprep.dicom.attributes import Attributes
from dicomprep.dicom.grayscale import FrameAttributes
from dicomprep.dicom.nuclear import NUCLEAR_KEYWORDS
from dicomprep.dicom.quantities import QUANTITY_KEYWORDS, Quantity, Values, read_quantity
from dicomprep.errors import ExportError, InputError
from dicomprep.models import Frame
from dicomprep.pipeline.stages.decode import DicomImage, decode
from dicomprep.pixels.grids import Planes, compute_grid_affine, find_fault, straighten
from dicomprep.pixels.intensity import LookupTable, Rescale, apply_modality
from dicomprep.storage.source import SourceFile
from dicomprep.volumetric.division import ImageOfSeries, places_of, positions_of
from dicomprep.volumetric.plan import Part, read_place
from dicomprep.volumetric.sources import MAX_FILE_BYTES, read_sources
from dicomprep.volumetric.volume import Volume

__all__ = ["load_part"]

_WHOLE = ImageOptions(window="0/1", fidelity=Fidelity.EXACT)
"""At full resolution; a window is given so that none is measured."""

_KEYWORDS = (*QUANTITY_KEYWORDS, *NUCLEAR_KEYWORDS)
_TYPES = (np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.float32))
TILT_TOLERANCE = 1e-3
"""How much a direction cosine may differ from slice to slice: 0.06 degrees."""


def load_part(part: Part, *, values: str = "auto", resample: bool = False) -> Volume:
    """Read a part of a series from its sources, at native resolution.

    `values` is auto, hu, suv or rescaled; `resample` brings tilted, unevenly spaced or doubled slices onto an even grid
    (see `straighten`; of several at one place the first by Instance Number counts). Raises ExportError with the reason
    where a source cannot be read or has changed, where values are not what is asked for, or slices make no even grid.

    Returns (slices, rows, columns) int16, int32 or float32, ascending along the normal, with an affine in LPS.
    """
    try:
        images, notes = _in_order(part.images, resample=resample)
        _require_even(_planned(images), images, resample=resample)
        read = _read(part, images, Values(values))
        return _finish(read, part, notes, values=values, resample=resample)
    except ExportError as error:
        raise ExportError(f"{str(part)[0].upper()}{str(part)[1:]} is not a volume: {error}.") from error


def _in_order(images: Sequence[ImageOfSeries], *, resample: bool) -> tuple[list[ImageOfSeries], tuple[str, ...]]:
    """By position, else by Instance Number and frame; one at each place."""
    if positions_of(images) is None:
        return _by_number(images), ()
    places = [sorted(members, key=_number) for members in places_of(images)]
    several = next((members for members in places if len(members) > 1), None)
    if several is not None and not resample:
        two = f"{several[0].filename} and {several[1].filename}"
        raise ExportError(f"{two} have the same position, and nothing tells them apart")
    left_out = len(images) - len(places)
    return [members[0] for members in places], (f"{left_out} images at the place of another left out",) * bool(left_out)


def _number(image: ImageOfSeries) -> tuple[int, int, str]:
    return image.instance or 0, image.frame, image.filename


def _by_number(images: Sequence[ImageOfSeries]) -> list[ImageOfSeries]:
    known = sum(image.origin is not None for image in images)
    if known:
        raise ExportError(f"{len(images) - known} of {len(images)} slices have no position")
    (number, most), *_ = Counter((image.instance, image.frame) for image in images).most_common(1)
    if most > 1:
        one = f"Instance Number {number[0]} and frame {number[1]}"
        raise ExportError(f"{most} slices have {one}, and none has a position")
    return sorted(images, key=_number)


def _planned(images: Sequence[ImageOfSeries]) -> Planes | None:
    """Where slices lie as it is recorded: what is no volume is refused before anything is read."""
    first = images[0]
    if first.cosines is None or first.spacing is None or any(image.origin is None for image in images):
        return None
    origins = np.array([image.origin for image in images], np.float64)
    return Planes(origins, np.reshape(first.cosines, (2, 3)), first.spacing)


def _require_even(planes: Planes | None, images: Sequence[ImageOfSeries], *, resample: bool) -> bool:
    """Whether slices lie on an even grid; ExportError where not, and they are not to be resampled."""
    fault = None if planes is None else find_fault(planes)
    if fault is not None and not resample:
        where = "" if fault.at is None else f" between {images[fault.at].filename} and {images[fault.at + 1].filename}"
        raise ExportError(f"{fault.reason}{where}; resampling brings the slices onto an even grid")
    return fault is None


@dataclass(slots=True)
class _Read:
    """What was read so far, by slice."""

    images: list[ImageOfSeries]
    array: NDArray[Any] | None = None
    places: dict[int, tuple[tuple[float, ...] | None, tuple[float, ...] | None, tuple[float, float] | None]] = field(
        default_factory=dict
    )
    quantities: dict[int, Quantity] = field(default_factory=dict)
    thickness: float | None = None

    def put(self, number: int, plane: NDArray[Any]) -> None:
        """Put a slice in its place; the array becomes wider when a slice needs it."""
        if self.array is None:
            self.array = np.empty((len(self.images), *plane.shape), plane.dtype)
        if self.array.shape[1:] != plane.shape:
            one, other = self.array.shape[1:], plane.shape
            raise ExportError(f"slices differ in shape: {one[0]}×{one[1]}, {other[0]}×{other[1]}")
        if plane.dtype != self.array.dtype:
            wider = _TYPES[max(_TYPES.index(plane.dtype), _TYPES.index(self.array.dtype))]
            self.array = self.array.astype(wider, copy=False)
        self.array[number] = plane


def _read(part: Part, images: list[ImageOfSeries], values: Values) -> _Read:
    read = _Read(images)
    of_files = defaultdict[int, list[int]](list)
    for number, image in enumerate(images):
        of_files[image.file].append(number)

    def read_file(file_id: int, file: SourceFile) -> None:
        content = decode(file, max_bytes=MAX_FILE_BYTES, extra=_KEYWORDS)
        for number in of_files[file_id]:
            try:
                _read_slice(read, number, content, values)
            except ExportError as error:
                raise ExportError(f"{images[number].filename}: {error}") from error

    read_sources({file_id: part.sources[file_id] for file_id in of_files}, read_file)
    return read


def _read_slice(read: _Read, number: int, image: DicomImage, values: Values) -> None:
    index = read.images[number].frame
    attributes = image.attributes(index)
    if b"MOSAIC" in attributes.root.raw("ImageType"):
        raise ExportError("a mosaic of Siemens has several slices in one image")
    if not image.layout.is_grayscale:
        raise ExportError(f"{image.layout.photometric_interpretation} is color, which is no measured value")
    read.quantities[number] = read_quantity(attributes, image.layout, values)
    read.places[number] = read_place(attributes, index=index, count=image.frame_count)
    read.thickness = read.thickness or _thickness(attributes)
    read.put(number, _values(image.frame(index, _WHOLE), read.quantities[number].factor))


def _thickness(attributes: FrameAttributes) -> float | None:
    """Of a single slice."""
    measures = attributes.find("PixelMeasuresSequence", "SliceThickness")
    return _length(measures, "SliceThickness") or _length(attributes.root, "SpacingBetweenSlices")


def _length(attributes: Attributes, keyword: str) -> float | None:
    try:
        length = attributes.number(keyword)
    except InputError:
        return None
    return length if length is not None and length > 0 else None


def _values(frame: Frame, factor: float) -> NDArray[Any]:
    """Modality values times `factor`: int16 or int32 where all are whole and fit, else float32."""
    modality = frame.grayscale[0].modality
    if frame.pixels.dtype.kind in "iub" and factor == 1 and _is_whole(modality):
        whole = _whole_values(frame.pixels, modality)
        for kind in _TYPES[:2]:
            limits = np.iinfo(kind)
            if limits.min <= int(whole.min()) and int(whole.max()) <= limits.max:
                return whole.astype(kind)
    return np.asarray(apply_modality(frame.pixels.astype(np.float64), modality) * factor, np.float32)


def _is_whole(modality: Rescale | LookupTable) -> bool:
    if isinstance(modality, LookupTable):
        return True
    return float(modality.slope).is_integer() and float(modality.intercept).is_integer()


def _whole_values(pixels: NDArray[Any], modality: Rescale | LookupTable) -> NDArray[np.int64]:
    if isinstance(modality, LookupTable):
        return apply_modality(pixels.astype(np.float64), modality).astype(np.int64)
    return pixels.astype(np.int64) * int(modality.slope) + int(modality.intercept)


def _finish(read: _Read, part: Part, notes: tuple[str, ...], *, values: str, resample: bool) -> Volume:
    """With its geometry as headers have it, exactly."""
    array, images = read.array, read.images
    if array is None:
        raise ExportError("it has no images")
    unit, inputs = _unit(read)
    planes = _exact_planes(read)
    spacing = images[0].spacing
    if not _require_even(planes, images, resample=resample) and planes is not None:
        array, planes, note = _straighten(array, planes)
        notes = (*notes, note)
    volume = Volume(
        *(array, None, (None, *(spacing or (None, None))), None, tuple(image.filename for image in images)),
        part=part.name,
        values=values,
        unit=unit,
        inputs=inputs,
        notes=notes,
    )
    return volume if planes is None else _placed(volume, planes, thickness=read.thickness)


def _placed(volume: Volume, planes: Planes, *, thickness: float | None) -> Volume:
    """With its place in the patient."""
    affine = compute_grid_affine(planes, thickness=thickness or 1.0)
    between = float(np.linalg.norm(affine[:3, 0])) if len(volume.array) > 1 else thickness
    return replace(
        volume,
        positions_mm=planes.positions,
        spacing_mm=(between, *planes.spacing),
        orientation=planes.orientation,
        origins_mm=planes.origins,
        affine=affine,
        shear_mm=(0.0, 0.0),
    )


def _straighten(array: NDArray[Any], planes: Planes) -> tuple[NDArray[Any], Planes, str]:
    try:
        straight, even = straighten(array, planes)
    except ValueError as error:
        raise ExportError(f"it cannot be resampled: {error}") from error
    shapes = ["×".join(map(str, shape)) for shape in (array.shape, straight.shape)]
    return straight, even, f"interpolated linearly from {shapes[0]} to {shapes[1]} on an even grid"


def _unit(read: _Read) -> tuple[str | None, dict[str, float | str]]:
    """That of all slices, and what the first of them was computed from."""
    units = {quantity.unit for quantity in read.quantities.values()}
    if len(units) > 1:
        raise ExportError(f"slices differ in unit: {', '.join(sorted(unit or 'none' for unit in units))}")
    first = read.quantities[0]
    return first.unit, first.inputs | {"factor": first.factor} if first.inputs else {}


def _exact_planes(read: _Read) -> Planes | None:
    """Where slices lie; None where headers do not say. Slices that differ in orientation or spacing are refused."""
    places = [read.places[number] for number in range(len(read.images))]
    first_cosines, _, spacing = places[0]
    if first_cosines is None or spacing is None or any(origin is None for _, origin, _ in places):
        return None
    for image, (cosines, _, other) in zip(read.images, places, strict=True):
        if cosines is None or np.abs(np.subtract(cosines, first_cosines)).max() > TILT_TOLERANCE:
            raise ExportError(f"{read.images[0].filename} and {image.filename} differ in orientation")
        if other is None or not np.allclose(other, spacing, rtol=1e-4):
            raise ExportError(f"{read.images[0].filename} and {image.filename} differ in spacing")
    origins = np.array([origin for _, origin, _ in places], np.float64)
    return Planes(origins, np.reshape(first_cosines, (2, 3)).astype(np.float64), spacing)
