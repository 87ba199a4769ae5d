"""What a worker does: one series becomes files, each whole or not there, or reasons why it is no volume."""

import hashlib
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dicomprep.database.queries.stacks import NotAVolumeError
from dicomprep.errors import ExportError, place_fault
from dicomprep.exchange.opening import SCRATCH
from dicomprep.exchange.options import Format
from dicomprep.storage.access import access_of, make_folder
from dicomprep.storage.sync import sync_folder
from dicomprep.volumetric.export.label_maps import draw_label_map
from dicomprep.volumetric.export.ngff import write_zarr
from dicomprep.volumetric.load import load_part
from dicomprep.volumetric.nifti import nifti_affine, write_nifti
from dicomprep.volumetric.plan import Part, plan_series
from dicomprep.volumetric.records import RecordedSeries, read_series
from dicomprep.volumetric.volume import Volume
from dicomprep.workspace import Workspace

__all__ = [
    "ENDINGS",
    "RefusedPart",
    "SeriesDone",
    "SeriesTask",
    "VolumeSettings",
    "WrittenVolume",
    "export_series",
    "measure_folder",
]

ENDINGS = {Format.NIFTI: "_0000.nii.gz", Format.ZARR: ".zarr"}
"""What a file is called behind the name of its volume; nnU-Net counts channels so."""

LABELS = {"imagesTr": "labelsTr", "imagesTs": "labelsTs"}
"""Where the label maps of the volumes of a folder are, as nnU-Net has it."""

_NO_VOLUME = re.compile(r"^.* is not a volume: (?P<reason>.*?)\.?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """What all tasks have in common."""

    workspace: Workspace
    out: Path
    format: Format
    values: str
    resample: bool
    access: int
    with_paths: bool
    segments: tuple[str, ...] = ()
    """The classes of label maps, from 1; empty where none are drawn."""


@dataclass(frozen=True, slots=True)
class SeriesTask:
    """A series that is to be written."""

    key: str
    name: str
    folder: str
    """Below the export's."""
    images: frozenset[str]
    """The names of those that are selected: a part without one of them is left out."""
    written: tuple["WrittenVolume", ...] = ()
    """Volumes of it that are there, as they should be."""


@dataclass(frozen=True, slots=True)
class WrittenVolume:
    """A volume as a file."""

    file: str
    """Below the export's folder, with forward slashes."""
    part: str
    shape: tuple[int, ...]
    """(slices, rows, columns)."""
    spacing_mm: tuple[float | None, ...]
    unit: str | None
    dtype: str
    notes: tuple[str, ...]
    bytes: int
    sha256: str
    label_map: str = ""
    """Its file, below the export's folder; empty without a segmentation."""
    label_map_bytes: int = 0
    label_map_sha256: str = ""


@dataclass(frozen=True, slots=True)
class RefusedPart:
    """Why a series, or a part of it, is no volume."""

    part: str
    reason: str
    """Without the names of images and files, unless the export is to have these."""


@dataclass(frozen=True, slots=True)
class SeriesDone:
    """What came of a series."""

    written: tuple[WrittenVolume, ...]
    refused: tuple[RefusedPart, ...]


def export_series(task: SeriesTask, settings: VolumeSettings, heartbeat: Callable[[], None]) -> SeriesDone:
    """Write each part of a series to its file, unless that is there.

    Raises EnvironmentFault where the disk fails.
    """
    written, refused = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of failed files nobody knows the series of: the run names them
        recorded = read_series(settings.workspace, task.key, _COLUMNS, with_sources=True)
        parts, reason = _plan(task, settings, recorded)
    if reason is not None:
        return SeriesDone((), (reason,))
    there = {volume.part: volume for volume in task.written}
    for part in parts:
        try:
            written.append(there.get(part.name) or _write(part, task, settings))
        except ExportError as error:
            refused.append(_refused(part.name, error, recorded, settings))
        heartbeat()
    return SeriesDone(tuple(written), tuple(refused))


_COLUMNS = ("instance_number", "frame_number")


def _plan(
    task: SeriesTask, settings: VolumeSettings, recorded: RecordedSeries
) -> tuple[list[Part], RefusedPart | None]:
    """The parts of which an image is selected, or none is recorded; else why there are none."""
    try:
        parts = plan_series(settings.workspace, task.key)
    except ExportError as error:
        return [], _refused("", error, recorded, settings)
    known = {row["filename"] for row in recorded.rows} - task.images
    names = ({image.filename for image in part.images} for part in parts)
    return [part for part, those in zip(parts, names, strict=True) if those & task.images or not those & known], None


def _write(part: Part, task: SeriesTask, settings: VolumeSettings) -> WrittenVolume:
    volume = load_part(part, values=settings.values, resample=settings.resample)
    nifti_affine(volume)  # refuses what has none, in any format
    name = f"{task.name}_{_plain(part.name)}" if part.name else task.name
    file = f"{task.folder}/{name}{ENDINGS[settings.format]}"
    drawn = draw_label_map(settings.workspace, part, volume, settings.segments) if settings.segments else None
    label_map = f"{LABELS[task.folder]}/{name}.nii.gz" if drawn is not None else ""
    try:
        size, digest = _put(volume, settings, file)
        drawn_size, drawn_digest = (0, "") if drawn is None else _put(drawn, settings, label_map)
    except OSError as error:
        raise place_fault(settings.out / file, error) from error
    return WrittenVolume(
        file=file,
        part=part.name,
        shape=tuple(volume.array.shape),
        spacing_mm=volume.spacing_mm,
        unit=volume.unit,
        dtype=volume.array.dtype.name,
        notes=volume.notes,
        bytes=size,
        sha256=digest,
        label_map=label_map,
        label_map_bytes=drawn_size,
        label_map_sha256=drawn_digest,
    )


def _plain(part: str) -> str:
    """The name of a part as any file system, and nnU-Net, takes it.

    >>> _plain("axial_b1e+06_phase33.3")
    'axial_b1e-06_phase33-3'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", part)


def _put(volume: Volume, settings: VolumeSettings, file: str) -> tuple[int, str]:
    """Write a volume to a draft, and that to its place; (bytes, SHA-256)."""
    place = settings.out / file
    draft = settings.out / SCRATCH / f"{os.getpid()}{ENDINGS[settings.format]}"
    make_folder(place.parent, settings.access)
    if settings.format is Format.ZARR:
        shutil.rmtree(draft, ignore_errors=True)
        write_zarr(volume, draft, access=settings.access)
        size, digest = measure_folder(draft)
        shutil.rmtree(place, ignore_errors=True)  # a folder cannot be put in the place of one
    else:
        draft.unlink(missing_ok=True)
        with access_of(settings.access):
            write_nifti(volume, draft)
        with draft.open("rb") as content:
            size, digest = draft.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()
            os.fsync(content.fileno())
    draft.replace(place)
    sync_folder(place.parent)
    return size, digest


def measure_folder(folder: Path) -> tuple[int, str]:
    """The bytes of all files of a zarr group, and a SHA-256 of their names and contents."""
    size, state = 0, hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        size += len(content)
        state.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return size, state.hexdigest()


def _refused(part: str, error: ExportError, recorded: RecordedSeries, settings: VolumeSettings) -> RefusedPart:
    match = _NO_VOLUME.match(str(error))
    detail = match["reason"] if match else str(error).rstrip(".")
    if settings.with_paths:
        return RefusedPart(part, detail)
    cause = error.__cause__
    reason = cause.reason if isinstance(cause, NotAVolumeError) else _without_names(detail, _names(recorded))
    return RefusedPart(part, reason)


def _names(recorded: RecordedSeries) -> Mapping[str, str]:
    """Names of images and files, which may be those of patients, and what is said in their place."""
    images = {row["filename"]: _slice(row["instance_number"], row["frame_number"]) for row in recorded.rows}
    places = (place for source in recorded.sources.values() for place in (source.place, source.path))
    return dict.fromkeys((*places, *(file.path for file in recorded.failed)), "a file") | images


def _slice(instance: int | None, frame: int) -> str:
    numbers = ["slice", *([str(instance)] if instance is not None else []), *([f"frame {frame}"] if frame else [])]
    return " ".join(numbers)


def _without_names(text: str, names: Mapping[str, str]) -> str:
    found: Iterable[str] = sorted(filter(None, names), key=len, reverse=True)
    for name in found:
        text = text.replace(name, names[name])
    return re.sub(r"(slice \d*)_frame(\d+)", r"\1 frame \2", text)
