"""Decoding at a fraction of the size: how near it comes to decoding in full, and where it must not be done."""

import io
import math
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from dicomprep import process_dicom
from dicomprep.config import Fidelity, ImageOptions
from dicomprep.models import Frame, Transform
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pipeline.stages.resize import resize
from dicomprep.pixels.codecs.base import Detail
from dicomprep.pixels.codecs.registry import decode_codestream
from dicomprep.pixels.geometry import max_halvings, plan_geometry
from dicomprep.pixels.resampling import place
from tests.building import make_dicom
from tests.pixels.test_codecs import layout_of
from tests.reading import decoded_frames
from tests.reference_table import FOLDER, REFERENCE

Pixels = NDArray[Any]
UID = "1.2.840.10008.1.2.4"
HIGH, DRAFT = 40.0, 35.0
"""Decibels that `high` promises for pictures like these, and those that `draft` is found to keep."""

ROUNDED = 48.0
"""Decibels that are left where only the lowest bits were left out."""

ROWS_PER_ROW = {"means": (2.0, 1.0), "wavelet": (2.7, 1.75), "wavelet of 8 bits": (3.5, 1.75)}
"""Decoded rows for one of the thumbnail, at least, with `high` and with `draft`."""


# Pictures, and files of them


@lru_cache(maxsize=4)
def picture(shape: tuple[int, int], seed: int, planes: int = 1) -> NDArray[np.float64]:
    """0…1: slow waves, twelve ellipses and boxes with soft edges, and noise; (rows, columns[, 3])."""
    random = np.random.default_rng(seed)
    return np.squeeze(np.stack([_plane(shape, random) for _ in range(planes)], axis=-1))


def _plane(shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = (index.astype(np.float32) for index in np.indices(shape))
    plane = 0.45 + 0.2 * np.sin(9 * rows / shape[0] + random.uniform(0, 6)) * np.cos(7 * columns / shape[1])
    for number in range(12):
        (y, x), angle = random.uniform(0, 1, 2) * shape, random.uniform(0, np.pi)
        tall, wide = random.uniform(0.03, 0.3, 2) * min(shape)
        down = ((rows - y) * math.cos(angle) + (columns - x) * math.sin(angle)) / tall
        right = ((columns - x) * math.cos(angle) - (rows - y) * math.sin(angle)) / wide
        inside = down**2 + right**2 < 1 if number % 2 else np.maximum(abs(down), abs(right)) < 1
        plane[inside] += random.uniform(-0.3, 0.3)
    return np.clip(cv2.GaussianBlur(plane, (0, 0), 0.8) + random.normal(0, 0.02, shape), 0, 1)


def jpeg(pixels: Pixels, **options: Any) -> bytes:
    return imagecodecs.jpeg8_encode(pixels, level=92, **options)


def jpeg2000(pixels: Pixels, *, bits: int | None = None, **options: Any) -> bytes:
    options = {"reversible": True, **options}
    return imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", bitspersample=bits, **options)


def tiled_jpeg2000(pixels: Pixels) -> bytes:
    """By Pillow, for imagecodecs makes no tiles; of 8 bits, for Pillow garbles those of 16."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG2000", no_jp2=True, tile_size=(256, 256), irreversible=False)
    return file.getvalue()


def htj2k(pixels: Pixels, **options: Any) -> bytes:
    return imagecodecs.htj2k_encode(pixels, **{"reversible": True, **options})


class Kind(NamedTuple):
    """How a picture is stored."""

    process: int
    """Of the transfer syntax, the last part; 0 where pixels are stored as they are."""
    encode: Callable[[Pixels], bytes]
    dtype: str = "u1"
    bits: int = 8
    planes: int = 1
    attributes: Mapping[str, Any] = MappingProxyType({})

    @property
    def spare(self) -> tuple[float, float]:
        wavelet = "wavelet of 8 bits" if self.bits == 8 else "wavelet"
        return ROWS_PER_ROW[wavelet if self.process >= 90 else "means"]

    def stored(self, shades: NDArray[np.float64]) -> Pixels:
        """Shades of 0…1 as stored values that fill all bits."""
        lowest = -(2 ** (self.bits - 1)) if self.dtype[0] == "i" else 0
        return np.rint(shades * (2**self.bits - 1) + lowest).astype(self.dtype)


YCBCR = {"PhotometricInterpretation": "YBR_FULL_422"}
KINDS = {
    "JPEG": Kind(50, jpeg),
    "JPEG, MONOCHROME1": Kind(51, jpeg, attributes={"PhotometricInterpretation": "MONOCHROME1"}),
    "JPEG 4:4:4": Kind(50, lambda p: jpeg(p, subsampling="444"), planes=3, attributes=YCBCR),
    "JPEG 4:2:0": Kind(50, lambda p: jpeg(p, subsampling="420"), planes=3, attributes=YCBCR),
    "JPEG 2000, 8 bits": Kind(90, jpeg2000),
    "JPEG 2000, 12 bits": Kind(90, lambda p: jpeg2000(p, bits=12), "u2", 12),
    "JPEG 2000, 16 bits": Kind(90, jpeg2000, "u2", 16),
    "JPEG 2000, signed": Kind(90, jpeg2000, "i2", 16),
    "JPEG 2000, lossy": Kind(91, lambda p: jpeg2000(p, reversible=False, level=60), "u2", 16),
    "JPEG 2000, tiled": Kind(90, tiled_jpeg2000),
    "JPEG 2000, RGB": Kind(90, jpeg2000, planes=3, attributes={"PhotometricInterpretation": "YBR_RCT"}),
    "HTJ2K": Kind(201, htj2k, "u2", 16),
    "HTJ2K, odd tiles": Kind(201, lambda p: htj2k(p, tile=(201, 303)), "u2", 16),
    "HTJ2K, lossy": Kind(203, lambda p: htj2k(p, reversible=False)),
    "JPEG-LS": Kind(80, imagecodecs.jpegls_encode, "u2", 16),
    "native": Kind(0, bytes, "u2", 12),
    "native, signed": Kind(0, bytes, "i2", 16),
    "native, RGB": Kind(0, bytes, planes=3),
}
SHAPES = [(1024, 1024), (833, 1999), (1000, 701)]
BIG = ["JPEG", "HTJ2K"]
CASES = [
    *((name, shape) for number, name in enumerate(KINDS) for shape in (SHAPES[number % 2], SHAPES[2])),
    *((name, (2457, 1890)) for name in BIG),
]
SETTINGS = [(64, "pad", 8), (96, "crop", 16), (128, "stretch", 8), (224, "pad", 16)]
"""Size, fit, depth."""


def stored_file(folder: Path, kind: Kind, pixels: Pixels, **attributes: Any) -> Path:
    """A file of these stored values, with a window of all that the bits can hold."""
    lowest = -(2 ** (kind.bits - 1)) if kind.dtype[0] == "i" else 0
    window = {"WindowCenter": lowest + 2 ** (kind.bits - 1), "WindowWidth": 2**kind.bits} if kind.planes == 1 else {}
    encoded = {"transfer_syntax": f"{UID}.{kind.process}", "codestreams": [kind.encode(pixels)]}
    stored_as: dict[str, Any] = encoded if kind.process else {}
    return make_dicom(
        folder / "a.dcm",
        pixels,
        **stored_as,
        color=kind.planes == 3,
        **{"BitsStored": kind.bits, "HighBit": kind.bits - 1, **window, **kind.attributes, **attributes},
    )


def halvings(shape: tuple[int, int], *, size: int, fit: str, spare: float) -> int:
    """How often the frame may be halved so that `spare` rows and columns are left for one of the thumbnail."""
    longest, shortest = max(shape), min(shape)
    shrinks = {"pad": longest, "crop": shortest, "stretch": shortest}[fit] / size
    return max(0, math.floor(math.log2(shrinks / spare)))


def decoded_at(transform: Transform) -> int:
    """How often the frame was halved."""
    return round(math.log2(transform.decoded.reduction))


def exactly(path: Path, options: ImageOptions) -> list[Pixels]:
    """Thumbnails of all frames, decoded in full."""
    frames = _exact_frames(path, path.stat().st_mtime_ns, options.window)
    return [resize(normalize(frame, options), options).pixels for frame in frames]


@lru_cache(maxsize=1)
def _exact_frames(path: Path, _changed: int, window: str) -> list[Frame]:
    return decoded_frames(path, ImageOptions(fidelity=Fidelity.EXACT, window=window))


def decibels(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio."""
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    difference = (one.astype(np.float64) - other) / np.iinfo(one.dtype).max
    return float(-10 * np.log10(max(np.mean(difference**2), 1e-12)))


class Figures(NamedTuple):
    """What leaving detail out does to a file."""

    noise: float
    """The lowest decibels of its frames against decoding in full; 120 where they are the same."""
    halved: int
    """How often the first one was."""
    rounded: bool
    """Whether its lowest bits were left out."""

    @property
    def least(self) -> float:
        """What `high` promises then."""
        return HIGH if self.halved else ROUNDED if self.rounded else 120


def figures(path: Path, *, fidelity: str = "high", **options: Any) -> Figures:
    drawn = process_dicom(path, fidelity=fidelity, **options)
    expected = exactly(path, ImageOptions(**options))
    noise = min(decibels(frame.array, exact) for frame, exact in zip(drawn, expected, strict=True))
    return Figures(noise, decoded_at(drawn[0].transform), drawn[0].transform.decoded.step > 0)


# How near it comes


@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_a_smaller_version_gives_the_same_thumbnail(name: str, shape: tuple[int, int], tmp_path: Path) -> None:
    kind = KINDS[name]
    path = stored_file(tmp_path, kind, kind.stored(picture(shape, sum(shape), kind.planes)))
    most = 3 if 50 <= kind.process < 60 else 5
    for size, fit, depth in SETTINGS:
        for (fidelity, least), spare in zip((("high", HIGH), ("draft", DRAFT)), kind.spare, strict=True):
            noise, halved, _ = figures(path, size=size, fit=fit, depth=depth, fidelity=fidelity)
            expected = halvings(shape, size=size, fit=fit, spare=spare)
            assert halved == min(most, expected), (size, fit, fidelity)
            assert noise >= least, (size, fit, depth, fidelity)


@pytest.mark.parametrize("name", ["JPEG", "JPEG 2000, 16 bits", "HTJ2K"])
def test_images_of_any_size_are_decoded_as_small_as_they_allow(name: str, tmp_path: Path) -> None:
    kind, shape = KINDS[name], (1201, 803)
    path = stored_file(tmp_path, kind, kind.stored(picture(shape, 7, kind.planes)))
    found = []
    for options in ({"size": "150x60"}, {"size": "40x110", "fit": "crop"}, {"size": "max=100"}, {"size": "native"}):
        asked = ImageOptions(fidelity="exact", **options)
        plan = plan_geometry(shape, aspect=1.0, size=asked.size_for(None), fit=asked.fit)
        noise, halved, _ = figures(path, **options)
        assert halved == max_halvings(plan, spare=kind.spare[0]), options
        assert noise >= HIGH, options
        found.append(halved)
    assert min(found[:3]) >= 1
    assert found[3] == 0


@pytest.mark.parametrize("flipped", [(False, True), (True, True)])
@pytest.mark.parametrize("name", ["JPEG", "JPEG 2000, 16 bits", "HTJ2K"])
def test_a_region_of_a_smaller_version_is_that_of_the_whole(name: str, flipped: tuple[bool, bool]) -> None:
    kind, shape = KINDS[name], (1201, 803)
    pixels = kind.stored(picture(shape, 7, kind.planes))
    syntax, stream = f"{UID}.{kind.process}", kind.encode(pixels)
    decoded = decode_codestream(stream, layout_of(pixels), transfer_syntax=syntax, detail=Detail(1))
    for region in ((101, 33, 1201, 501), (0, 0, 700, 803), (303, 407, 903, 803)):
        size = ImageOptions(size="150x100").size_for(None)
        plan = plan_geometry(shape, aspect=1.0, size=size, fit="pad", region=region, flipped=flipped)
        drawn, exact = place(decoded.pixels, plan, grid=decoded.grid), place(pixels, plan)
        assert decibels(drawn, exact) >= HIGH, region


def test_every_kind_is_halved_several_times_somewhere() -> None:
    for name, kind in KINDS.items():
        found = [halvings(shape, size=64, fit="pad", spare=kind.spare[0]) for case, shape in CASES if case == name]
        assert max(found) >= 2, name


def _syntax(path: str) -> str:
    with warnings.catch_warnings(action="ignore"):
        return str(pydicom.dcmread(FOLDER / path, specific_tags=["Rows"]).file_meta.get("TransferSyntaxUID", ""))


SAMPLES = [path for path, row in REFERENCE.items() if row.has_images and _syntax(path).startswith(f"{UID}.")]
REDUCED = {
    "JPEG-lossy.dcm",
    "JPGExtended.dcm",
    "JPEG2000.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "SC_jpeg_no_color_transform_2.dcm",
    "SC_rgb_jpeg.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "examples_jpeg2k.dcm",
    "examples_ybr_color.dcm",
}
"""Samples of which a thumbnail of 64 needs no more than half of the rows."""


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("path", SAMPLES)
def test_a_sample_is_the_same_or_nearly_so(path: str, fit: str) -> None:
    for size, depth in ((64, 8), (96, 16), (128, 8), (224, 16)):
        found = figures(FOLDER / path, size=size, fit=fit, depth=depth)
        assert found.noise >= found.least, size


CHARTS = {"line pairs": (2048, 6, False), "coarser line pairs": (2048, 12, False), "checkerboard": (1024, 16, True)}
"""Rows, the period in pixels, and whether both ways."""


@pytest.mark.parametrize("codec", ["none", "wavelet"])
@pytest.mark.parametrize("name", CHARTS)
def test_charts_as_fine_as_the_thumbnail_keep_what_the_docs_say(name: str, codec: str, tmp_path: Path) -> None:
    rows, period, both = CHARTS[name]
    down, right = np.indices((rows, rows)) * 2 // period
    chart = (((right + down * both) % 2) * 230 + 10).astype(np.uint8)
    syntax = {"transfer_syntax": f"{UID}.90", "codestreams": [jpeg2000(chart)]} if codec == "wavelet" else {}
    path = make_dicom(tmp_path / "Chart.dcm", chart, **syntax)
    for size in (128, 224):
        assert figures(path, size=size).noise > 21
        assert figures(path, size=size, fidelity="draft").noise > 14


def test_some_samples_are_halved() -> None:
    assert {path for path in SAMPLES if figures(FOLDER / path, size=64)[1]} == REDUCED


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("path", sorted(REDUCED))
def test_a_draft_of_a_sample_can_be_recognized(path: str, fit: str) -> None:
    """The lowest is 32.2 dB, of an ultrasound with its lettering."""
    for size, depth in ((64, 8), (96, 16), (128, 8)):
        assert figures(FOLDER / path, size=size, fit=fit, depth=depth, fidelity="draft")[0] >= 32


# Where it lies


def centroid(pixels: Pixels) -> NDArray[np.float64]:
    weights = pixels.astype(np.float64)
    return np.array([(index * weights).sum() / weights.sum() for index in np.indices(pixels.shape)])


@pytest.mark.parametrize("fidelity", ["high", "draft"])
@pytest.mark.parametrize("shape", [(1024, 1024), (1001, 705)], ids=str)
@pytest.mark.parametrize(
    "name", ["JPEG", "JPEG 2000, 16 bits", "JPEG 2000, lossy", "JPEG 2000, tiled", "HTJ2K, odd tiles"]
)
def test_a_blob_stays_where_it_is(name: str, shape: tuple[int, int], fidelity: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    rows, columns = np.indices(shape)
    distance = ((rows - 0.41 * shape[0]) / 17) ** 2 + ((columns - 0.57 * shape[1]) / 13) ** 2
    path = stored_file(tmp_path, kind, kind.stored(0.9 * np.exp(-distance)))
    for size, fit in ((48, "pad"), (64, "crop"), (90, "stretch")):
        (drawn,) = process_dicom(path, size=size, fit=fit, depth=16, fidelity=fidelity)
        (exact,) = exactly(path, ImageOptions(size=size, fit=fit, depth=16))
        assert decoded_at(drawn.transform) >= 1
        np.testing.assert_allclose(centroid(drawn.array), centroid(exact), rtol=0, atol=0.05)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("shape", [(640, 641), (641, 642), (643, 640), (645, 647), (650, 653)], ids=str)
@pytest.mark.parametrize("name", ["JPEG", "JPEG 2000, 16 bits", "HTJ2K"])
def test_odd_sizes_are_rounded_up_as_the_standard_says(name: str, shape: tuple[int, int], levels: int) -> None:
    """Pillow takes the size of a reduced JPEG 2000 image as rounded; where it cut a row, the edge would show it."""
    kind = KINDS[name]
    pixels = kind.stored(np.linspace(0, 1, shape[0])[:, np.newaxis] * np.linspace(0.3, 1, shape[1]))
    syntax, stream = f"{UID}.{kind.process}", kind.encode(pixels)
    decoded = decode_codestream(stream, layout_of(pixels), transfer_syntax=syntax, detail=Detail(levels))
    assert decoded.pixels.shape == tuple(-(-length // 2**levels) for length in shape)
    plan = plan_geometry(shape, aspect=1.0, size=32, fit="stretch")
    drawn, exact = place(decoded.pixels, plan, grid=decoded.grid), place(pixels, plan)
    white = np.iinfo(pixels.dtype).max
    np.testing.assert_allclose(drawn / white, exact / white, rtol=0, atol=0.01)


# Where it must not be done


SMALL, LARGE = (512, 512), (1600, 1536)
"""JPEG 2000 of the smaller one is always decoded in full, and averaged: it is known by its stored values."""


TWELVE = KINDS["JPEG 2000, 12 bits"]
COMB = np.where(np.arange(4096) % 256 < 128, 0, 65535).astype("<u2").tobytes()
STEP = np.linspace(0, 65535, 400).astype("<u2").tobytes()
NARROW_WINDOW = {"WindowCenter": 1800, "WindowWidth": 200}
NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
MODALITY_LUT = {"ModalityLUTSequence": [{"LUTDescriptor": [4096, 0, 16], "LUTData": COMB}]}
NOT_REDUCED: dict[str, tuple[Kind, dict[str, Any]]] = {
    "narrow window": (TWELVE, {"WindowCenter": 1800, "WindowWidth": 400}),
    "narrow VOI LUT": (TWELVE, {"VOILUTSequence": [{"LUTDescriptor": [400, 1600, 16], "LUTData": STEP}]}),
    "narrow window of rescaled values": (
        TWELVE,
        {"RescaleSlope": 0.01, "RescaleIntercept": 0, "WindowCenter": 18, "WindowWidth": 4},
    ),
    "Modality LUT": (TWELVE, {**MODALITY_LUT, "WindowCenter": 30_000, "WindowWidth": 60_000}),
    "padding beside tissue in MONOCHROME1": (
        TWELVE,
        {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0},
    ),
    "six bits": (Kind(90, lambda p: jpeg2000(p, bits=6), bits=6), {}),
    "no levels": (Kind(90, lambda p: jpeg2000(p, bits=12, resolutions=1), "u2", 12), {}),
    "the header says signed": (TWELVE, {"PixelRepresentation": 1}),
}
AVERAGED = [
    Kind(90, jpeg2000, "u2", 16, planes=3, attributes={"PhotometricInterpretation": "YBR_RCT"}),
    Kind(51, lambda p: imagecodecs.jpeg8_encode(p, level=92, bitspersample=12), "u2", 12),
]
"""What no codec reduces: frames of this size are decoded in full, and averaged."""


def test_a_plain_file_of_that_size_is_reduced(tmp_path: Path) -> None:
    path = stored_file(tmp_path, TWELVE, TWELVE.stored(picture(SMALL, 3)))
    assert figures(path, size=32)[1] == 2


@pytest.mark.parametrize("kind", AVERAGED)
def test_frames_that_are_decoded_in_full_are_averaged(kind: Kind, tmp_path: Path) -> None:
    high = figures(stored_file(tmp_path, kind, kind.stored(picture(SMALL, 3, kind.planes))), size=32)
    assert high.halved >= 2
    assert high.noise >= high.least


OF_WAVELETS = ("no levels", "the header says signed")
"""For these a wavelet is decoded in full, and not averaged either where it would mostly be decoded in part."""


@pytest.mark.parametrize("name", NOT_REDUCED)
def test_nothing_is_reduced_with(name: str, tmp_path: Path) -> None:
    kind, attributes = NOT_REDUCED[name]
    path = stored_file(
        tmp_path, kind, kind.stored(picture(LARGE if name in OF_WAVELETS else SMALL, 3, kind.planes)), **attributes
    )
    high = figures(path, size=32)
    assert high.halved == 0
    assert high.noise >= high.least
    assert figures(path, size=32, fidelity="draft").halved == 0
    assert figures(path, size=32, depth=16) == (120, 0, False)


def test_nothing_is_reduced_for_a_narrow_window_among_three(tmp_path: Path) -> None:
    path = stored_file(tmp_path, TWELVE, TWELVE.stored(picture(SMALL, 3)), RescaleIntercept=-1024, RescaleSlope=1)
    for window, halved in (("lung", 2), ("brain", 0), ("lung,bone,brain", 0), ("lung,bone,1000/3000", 2)):
        found = figures(path, size=32, window=window)
        assert found.halved == halved
        assert found.noise >= found.least


def test_nothing_is_reduced_with_a_modality_lut_and_no_window(tmp_path: Path) -> None:
    path = stored_file(tmp_path, TWELVE, TWELVE.stored(picture(SMALL, 3)), **MODALITY_LUT, **NO_WINDOW)
    assert figures(path, size=32) == (120, 0, False)


def test_indices_of_a_palette_are_never_averaged(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    palette = {
        f"{color}PaletteColorLookupTable{part}": value
        for color in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [256, 0, 8]), ("Data", random.integers(0, 256, 256).astype("u1").tobytes()))
    }
    for name in ("JPEG", "JPEG 2000, 8 bits"):
        kind = KINDS[name]
        labels = {"PhotometricInterpretation": "PALETTE COLOR", **NO_WINDOW, **palette}
        path = stored_file(tmp_path, kind, kind.stored(picture(SMALL, 3)), **labels)
        assert figures(path, size=32) == (120, 0, False)


@pytest.mark.parametrize("window", [{}, NO_WINDOW], ids=["window", "no window"])
@pytest.mark.parametrize("padding", [0, 4095], ids=["dark", "bright"])
def test_padding_gives_no_rim(padding: int, window: dict[str, Any], tmp_path: Path) -> None:
    """Dark tissue in a round field of padding, which is drawn black: nothing along the edge is brighter than inside."""
    rows, columns = np.indices(SHAPES[0]) - 511.5
    outside = rows**2 + columns**2 > 460**2
    pixels = np.where(outside, padding, 300 + 100 * picture(SHAPES[0], 5)).astype(np.uint16)
    path = stored_file(tmp_path, TWELVE, pixels, PixelPaddingValue=padding, **window)
    (drawn,) = process_dicom(path, size=64, depth=16)
    (exact,) = exactly(path, ImageOptions(size=64, depth=16))
    assert decibels(drawn.array, exact) >= HIGH
    assert drawn.array.max() <= exact.max() * 1.02
    if padding == 4095:
        assert decoded_at(drawn.transform) == 0


def test_what_pillow_cannot_read_is_decoded_in_full(tmp_path: Path) -> None:
    """A codestream with a stray box in it; tiles of which one would vanish."""
    tiles = Kind(201, lambda p: htj2k(p, tile=(255, 255)), "u2", 16)
    path = stored_file(tmp_path, tiles, tiles.stored(picture(LARGE, 3)))
    assert figures(path, size=32) == (120, 0, False)
    assert figures(FOLDER / "GDCMJ2K_TextGBR.dcm", size=64) == (120, 0, False)


# The range of a file without a window


def measured(path: Path, **options: Any) -> tuple[float, float]:
    voi = process_dicom(path, **options)[0].transform["intensity"]["voi"]
    return voi["low"], voi["high"]


def ranges_differ_by(path: Path) -> float:
    """The greatest difference of either end, as a share of the range, among sizes and fidelities."""
    low, high = measured(path, fidelity="exact")
    others = [measured(path, size=size, fidelity=fidelity) for size in (32, 64, 224) for fidelity in ("high", "draft")]
    return float(np.abs(np.array(others) - (low, high)).max() / (high - low))


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.planes == 1])
def test_the_range_is_that_of_decoding_in_full(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    pixels = kind.stored(0.1 + 0.5 * picture(SHAPES[0], 3))
    path = stored_file(tmp_path, kind, pixels, Modality="MR", **NO_WINDOW)
    assert ranges_differ_by(path) <= 0.01


def test_a_few_bright_letters_give_one_range_at_every_size(tmp_path: Path) -> None:
    kind = KINDS["JPEG 2000, 16 bits"]
    pixels = (3000 * picture(SHAPES[0], 3)).astype(np.uint16)
    letters = np.zeros(SHAPES[0], np.uint8)
    cv2.putText(letters, "L 12:30", (80, 150), cv2.FONT_HERSHEY_SIMPLEX, 2, 255, 6)
    pixels[letters > 0] = 65535
    path = stored_file(tmp_path, kind, pixels, Modality="CR", **NO_WINDOW)
    assert ranges_differ_by(path) <= 0.01


@pytest.mark.parametrize("kind", ["plateau", "steps", "valley"])
def test_a_table_that_rises_suddenly_counts_as_a_narrow_window(kind: str, tmp_path: Path) -> None:
    values = np.arange(4096)
    entries = {
        "plateau": np.clip((values - 2000) * 655, 0, 65535),
        "steps": values // 512 * 9362,
        "valley": np.abs(values - 2048) * 31,
    }[kind]
    table = [{"LUTDescriptor": [4096, 0, 16], "LUTData": entries.astype("<u2").tobytes()}]
    pixels = (4095 * picture(SHAPES[0], 5)).astype(np.uint16)
    path = stored_file(tmp_path, TWELVE, pixels, VOILUTSequence=table, **NO_WINDOW)
    (drawn,) = process_dicom(path, size=64, fidelity="draft")
    assert drawn.transform.decoded.reduction == 1


def test_a_table_that_rises_evenly_is_no_matter(tmp_path: Path) -> None:
    table = [{"LUTDescriptor": [4096, 0, 16], "LUTData": (np.arange(4096) * 16).astype("<u2").tobytes()}]
    pixels = (4095 * picture(SHAPES[0], 5)).astype(np.uint16)
    path = stored_file(tmp_path, TWELVE, pixels, VOILUTSequence=table, **NO_WINDOW)
    (drawn,) = process_dicom(path, size=64)
    assert drawn.transform.decoded.reduction > 1


def test_bright_padding_of_a_picture_of_eight_bits_gives_no_rim(tmp_path: Path) -> None:
    """Its range is all that eight bits can hold, for which the first frame is decoded early."""
    pixels = (60 * picture(SHAPES[0], 5)).astype(np.uint8)
    pixels[:, :300] = 255
    stream = imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k")
    path = make_dicom(
        tmp_path / "a.dcm",
        pixels,
        transfer_syntax=f"{UID}.90",
        codestreams=[stream],
        Modality="OT",
        PixelPaddingValue=255,
    )
    (drawn,) = process_dicom(path, size=64)
    (exact,) = process_dicom(path, size=64, fidelity="exact")
    np.testing.assert_array_equal(drawn.array, exact.array)
    assert drawn.array.max() < 70


def test_a_frame_with_a_narrow_window_is_decoded_in_full_beside_one_without(tmp_path: Path) -> None:
    pixels = np.stack([(4095 * picture(SHAPES[0], seed)).astype(np.uint16) for seed in (5, 6, 7)])
    streams = [
        imagecodecs.jpeg2k_encode(frame, reversible=True, codecformat="j2k", bitspersample=12) for frame in pixels
    ]
    groups = [{"FrameVOILUTSequence": [{}]}, {"FrameVOILUTSequence": [{}]}, {"FrameVOILUTSequence": [NARROW_WINDOW]}]
    described = {"BitsStored": 12, "HighBit": 11, "Modality": "MR", "PerFrameFunctionalGroupsSequence": groups}
    path = make_dicom(tmp_path / "a.dcm", pixels, transfer_syntax=f"{UID}.90", codestreams=streams, **described)
    last = process_dicom(path, size=64)[2]  # at which frames are wanted as they are decoded for their range
    assert last.transform.decoded.reduction == 1
