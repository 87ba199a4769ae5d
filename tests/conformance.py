"""The page docs/conformance.md, made of what the tests encode, decode and compare: python -m tests.conformance"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID_dictionary

from dicomprep.config import ImageOptions
from dicomprep.pipeline.stages.normalize import normalize
from dicomprep.pixels.codecs.registry import decode_codestream, is_supported, supports_reduction
from dicomprep.pixels.codecs.transfer_syntaxes import MPEG, NAMES
from dicomprep.pixels.codecs.transfer_syntaxes import NATIVE as NATIVE_SYNTAXES
from tests.building import make_dicom
from tests.pixels.test_codecs import CASES, layout_of, picture
from tests.pixels.test_dcmtk import DEVIATIONS as DCMTK_DEVIATIONS
from tests.pixels.test_highdicom import DEVIATIONS as HIGHDICOM_DEVIATIONS
from tests.pixels.test_metamorphic import palette, planar
from tests.pixels.test_video import KINDS as VIDEO_KINDS
from tests.pixels.test_video import encode as encode_video
from tests.pixels.test_video import pictures, video_file
from tests.reading import decoded_frames

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"

HEAD = """# Conformance: supported transfer syntaxes and pixel formats

Made by `python -m tests.conformance` from pictures that are encoded, decoded and compared; a test keeps it true.
`dicomprep inspect FILE` shows the decoder of a file, and which header errors were corrected.

## Transfer syntaxes

*Exact* lists what came out as it went in, *with loss* what a lossy codec brought back within its own error. Whatever a
codec carries may be MONOCHROME1 or 2, PALETTE COLOR (lossless ones), RGB or YBR as its transfer syntax allows.
*Reduced* are codecs that `--fidelity high` and `draft` let decode at 1/2, 1/4 … of the size. A frame that breaks off is
`truncated` or `corrupt_pixels` in every one of them.

| transfer syntax | UID | decoded by | exact | with loss | reduced |
|---|---|---|---|---|---|
"""

REFUSED_HEAD = """
Refused as `unsupported_transfer_syntax`, by name:

"""

KINDS_HEAD = """
## Native pixels

Each in Implicit and Explicit VR Little Endian, Explicit VR Big Endian, and Deflated.

| pixels | result |
|---|---|
"""

DEVIATIONS_HEAD = """
## Deviations

What is drawn is within one gray level of 255 of what pydicom, highdicom and DCMTK's `dcmj2pnm` draw, on every sample
file that they decode and on generated ones, but for these. A test fails when one appears or disappears.

| image | other | who is right |
|---|---|---|
"""

GRAY = np.random.default_rng(1).integers(0, 256, (12, 16)).astype(np.uint8)
COLOR = np.random.default_rng(2).integers(0, 256, (12, 16, 3)).astype(np.uint8)
NATIVE = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]


def conformance_page() -> str:
    """The whole page."""
    rows = sorted(_rows(), key=lambda row: [int(part) for part in row[1].split(".")])
    decoded = (row for row in rows if len(row) > 2)
    refused = (f"- {name} ({uid})\n" for name, uid, *rest in rows if not rest)
    deviations = [
        *((name, "DCMTK", reason) for name, (_, _, reason) in DCMTK_DEVIATIONS.items()),
        *((name, "highdicom", reason) for name, reason in HIGHDICOM_DEVIATIONS.items()),
    ]
    parts = (HEAD, _table(decoded), REFUSED_HEAD, *refused, KINDS_HEAD, _table(_native_results()))
    return "".join((*parts, DEVIATIONS_HEAD, _table(deviations)))


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows() -> Iterator[tuple[str, ...]]:
    names = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"} | NAMES
    decoders, exact, lossy = _decoded()
    for uid, full_name in names.items():
        name = full_name.partition(":")[0]
        reduced = "yes" if supports_reduction(uid) else ""
        if uid in NATIVE_SYNTAXES:
            yield name, uid, "natively", "every kind below", "", ""
        elif uid in MPEG:
            which = ", ".join(sorted(decoders[uid])) or "FFmpeg"
            yield name, uid, f"{which} (extra `video`)", "", ", ".join(lossy[uid]), ""
        elif is_supported(uid):
            yield name, uid, ", ".join(sorted(decoders[uid])), ", ".join(exact[uid]), ", ".join(lossy[uid]), reduced
        elif not name.startswith(("RFC", "Papyrus", "XML")):
            yield name, uid


def _decoded() -> tuple[dict[str, set[str]], dict[str, list[str]], dict[str, list[str]]]:
    """What decodes each transfer syntax, which kinds of pixels exactly, and which with loss."""
    decoders: dict[str, set[str]] = defaultdict(set)
    exact: dict[str, list[str]] = defaultdict(list)
    lossy: dict[str, list[str]] = defaultdict(list)
    for case in CASES:
        pixels = picture(case.dtype, case.bits, color=case.color)
        layout = layout_of(pixels, bits=case.bits)
        decoded = decode_codestream(case.encode(pixels, case.bits), layout, transfer_syntax=case.syntax)
        decoders[case.syntax].add(decoded.decoder)
        sign = "signed " if case.dtype[0] == "i" else ""
        kind = f"{'RGB' if case.color else 'gray'} {sign}{case.bits}"
        error = np.abs(decoded.pixels.astype(np.float64) - pixels).max()
        assert error <= case.tolerance, case
        target = lossy if error else exact
        if kind not in target[case.syntax]:
            target[case.syntax].append(kind)
    for kind, (syntax, codec, container) in VIDEO_KINDS.items():
        frames = pictures()[:3]
        with TemporaryDirectory() as folder:
            stream = encode_video(frames, codec, container, deep="10" in kind)
            drawn = decoded_frames(video_file(Path(folder) / "a.dcm", stream, syntax, frames))
        decoders[syntax].add(drawn[0].decoder)
        lossy[syntax].append(kind)
    return decoders, exact, lossy


def _native_results() -> Iterator[tuple[str, str]]:
    for name, (stored, attributes, expected) in _native_kinds().items():
        worst = 0.0
        for syntax in NATIVE:
            with TemporaryDirectory() as folder:
                described = {k: v[syntax] if isinstance(v, dict) else v for k, v in attributes.items()}
                path = make_dicom(Path(folder) / "a.dcm", stored, transfer_syntax=syntax, **described)
                (frame,) = decoded_frames(path)
            drawn = frame.pixels if frame.grayscale else normalize(frame, ImageOptions()).pixels
            worst = max(worst, float(np.abs(drawn.astype(np.float64) - expected).max()))
        yield name, "exact" if worst == 0 else f"within {worst:.0f} of 255"


def _native_kinds() -> dict[str, tuple[NDArray[Any], dict[str, Any], NDArray[Any]]]:
    """Name → stored array, attributes, and what it must become: stored values where it is gray, else RGB."""
    wide = GRAY.astype(np.uint16) * 16
    signed = wide.astype(np.int16) - 2048
    twelve = {"BitsStored": 12, "HighBit": 11}
    shifted = {"BitsStored": 12, "HighBit": 15}
    kinds: dict[str, tuple[NDArray[Any], dict[str, Any], NDArray[Any]]] = {
        "1 bit": (GRAY > 127, {}, GRAY > 127),
        "8 bits": (GRAY, {}, GRAY),
        "8 bits, signed": (GRAY.view(np.int8), {}, GRAY.view(np.int8)),
        "12 of 16 bits": (wide, twelve, wide),
        "12 of 16 bits, signed": (signed & 0xFFF, twelve | {"PixelRepresentation": 1}, signed),
        "12 of 16 bits, rubbish in the other four": (wide | 0xA000, twelve, wide),
        "12 of 16 bits, High Bit 15": (wide << 4, shifted, wide),
        "16 bits": (wide * 15, {}, wide * 15),
        "16 bits, signed": (signed * 15, {}, signed * 15),
        "32 bits": (wide.astype(np.uint32) << 16, {}, wide.astype(np.uint32) << 16),
        "32 bits, signed": (signed.astype(np.int32) << 16, {}, signed.astype(np.int32) << 16),
        "float": (signed.astype(np.float32) / 7, {}, signed.astype(np.float32) / 7),
        "double": (signed / 7, {}, signed / 7),
        "RGB of 8 bits": (COLOR, {"PhotometricInterpretation": "RGB"}, COLOR),
        "RGB of 16 bits": (COLOR.astype(np.uint16) * 257, {"PhotometricInterpretation": "RGB"}, COLOR),
        "YBR_FULL": (_ybr(COLOR), {"PhotometricInterpretation": "YBR_FULL"}, COLOR),
    }
    little = {"PlanarConfiguration": 1, "PhotometricInterpretation": "RGB"}
    kinds["RGB, color by color"] = (COLOR, planar(COLOR) | little, COLOR)
    words = palette(COLOR) | {"color": True}
    for key in [key for key in words if key == "PixelData" or key.endswith("TableData")]:
        big = np.frombuffer(words[key], "<u2").astype(">u2").tobytes()
        words[key] = {syntax: big if syntax.endswith("1.2.2") else words[key] for syntax in NATIVE}
    kinds["PALETTE COLOR of 16-bit entries"] = (COLOR, words, COLOR)
    return kinds


def _ybr(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    ybr = np.stack([luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128], axis=-1)
    return np.clip(np.rint(ybr), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    PAGE.write_text(conformance_page(), encoding="utf-8")
