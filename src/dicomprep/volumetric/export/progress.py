"""What an export of volumes has finished: its manifest, whose lines are series."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError
from dicomprep.exchange.manifest import MANIFEST, append_line, manifest_line, read_lines
from dicomprep.exchange.opening import require_same
from dicomprep.storage.sync import replace_file
from dicomprep.volumetric.export.work import WrittenVolume, measure_folder

__all__ = ["Finished", "FinishedSeries", "is_whole", "remove_volume"]


@dataclass(frozen=True, slots=True)
class FinishedSeries:
    """A series that was exported, as far as it is volumes."""

    name: str
    fingerprint: str
    volumes: tuple[WrittenVolume, ...]
    refused: tuple[tuple[str, str], ...]
    """Parts that are no volume, and why."""

    @classmethod
    def of(cls, line: dict[str, Any]) -> "FinishedSeries":
        """From a line of the manifest; ValueError, TypeError or KeyError where it is none."""
        volumes = tuple(
            WrittenVolume(
                **volume | {name: tuple(volume[name]) for name in ("shape", "spacing_mm", "notes")},
            )
            for volume in line["volumes"]
        )
        if not all(map(_is_below, _files(volumes))):
            raise ValueError(line["series"])
        refused = tuple((str(part), str(reason)) for part, reason in line["refused"])
        return cls(str(line["series"]), str(line["fingerprint"]), volumes, refused)

    def line(self) -> str:
        """For the manifest."""
        said = {"series": self.name, "fingerprint": self.fingerprint}
        return manifest_line(said | {"volumes": [asdict(one) for one in self.volumes], "refused": self.refused})


def _files(volumes: Iterable[WrittenVolume]) -> list[str]:
    """The files of volumes and their label maps."""
    return [file for volume in volumes for file in (volume.file, volume.label_map) if file]


def _is_below(file: str) -> bool:
    """Whether a file lies in a folder of the export, whoever wrote its manifest."""
    parts = file.split("/")
    return len(parts) == 2 and not any(part in ("", ".", "..") or "\\" in part for part in parts)


@dataclass(slots=True)
class Finished:
    """All series of an export that were finished."""

    folder: Path
    header: dict[str, Any]
    access: int
    series: dict[str, FinishedSeries] = field(default_factory=dict)
    """By name; of a series that was finished again the newest."""

    @classmethod
    def open(cls, folder: Path, header: dict[str, Any], access: int) -> "Finished":
        """Go on with the manifest in a folder, or begin one. ConfigError where it is another export's, or damaged."""
        lines = read_lines(folder)
        finished = cls(folder, header, access)
        if not lines:
            finished.write()
            return finished
        require_same(folder, lines[0], header)
        try:
            known = [FinishedSeries.of(line) for line in lines[1:]]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{folder / MANIFEST} is damaged. Export to another folder.") from error
        finished.series = {series.name: series for series in known}
        for name in ("classes", "segments"):
            finished.header[name] = _merged(lines[0].get(name, ()), header[name])
        return finished

    def write(self) -> None:
        """Put the whole manifest, in the order of names, in the place of the one that was there."""
        lines = [manifest_line(self.header), *(self.series[name].line() for name in sorted(self.series))]
        replace_file(self.folder / MANIFEST, "".join(lines).encode(), mode=0o666 & self.access, durable=True)

    def add(self, series: FinishedSeries) -> None:
        """Note a series of which all files are in their places; what was there of it before is removed."""
        before = self.series.get(series.name)
        self.series[series.name] = series
        append_line(self.folder, series.line())
        if before is not None:
            self._remove(before.volumes, but=series.volumes)

    def drop(self, name: str) -> int:
        """Remove a series, and count its volumes."""
        dropped = self.series.pop(name)
        self._remove(dropped.volumes)
        return len(dropped.volumes)

    def _remove(self, volumes: Iterable[WrittenVolume], *, but: Iterable[WrittenVolume] = ()) -> None:
        for file in set(_files(volumes)) - set(_files(but)):
            remove_volume(self.folder / file)

    def remove_strays(self, folders: Iterable[str]) -> None:
        """Remove what an export that broke off has written and not noted."""
        named = {file for series in self.series.values() for file in _files(series.volumes)}
        for folder in folders:
            for path in (self.folder / folder).glob("*"):
                if f"{folder}/{path.name}" not in named and path.name.endswith((".nii.gz", ".zarr")):
                    remove_volume(path)


def _merged(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Classes keep the numbers that they had."""
    return [*before, *(name for name in now if name not in before)]


def remove_volume(path: Path) -> None:
    """Remove a file, or a group of zarr."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_whole(folder: Path, volume: WrittenVolume) -> bool:
    """Whether a volume is there, as large as it was written."""
    path = folder / volume.file
    try:
        size = measure_folder(path)[0] if path.is_dir() else path.stat().st_size
        drawn = (folder / volume.label_map).stat().st_size if volume.label_map else 0
    except OSError:
        return False
    return (size, drawn) == (volume.bytes, volume.label_map_bytes)
