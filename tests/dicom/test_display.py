"""What a header says of how an image is drawn, where other programs or writers get it wrong."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    JPEG2000,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSNearLossless,
)

from dicomprep import preprocess, process_dicom
from dicomprep.dicom.windows import PRESET_NOT_USED
from dicomprep.pixels.intensity import LookupTable, Rescale, Window
from tests.building import gradient, make_dicom
from tests.dicom.test_header import palette_file
from tests.reading import decoded_frames

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
XA, XRF, BIPLANE = (f"1.2.840.10008.5.1.4.1.1.12.{number}" for number in (1, 2, 3))
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def table(entries: NDArray[Any], bits: int, first: int = 0, order: str = "<") -> list[dict[str, Any]]:
    data = entries.astype(f"{order}u2").tobytes()
    return [{"LUTDescriptor": [len(entries) % 65536, first, bits], "LUTData": data, "ModalityLUTType": "US"}]


# X-ray angiography: back to X-ray intensity, not to a display (PS3.3 C.8.7.1.1.2)


@pytest.mark.parametrize("sop", [XA, XRF, BIPLANE])
@pytest.mark.parametrize("relationship", ["LOG", "LIN", "DISP", None])
@pytest.mark.parametrize(
    "transform",
    [{"ModalityLUTSequence": table(80 * 2 ** (np.arange(256) / 45), 12)}, {"RescaleSlope": 2, "RescaleIntercept": 9}],
    ids=["table", "rescale"],
)
def test_the_modality_transform_of_angiography_is_not_for_display(
    tmp_path: Path, sop: str, relationship: str | None, transform: dict[str, Any]
) -> None:
    window = {"WindowCenter": 128, "WindowWidth": 256}
    says = {"SOPClassUID": sop, "Modality": "XA", "PixelIntensityRelationship": relationship}
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", RAMP, **says, **window, **transform), size=64)
    np.testing.assert_allclose(frame.array, RAMP, atol=1)
    assert "not for display" in " ".join(frame.transform.decoded.notes)


def test_the_rescale_of_other_images_is_for_display(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", RAMP, Modality="XA", RescaleSlope=2, RescaleIntercept=9)
    assert decoded_frames(path)[0].grayscale[0].modality == Rescale(2, 9)


# Tables whose entries have fewer bits than is said


@pytest.mark.parametrize(("stated", "own"), [(16, 12), (16, 8), (12, 10), (16, 15), (12, 8)])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_white_is_what_the_bits_of_the_entries_hold(tmp_path: Path, stated: int, own: int, syntax: str) -> None:
    entries = np.linspace(0, 2**own - 1, 4096).round()
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    lut = table(entries, stated, order=order)
    path = make_dicom(tmp_path / "a.dcm", gradient(64, 64), transfer_syntax=syntax, VOILUTSequence=lut)
    (frame,) = process_dicom(path, size=64, fidelity="exact")
    np.testing.assert_allclose(frame.array, entries[gradient(64, 64)] / (2**own - 1) * 255, atol=0.51)
    assert f"says {stated} bits, entries use {own}" in " ".join(frame.transform.decoded.notes)


def test_the_bits_of_a_modality_table_are_those_of_its_descriptor(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", RAMP, ModalityLUTSequence=table(np.arange(256), 12))
    frame = decoded_frames(path)[0]
    assert isinstance(frame.grayscale[0].modality, LookupTable)
    assert frame.grayscale[0].modality.bits == 12
    assert not frame.notes


def test_packed_entries_of_a_table_are_swapped_in_big_endian(tmp_path: Path) -> None:
    """The first of two entries is in the lower byte of a word, which stands second (PS3.5 7.3)."""
    entries = np.arange(256, dtype=np.uint8)[::-1].copy()
    lut = [{"LUTDescriptor": [256, 0, 8], "LUTData": entries.view("<u2").astype(">u2").tobytes()}]
    path = make_dicom(tmp_path / "a.dcm", RAMP, transfer_syntax=ExplicitVRBigEndian, VOILUTSequence=lut)
    (frame,) = process_dicom(path, size=64, fidelity="exact")
    np.testing.assert_array_equal(frame.array, 255 - RAMP)


# Palettes in big endian


def colors(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([stored, np.where(stored % 2, 255, 0), 255 - stored], axis=-1).astype(np.uint8)


INDICES = np.arange(256, dtype=np.uint8).reshape(16, 16)
CHANNELS = [colors(INDICES.ravel())[:, channel] for channel in range(3)]


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "a word each"])
@pytest.mark.parametrize("segmented", [True, False], ids=["segmented", "plain"])
def test_palettes_of_8_bits_in_every_byte_order(tmp_path: Path, syntax: str, packed: bool, segmented: bool) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = []
    for channel in CHANNELS:
        values = [0, 255, *channel[:255].tolist(), 0, 1, int(channel[255])] if segmented else channel.tolist()
        tables = np.array(values, np.uint8).view("<u2") if packed else np.array(values, "<u2")
        data.append(tables.astype(f"{order}u2").tobytes())
    path = palette_file(tmp_path / "a.dcm", INDICES, [256, 0, 8], data, segmented=segmented, transfer_syntax=syntax)
    (frame,) = process_dicom(path, size=16, fidelity="exact")
    np.testing.assert_array_equal(frame.array, colors(INDICES))


def test_a_palette_of_signed_indices_may_say_its_negative_first_value_unsigned(tmp_path: Path) -> None:
    indices = (INDICES.astype(np.int16) - 128).astype(np.int16)
    data = [(channel.astype(np.uint16) * 257).tobytes() for channel in CHANNELS]
    path = palette_file(tmp_path / "a.dcm", indices, [256, -128, 16], data)
    content = path.read_bytes()
    assert content.count(b"\x11SS\6\0") == 3
    path.write_bytes(content.replace(b"\x11SS\6\0", b"\x11US\6\0"))
    (frame,) = process_dicom(path, size=16, fidelity="exact")
    np.testing.assert_array_equal(frame.array, colors(INDICES))


# Padding after lossy compression


def disc(top: int = 1000) -> NDArray[np.uint16]:
    y, x = np.mgrid[:96, :96]
    return np.where(np.hypot(y - 48, x - 48) < 38, 0.4 * top + 3 * x + 2 * y, 0).astype(np.uint16)


def j2k(pixels: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=46, codecformat="j2k", bitspersample=12, reversible=False))


def jls(pixels: NDArray[Any]) -> bytes:
    noisy = pixels + np.random.default_rng(1).integers(0, 5, pixels.shape).astype(np.uint16)
    return bytes(imagecodecs.jpegls_encode(noisy, level=3))


@pytest.mark.parametrize(
    ("syntax", "encode"), [(JPEG2000, j2k), (JPEGLSNearLossless, jls)], ids=["JPEG 2000", "JPEG-LS"]
)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_lossy_padding_leaves_no_blotches(tmp_path: Path, syntax: str, encode: Any, photometric: str) -> None:
    says = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": 0, "WindowCenter": 500, "WindowWidth": 1200}
    path = make_dicom(
        tmp_path / "a.dcm",
        disc(),
        codestreams=[encode(disc())],
        transfer_syntax=syntax,
        PhotometricInterpretation=photometric,
        **says,
    )
    (frame,) = process_dicom(path, size=96, fidelity="exact")
    assert np.ptp(frame.array[:12, :12]) == 0
    assert frame.array[48, 48] not in (0, 255)


@pytest.mark.parametrize(("lossy", "black"), [("01", True), ("00", False)])
def test_an_earlier_loss_counts_for_native_pixels(tmp_path: Path, lossy: str, black: bool) -> None:
    pixels = disc()
    pixels[:4, :4] = 7
    says = {"PixelPaddingValue": 0, "WindowCenter": 500, "WindowWidth": 1200, "BitsStored": 12, "HighBit": 11}
    path = make_dicom(tmp_path / "a.dcm", pixels, LossyImageCompression=lossy, **says)
    (frame,) = process_dicom(path, size=96, fidelity="exact")
    assert (frame.array[0, 0] == 0) == black


@pytest.mark.parametrize("window", [{"WindowCenter": 100, "WindowWidth": 200}, {}], ids=["window", "range"])
def test_dark_tissue_far_from_the_padding_stays(tmp_path: Path, window: dict[str, Any]) -> None:
    pixels = (disc(200) // 2).astype(np.uint16)
    pixels[30:60, 30:60] = 20
    says = {"PixelPaddingValue": 0, "LossyImageCompression": "01", "BitsStored": 12, "HighBit": 11}
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", pixels, **says, **window), size=96, fidelity="exact")
    if window:
        assert float(frame.array[45, 45]) == pytest.approx(25, abs=2)
    else:
        assert frame.transform["intensity"]["voi"]["low"] <= 20


# Label maps


LABELS = np.zeros((33, 47), np.uint8)
LABELS[5:25, 4:17], LABELS[5:25, 17:41] = 1, 3


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("size", [8, 24, 224])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("fidelity", ["exact", "high", "draft"])
def test_labels_are_never_interpolated(tmp_path: Path, fit: str, size: int, depth: int, fidelity: str) -> None:
    for kind, pixels, most in (("LABELMAP", LABELS, 3), ("BINARY", LABELS > 0, 1)):
        big = np.kron(pixels, np.ones((9, 9), pixels.dtype))
        path = make_dicom(tmp_path / f"{kind}.dcm", big, SOPClassUID=SEG, Modality="SEG", SegmentationType=kind)
        (frame,) = process_dicom(path, size=size, fit=fit, depth=depth, fidelity=fidelity)
        grays = {round(label / most * (2**depth - 1)) for label in np.unique(pixels)}
        assert set(np.unique(frame.array).tolist()) <= grays
        assert len(np.unique(frame.array)) >= 2


def test_labels_stay_where_they_are(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", LABELS, SOPClassUID=SEG, Modality="SEG", SegmentationType="LABELMAP")
    (frame,) = process_dicom(path, size=47 * 3, fit="pad", fidelity="exact")
    np.testing.assert_array_equal(frame.array[21 : 21 + 99], np.kron(LABELS, np.ones((3, 3), np.uint8)) * 85)


def test_labels_of_a_palette_have_only_its_colors(tmp_path: Path) -> None:
    data = [np.array(c, "<u2").tobytes() for c in ([0, 65535, 0, 257], [0, 0, 65535, 257], [0, 0, 0, 65535])]
    path = palette_file(
        tmp_path / "a.dcm", LABELS, [4, 0, 16], data, SOPClassUID=SEG, Modality="SEG", SegmentationType="LABELMAP"
    )
    (frame,) = process_dicom(path, size=100)
    found = {tuple(color) for color in frame.array.reshape(-1, 3).tolist()}
    assert found == {(0, 0, 0), (255, 0, 0), (1, 1, 255)}


def test_fractions_are_quantities(tmp_path: Path) -> None:
    says = {"SOPClassUID": SEG, "Modality": "SEG", "SegmentationType": "FRACTIONAL", "MaximumFractionalValue": 255}
    (frame,) = process_dicom(make_dicom(tmp_path / "a.dcm", LABELS * 85, **says), size=224)
    assert len(np.unique(frame.array)) > 10


# Supplemental palettes


def supplemented(path: Path, pixels: NDArray[Any], presentation: str | None = "COLOR", **more: Any) -> Path:
    says: dict[str, Any] = {"Modality": "MR", "BitsStored": 12, "HighBit": 11, "PixelPresentation": presentation}
    for color, value in (("Red", 0xFF00), ("Green", 0), ("Blue", 0)):
        says[f"{color}PaletteColorLookupTableDescriptor"] = [16, 200, 16]
        says[f"{color}PaletteColorLookupTableData"] = np.full(16, value, "<u2").tobytes()
    return make_dicom(path, pixels, **says | more)


ANATOMY = np.tile((np.arange(64) * 3).astype(np.uint16), (64, 1))
MAPPED = ANATOMY.copy()
MAPPED[20:40, 20:40] = 208


@pytest.mark.parametrize("fidelity", ["exact", "high", "draft"])
@pytest.mark.parametrize("window", [{"WindowCenter": 96, "WindowWidth": 192}, {}], ids=["window", "range"])
def test_gray_below_a_supplemental_palette_and_its_colors_from_there(
    tmp_path: Path, fidelity: str, window: dict[str, Any]
) -> None:
    (frame,) = process_dicom(supplemented(tmp_path / "a.dcm", MAPPED, **window), size=64, fidelity=fidelity)
    assert frame.array[30, 30].tolist() == [255, 0, 0]
    assert (frame.array[0] == frame.array[0, :, :1]).all()
    np.testing.assert_allclose(frame.array[0, :, 0], ANATOMY[0] / (191 if window else 199) * 255, atol=4)
    assert "supplemental palette" in " ".join(frame.transform.decoded.notes)


@pytest.mark.parametrize("presentation", ["MONOCHROME", "TRUE_COLOR", None])
def test_without_color_in_its_presentation_an_image_is_gray(tmp_path: Path, presentation: str | None) -> None:
    (frame,) = process_dicom(supplemented(tmp_path / "a.dcm", MAPPED, presentation), size=64)
    assert frame.array.ndim == 2


def test_each_frame_may_have_a_presentation_of_its_own(tmp_path: Path) -> None:
    groups = [{"MRImageFrameTypeSequence": [{"PixelPresentation": kind}]} for kind in ("MONOCHROME", "COLOR")]
    path = supplemented(
        tmp_path / "a.dcm", np.stack([MAPPED, MAPPED]), "MIXED", PerFrameFunctionalGroupsSequence=groups
    )
    assert [frame.array.ndim for frame in process_dicom(path, size=64)] == [2, 3]


def test_a_broken_supplemental_palette_is_left_out_and_noted(tmp_path: Path) -> None:
    path = supplemented(tmp_path / "a.dcm", MAPPED, BluePaletteColorLookupTableData=None)
    (frame,) = process_dicom(path, size=64)
    assert frame.array.ndim == 2
    assert "colors, which are not applied" in " ".join(frame.transform.decoded.notes)


# Presets are in Hounsfield units


HU = {"RescaleSlope": 1, "RescaleIntercept": -1024, "SOPClassUID": CTImageStorage}
OWN = {"WindowCenter": 1000, "WindowWidth": 900}


@pytest.mark.parametrize(
    ("says", "used"),
    [
        (HU, True),
        (HU | {"RescaleType": "HU"}, True),
        (HU | {"RescaleType": "HU", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, True),
        (HU | {"Modality": "OT", "RescaleType": "HU"}, True),
        (HU | {"RescaleType": "US"}, False),
        (HU | {"RescaleType": "EDW"}, False),
        (HU | {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, False),
        *((HU | {"Modality": modality}, False) for modality in ("MR", "CR", "US", "MG", "PT", "NM")),
        ({"ModalityLUTSequence": table(np.arange(4096), 12)}, False),
    ],
)
def test_presets_are_for_hounsfield_units(tmp_path: Path, says: dict[str, Any], used: bool) -> None:
    path = make_dicom(tmp_path / "a.dcm", gradient(64, 64), **{**OWN, **says})
    (frame,) = process_dicom(path, size=64, window="lung")
    voi = frame.transform["intensity"]["voi"]
    assert (voi["center"], voi["width"]) == ((-600, 1500) if used else (1000, 900))
    assert (PRESET_NOT_USED in frame.transform.decoded.notes) == (not used)


def test_a_window_in_numbers_is_the_users_word(tmp_path: Path) -> None:
    path = make_dicom(tmp_path / "a.dcm", gradient(64, 64), Modality="MR", **OWN)
    (frame,) = process_dicom(path, size=64, window="40/400")
    assert frame.transform["intensity"]["voi"] == {"center": 40, "width": 400, "function": "LINEAR"}
    mixed = make_dicom(tmp_path / "b.dcm", gradient(64, 64), Modality="MR", **OWN)
    vois = [grayscale.voi for grayscale in decoded_frames(mixed)[0].grayscale]
    assert vois == [Window(1000, 900)]


def test_the_run_says_how_many_images_are_without_their_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        make_dicom(tmp_path / "in" / f"{number}.dcm", gradient() + np.uint16(number), Modality="MR")
    make_dicom(tmp_path / "in" / "movie.dcm", np.stack([gradient()] * 4), Modality="US")
    make_dicom(tmp_path / "in" / "ct.dcm", gradient(), RescaleSlope=1, RescaleIntercept=-1000)
    result = preprocess(
        tmp_path / "in", output_dir=tmp_path / "out", db=str(tmp_path / "a.db"), workers=1, window="lung"
    )
    assert result.without_preset == 7
