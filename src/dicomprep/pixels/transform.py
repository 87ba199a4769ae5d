"""What was done to a frame, as it is recorded with it: enough to map points and grays of a thumbnail back."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

from numpy.typing import ArrayLike

from dicomprep.errors import EnvironmentFault
from dicomprep.pixels.geometry import Box, Geometry, Points, to_source, to_thumbnail
from dicomprep.pixels.intensity import GrayscaleTransform, LookupTable, Rescale, ValueRange, Window, shorten

__all__ = [
    "DecodedAs",
    "GrayscaleRecord",
    "Intensity",
    "PaletteRecord",
    "TableRecord",
    "Transform",
    "record_grayscale",
]

FIRST_VERSION, TRANSFORM_VERSION = 1, 2
"""The newer is in the text of what earlier releases cannot read: canvases that are no squares, flips, blanked boxes."""


@dataclass(frozen=True, slots=True)
class TableRecord:
    """A Modality LUT or VOI LUT by its descriptor; its entries are in the source alone (PS3.3 C.11.1.1, C.11.2.1.1)."""

    lut: Literal["modality", "voi"]
    first: int
    """The input value that the first entry stands for."""
    entries: int
    """How many there are."""
    bits: int
    """Significant bits of an entry."""


@dataclass(frozen=True, slots=True)
class PaletteRecord:
    """A palette by its descriptor (PS3.3 C.7.6.3.1.5)."""

    entries: int
    first: int
    """The stored value that the first entry stands for."""


@dataclass(frozen=True, slots=True)
class GrayscaleRecord:
    """What `GrayscaleTransform` did, with long numbers to four digits: they may be somebody's telephone number."""

    modality: Rescale | TableRecord
    voi: Window | ValueRange | TableRecord
    inverted: bool = False
    """Low values are drawn bright."""
    padding: tuple[float, float] | None = None
    """Lowest and highest stored value that are drawn as background (PS3.3 C.7.5.1.1.2)."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """How stored values became gray or RGB."""

    channels: tuple[GrayscaleRecord, ...] = ()
    """One rule for a grayscale thumbnail, three for red, green and blue; none for a source in color."""
    palette: PaletteRecord | None = None
    """Of a PALETTE COLOR source, or a supplemental palette beside one channel (PS3.3 C.8.16.2.1.1.1)."""
    bits_stored: int | None = None
    """Of an RGB or YBR source: its samples were scaled from so many bits."""
    icc: str | None = None
    """What its ICC profile did (PS3.3 C.11.15): "to sRGB", or why it could not be used; None without a profile."""


@dataclass(frozen=True, slots=True)
class DecodedAs:
    """How the frame was decoded."""

    photometric_interpretation: str
    """Of what the decoder gave, which may be RGB where the header says YBR."""
    decoder: str
    reduction: int = 1
    """It was decoded at 1/reduction of its rows and columns."""
    step: int = 0
    """It was decoded to about such steps of stored values; 0: exactly."""
    notes: tuple[str, ...] = ()
    """What had to be corrected."""


@dataclass(frozen=True, slots=True)
class Transform:
    """What was done to a frame. As a mapping (`dict(transform)`, `transform["geometry"]`) it is what its text says.

    >>> from dicomprep.pixels.geometry import plan_geometry
    >>> plan = plan_geometry((512, 256), aspect=1.0, size=224, fit="pad")
    >>> done = Transform(plan, Intensity(bits_stored=8), DecodedAs("RGB", "native"))
    >>> done.to_source([[0, 56], [224, 168]]).tolist()
    [[0.0, 0.0], [512.0, 256.0]]
    >>> Transform.from_json(done.to_json()) == done
    True
    >>> done["geometry"]["crop_shape"]
    [512, 256]
    """

    geometry: Geometry
    intensity: Intensity
    decoded: DecodedAs
    blanked: tuple[Box, ...] = ()
    """(top, left, bottom, right) in pixels of the source: what was drawn as background."""
    encoded: str | None = None
    """The lossy format that the thumbnail is stored in, with its quality: "jpeg=90"; None where nothing is lost."""

    @property
    def version(self) -> int:
        """The form of its text: the first that can say all of it."""
        rows, columns = self.geometry.canvas_shape
        is_newer = rows != columns or any(self.geometry.flipped) or self.blanked
        return TRANSFORM_VERSION if is_newer else FIRST_VERSION

    def to_source(self, points: ArrayLike) -> Points:
        """Map `points` (n, 2) of (row, column), or boxes (n, 4) of (top, left, bottom, right), to the source frame.

        Returns float64 pixels in the same shape: (0, 0) is the outer corner of the first pixel, (0.5, 0.5) its middle;
        not rounded and not clipped. Raises ValueError where they are no points and no boxes.
        """
        return to_source(points, self.geometry)

    def to_thumbnail(self, points: ArrayLike) -> Points:
        """Map `points` (n, 2) or boxes (n, 4) of the source frame to the thumbnail: the way back from `to_source`.

        Returns float64 pixels in the same shape.
        """
        return to_thumbnail(points, self.geometry)

    def keys(self) -> list[str]:
        """The parts of the recorded text."""
        return list(json.loads(self.to_json()))

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  (JSON)
        """One part of the recorded text as plain lists and dicts of the caller's own; KeyError where it has none."""
        return json.loads(self.to_json())[name]

    def to_json(self) -> str:
        """The text that is recorded; `from_json` makes the same transform of it."""
        return _encode(self)

    @classmethod
    def from_json(cls, text: str) -> "Transform":
        """Read what this version or an earlier one recorded.

        Raises EnvironmentFault for what a newer version recorded, and for text that none did.
        """
        try:
            recorded = json.loads(text)
            version = recorded.get("version", 1)
            if version > TRANSFORM_VERSION:
                newer = f"Its transform was recorded by a newer dicomprep (version {version!r}"
                raise EnvironmentFault(f"{newer}; supported: {TRANSFORM_VERSION}): update dicomprep.")
            geometry, intensity = _read_geometry(recorded["geometry"]), recorded["intensity"]
            blanked = tuple(map(_read_box, recorded.get("blanked", ())))
            return cls(geometry, _read_intensity(intensity), _read_decoded(intensity), blanked, recorded.get("encoded"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            restore = "restore a copy of the database, or preprocess into another"
            raise EnvironmentFault(f"A transform in the database is damaged: {restore}.") from error


@lru_cache(maxsize=64)
def record_grayscale(grayscale: GrayscaleTransform) -> GrayscaleRecord:
    """What `grayscale` does, as far as it is recorded. Frames share the record."""
    padding = grayscale.padding
    return GrayscaleRecord(
        _record_modality(grayscale.modality),
        _record_voi(grayscale.voi, grayscale.modality),
        grayscale.inverted,
        None if padding is None else (shorten(padding[0]), shorten(padding[1])),
    )


def _record_modality(modality: Rescale | LookupTable) -> Rescale | TableRecord:
    if isinstance(modality, LookupTable):
        return TableRecord("modality", modality.first, len(modality.values), modality.bits)
    return Rescale(shorten(modality.slope), shorten(modality.intercept))


def _record_voi(
    voi: Window | ValueRange | LookupTable, modality: Rescale | LookupTable
) -> Window | ValueRange | TableRecord:
    if isinstance(voi, LookupTable):
        return TableRecord("voi", voi.first, len(voi.values), voi.bits)
    if isinstance(voi, Window):
        return Window(shorten(voi.center), shorten(voi.width), voi.function)
    if isinstance(modality, LookupTable) or modality == _record_modality(modality):
        return voi  # measured, and by no number of the header
    return ValueRange(shorten(voi.low), shorten(voi.high), voi.rule)


_json = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=16)
def _encode(transform: Transform) -> str:
    """The frames of a file, and the files of a series, mostly share their transform: it is encoded once for them."""
    decoded = transform.decoded
    described: dict[str, object] = {
        "photometric_interpretation": decoded.photometric_interpretation,
        "decoder": decoded.decoder,
    }
    if decoded.reduction > 1:
        described["decoded_at"] = f"1/{decoded.reduction} of its rows and columns"
    if decoded.step:
        described["decoded_to"] = f"steps of {decoded.step} stored values"
    described.update(_describe_intensity(transform.intensity))
    if decoded.notes:
        described["notes"] = decoded.notes
    blanked = {"blanked": transform.blanked} if transform.blanked else {}
    newer = {"version": transform.version} if transform.version > FIRST_VERSION else {}
    lossy = {"encoded": transform.encoded} if transform.encoded is not None else {}
    geometry = _describe_geometry(transform.geometry)
    return _json({"geometry": geometry, "intensity": described, **blanked, **newer, **lossy})


def _describe_geometry(geometry: Geometry) -> dict[str, object]:
    described = dict(_items(geometry))
    (rows, columns), flipped = described.pop("canvas_shape"), described.pop("flipped")
    described["size"] = rows if rows == columns else (rows, columns)
    return described | ({"flipped": flipped} if any(flipped) else {})


def _describe_intensity(intensity: Intensity) -> Iterator[tuple[str, object]]:
    if len(intensity.channels) == 1:
        yield from _describe_channel(intensity.channels[0])
    elif intensity.channels:
        yield "channels", [dict(_describe_channel(channel)) for channel in intensity.channels]
    if intensity.bits_stored is not None:
        yield "bits_stored", intensity.bits_stored
    if intensity.palette is not None:
        yield from (("palette", intensity.palette.entries), ("first", intensity.palette.first))
    if intensity.icc is not None:
        yield "icc", intensity.icc


def _describe_channel(channel: GrayscaleRecord) -> Iterator[tuple[str, object]]:
    yield "modality", dict(_items(channel.modality))
    yield "voi", dict(_items(channel.voi))
    if channel.inverted:
        yield "inverted", True
    if channel.padding is not None:
        yield "padding", channel.padding


def _items(record: Geometry | Rescale | Window | ValueRange | TableRecord) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(record, field.name)) for field in fields(record))


def _read_geometry(stored: Mapping[str, Any]) -> Geometry:
    pairs = {name: _read_pair(value) for name, value in stored.items() if name != "size"}
    size = stored["size"]
    return Geometry(canvas_shape=(size, size) if isinstance(size, int) else _read_pair(size), **pairs)


def _read_box(stored: Sequence[Any]) -> Box:
    top, left, bottom, right = stored
    return top, left, bottom, right


def _read_pair(stored: Sequence[Any]) -> tuple[Any, Any]:
    first, second = stored
    return first, second


def _read_intensity(stored: Mapping[str, Any]) -> Intensity:
    channels = stored.get("channels", [stored] if "voi" in stored else [])
    palette = PaletteRecord(stored["palette"], stored["first"]) if "palette" in stored else None
    return Intensity(tuple(map(_read_channel, channels)), palette, stored.get("bits_stored"), stored.get("icc"))


def _read_channel(stored: Mapping[str, Any]) -> GrayscaleRecord:
    modality, voi = stored["modality"], stored["voi"]
    return GrayscaleRecord(
        TableRecord(**modality) if "lut" in modality else Rescale(**modality),
        TableRecord(**voi) if "lut" in voi else Window(**voi) if "center" in voi else ValueRange(**voi),
        stored.get("inverted", False),
        _read_pair(stored["padding"]) if "padding" in stored else None,
    )


def _read_decoded(stored: Mapping[str, Any]) -> DecodedAs:
    return DecodedAs(
        stored["photometric_interpretation"],
        stored["decoder"],
        _read_number(r"1/(\d+) of its rows and columns", stored.get("decoded_at", "1/1 of its rows and columns")),
        _read_number(r"steps of (\d+) stored values", stored.get("decoded_to", "steps of 0 stored values")),
        tuple(stored.get("notes", ())),
    )


def _read_number(pattern: str, text: str) -> int:
    match = re.fullmatch(pattern, text)
    if match is None:
        raise ValueError(f"{text!r} is not like {pattern}")
    return int(match[1])
