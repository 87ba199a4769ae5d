"""The settings of a run: frozen, checked when they are made. Nothing else reads configuration."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from dicomprep.engines.options import EngineOptions, JobOptions, choose
from dicomprep.errors import ConfigError, ErrorCode, InputError
from dicomprep.pixels.encoding import Encoding
from dicomprep.pixels.sizes import Size, name_size, read_size
from dicomprep.pixels.windows import AskedWindow, parse_windows
from dicomprep.splits import SPLIT_NAMES, TEST, TRAIN, VAL, GroupBy, Splits

__all__ = [
    "DEFAULT_DB",
    "DEFAULT_OUTPUT_DIR",
    "SPLIT_NAMES",
    "TEST",
    "TRAIN",
    "VAL",
    "Budget",
    "Config",
    "Crop",
    "Fidelity",
    "Fit",
    "GroupBy",
    "ImageOptions",
    "Names",
    "Places",
    "Privacy",
    "Splits",
]

DEFAULT_DB, DEFAULT_OUTPUT_DIR = "dicomprep.db", Path("thumbnails")
"""Where a data set is by default: in the current folder."""

Places: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A folder or archive, or several of them."""

RUN_OPTIONS = ("workers", "strict", "durable", "archives", "follow_links", "prune", "shared", "refetch", "jobs")
"""Options of a run as a whole."""

FIRST_OPTIONS = frozenset({"size", "fit", "depth", "window", "frames", "fidelity", "names"})
"""Options of images that are in every fingerprint; later ones only where they are used, so that images stay."""

MIN_SPACING_MM, MAX_SPACING_MM = 1e-4, 100.0
"""Of one pixel of an image: from that of a slide at the highest magnification."""

RULES_VERSION = 7
"""Raised when the same options would give other pixels than before, or know them by other marks: all is redone then."""

PRESET_RULES = 2
"""The same of window presets alone: what is in Hounsfield units, and what becomes of the rest."""


class Fit(StrEnum):
    """How an image fills its square."""

    PAD = "pad"
    STRETCH = "stretch"
    CROP = "crop"


class Crop(StrEnum):
    """Which part of an image is drawn."""

    NONE = "none"
    CONTENT = "content"


class Fidelity(StrEnum):
    """The resolution at which large frames are decoded."""

    EXACT = "exact"
    HIGH = "high"
    DRAFT = "draft"


class Names(StrEnum):
    """How images are named."""

    PATH = "path"
    HASH = "hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """How images are rendered. All of it is in the fingerprint: a change processes the affected files again."""

    size: int | str | None = None
    """Size in pixels: 224 (square, default), 1024x512 (rows x columns), native, max=1536 (longest side at most)."""
    spacing: float | None = None
    """Millimeters per pixel, by the header: images are as large as they get, or cropped and padded to --size."""
    fit: Fit = Fit.PAD
    """How an image fills its size: pad (letterbox), crop (center crop) or stretch (ignore aspect ratio)."""
    depth: int = 8
    """Bit depth of the images: 8 or 16."""
    window: str = "auto"
    """auto (from the header), CENTER/WIDTH, a preset such as lung, the file's window of a name (explanation=SOFTER) or
    number (index=2), or three of them for red, green, blue; medgemma is three."""
    frames: str = "all"
    """Frames of a multi-frame file: all, first, middle, every=K or max=K (evenly spaced)."""
    fidelity: Fidelity = Fidelity.HIGH
    """exact decodes at full resolution, high and draft large frames at 1/2, 1/4 …; high has 40 dB PSNR or more."""
    names: Names = Names.PATH
    """path: named after the source folder and file; hash: anonymous file names."""
    format: str = "png"
    """File format of the images: png, jpeg[=QUALITY] (90), webp (lossless), webp=QUALITY or npy. Masks lose nothing:
    where the format would, they are PNG."""
    crop: Crop = Crop.NONE
    """content: draw only the breast, the collimated field, the body, or the ultrasound regions."""
    crop_margin: float = 2.0
    """Margin around the content, in percent of its rows and columns."""
    orient: bool = False
    """Flip breasts so that the chest wall is on the left, and turn what the header says is upside down."""
    blank_text: bool = False
    """Make writing black: all that is outside of the ultrasound regions, and text that is found."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fit", choose(Fit, "fit", self.fit))
        object.__setattr__(self, "fidelity", choose(Fidelity, "fidelity", self.fidelity))
        object.__setattr__(self, "names", choose(Names, "names", self.names))
        object.__setattr__(self, "crop", choose(Crop, "crop", self.crop))
        _require(0 <= self.crop_margin <= 100, f"--crop-margin {self.crop_margin:g}: give 0 to 100 percent.")
        object.__setattr__(self, "size", name_size(self.size, has_spacing=self.spacing is not None))
        _require_spacing(self.spacing, self.fit)
        _require(self.depth in (8, 16), f"--depth {self.depth}: choose 8 or 16 bits.")
        parse_windows(self.window)
        object.__setattr__(self, "format", str(Encoding.parse(self.format)))
        _require(
            self.encoding.takes(depth=self.depth),
            f"--depth {self.depth} --format {self.format}: {self.encoding.format.value} has 8 bits; choose png or npy.",
        )
        self.select_frames(1)

    @property
    def windows(self) -> tuple[AskedWindow, ...]:
        """The windows requested, one or three; empty for those of the header."""
        return parse_windows(self.window)

    @property
    def encoding(self) -> Encoding:
        """How the images are stored."""
        return Encoding.parse(self.format)

    def size_for(self, column_mm: float | None) -> Size:
        """What decides the size of a frame's thumbnail, whose columns are so many mm apart; None: nobody knows.

        Raises InputError (`no_spacing`) where that is needed and not known.
        """
        size = read_size(str(self.size))
        if self.spacing is None:
            return size
        if column_mm is None:
            raise InputError(ErrorCode.NO_SPACING, "no pixel spacing in mm in the header, which --spacing needs")
        return replace(size, scale=column_mm / self.spacing)

    def select_frames(self, count: int) -> Sequence[int]:
        """Which of `count` frames (from 0) are wanted, ascending."""
        match = re.fullmatch(r"(all|first|middle)|(every|max)=([1-9]\d{0,8})", self.frames)
        if match is None:
            raise ConfigError(f"--frames {self.frames}: choose all, first, middle, every=K or max=K.")
        word, rule, number = match[1], match[2], int(match[3] or 1)
        if word in ("first", "middle"):
            index = count // 2 if word == "middle" else 0
            return range(index, index + 1)
        if rule == "max" and number < count:
            return [(2 * i + 1) * count // (2 * number) for i in range(number)]
        return range(0, count, number if rule == "every" else 1)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when the images would."""
        defaults = {option.name: option.default for option in fields(self)}
        told = {n: value for n, value in asdict(self).items() if n in FIRST_OPTIONS or value != defaults[n]}
        rules = {"rules": RULES_VERSION}
        if any(window.is_preset for window in self.windows):
            rules["presets"] = PRESET_RULES
        text = json.dumps({**rules, **told}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of one file."""

    timeout: float = 120.0
    """Seconds without a finished frame before a file fails; long and large files get more in total."""
    max_memory: int = 2048
    """Memory limit of a worker for one file, in megabytes."""

    def __post_init__(self) -> None:
        _require(0 < self.timeout <= 604_800, f"--timeout {self.timeout:g}: give seconds, up to a week's (604800).")
        _require(64 <= self.max_memory <= 2**24, f"--max-memory {self.max_memory}: give from 64 to 16777216 MB.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Tags recorded beyond the allow-list, and whether images with burned-in text are held back."""

    tag: tuple[str, ...] = ()
    """Also record this DICOM keyword, such as ConvolutionKernel; repeatable. Processes all files again."""
    hold_burned_in: bool | None = None
    """Exclude images with suspected burned-in text from exports and loaders until released; applies to later runs."""

    def __post_init__(self) -> None:
        given = (self.tag,) if isinstance(self.tag, str) else self.tag
        object.__setattr__(self, "tag", tuple(dict.fromkeys(given)))
        wrong = [keyword for keyword in self.tag if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,63}", keyword)]
        _require(not wrong, f"--tag {', '.join(wrong)}: give a DICOM keyword such as ConvolutionKernel.")


def _available_cores() -> int:
    """CPU cores that this process may use, as a cluster's scheduler grants them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one run of `preprocess`; `Workspace` says where its data set is."""

    dicom_dir: tuple[str, ...]
    """Folders and archives."""
    workers: int = field(default_factory=_available_cores)
    strict: bool = False
    durable: bool = False
    """Images are synced to disk (fsync) before their records are committed."""
    archives: bool = True
    """Archives in folders are opened."""
    follow_links: bool = False
    """Symbolic links are followed whose targets lie below `dicom_dir`."""
    prune: bool = False
    """Images and records of files that no longer exist are removed."""
    refetch: bool = False
    """Instances of DICOMweb servers are fetched again though the server says nothing new of them."""
    shared: bool = False
    """A new data set is readable by the user's group, as far as the umask allows."""
    where: EngineOptions = field(default_factory=EngineOptions)
    jobs: JobOptions | None = None
    """What `where.cluster` starts."""
    image: ImageOptions = field(default_factory=ImageOptions)
    budget: Budget = field(default_factory=Budget)
    splits: Splits = field(default_factory=Splits)
    privacy: Privacy = field(default_factory=Privacy)

    def __post_init__(self) -> None:
        _require(self.workers >= 1, f"--workers {self.workers}: give at least 1.")
        given = (self.dicom_dir,) if isinstance(self.dicom_dir, str | os.PathLike) else self.dicom_dir
        _require(bool(given), "Which folder? Give DICOM_DIR.")
        object.__setattr__(self, "dicom_dir", tuple(map(os.fspath, given)))
        if self.where.cluster is not None and self.jobs is None:
            raise ConfigError(
                f"--cluster {self.where.cluster}: what are its jobs? Say it in the table [cluster] of dicomprep.toml"
                " in the current folder (in Python: jobs=), at least their `memory`."
            )

    @classmethod
    def option_names(cls) -> frozenset[str]:
        """What the command line calls all that a run can be told, but for its places."""
        parts = (ImageOptions, Budget, Splits, Privacy)
        return frozenset(RUN_OPTIONS) | {option.name for part in parts for option in fields(part)}

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when images or what is recorded of them would."""
        image = self.image.fingerprint()
        if not self.privacy.tag:
            return image
        return hashlib.sha256(" ".join((image, *sorted(self.privacy.tag))).encode()).hexdigest()[:16]

    @classmethod
    def of(cls, dicom_dir: Places, **options: Any) -> "Config":  # noqa: ANN401  (checked against the fields below)
        """Make a Config from flat options, as the command line and `dicomprep.preprocess` have them."""
        config = cls(dicom_dir=dicom_dir)  # type: ignore[arg-type]
        parts = {"where": EngineOptions, "image": ImageOptions, "budget": Budget, "splits": Splits, "privacy": Privacy}
        homes = {f.name: part for part, kind in parts.items() for f in fields(kind)}
        changes: dict[str, dict[str, Any]] = {part: {} for part in ("", *parts)}
        for name, value in options.items():
            if name not in homes and name not in RUN_OPTIONS:
                raise ConfigError(f"Unknown option: {name}.")
            changes[homes.get(name, "")][name] = JobOptions.of(value) if isinstance(value, Mapping) else value
        return replace(config, **changes[""], **{part: kind(**changes[part]) for part, kind in parts.items()})


def _require_spacing(spacing: float | None, fit: Fit) -> None:
    if spacing is not None:
        is_one = isinstance(spacing, int | float) and MIN_SPACING_MM <= spacing <= MAX_SPACING_MM
        _require(is_one, f"--spacing {spacing}: give mm a pixel, from {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g}.")
        _require(fit is not Fit.STRETCH, "--spacing makes pixels square, --fit stretch does not: give one of them.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
