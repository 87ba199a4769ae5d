"""The page docs/conformance.md, made of what the tests decode: python -m tests.conformance"""

from collections import defaultdict
from pathlib import Path

from pydicom.uid import UID_dictionary

from dicomprep.dicom.header import NEWER_SYNTAXES
from dicomprep.pixels.codecs import NATIVE_SYNTAXES, decode_codestream, is_supported
from tests.test_codecs import CASES, layout_of, picture

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"

HEAD = """# What is decoded

Made by `python -m tests.conformance` from what the tests encode and decode; a test keeps it true. Each kind of
pixels was encoded, decoded and compared, exactly where the syntax is lossless. All of them may be MONOCHROME1 or 2,
RGB, YBR_FULL or PALETTE COLOR as far as the syntax allows; native pixels also of 1, 32 and 64 bits, float and double,
and 4:2:2.
`dicomprep inspect FILE` says what decodes a file of yours.

| transfer syntax | UID | decoded by | pixels in the tests |
|---|---|---|---|
"""


def conformance_page() -> str:
    """The whole page."""
    rows = sorted(_rows(), key=lambda row: [int(part) for part in row[1].split(".")])
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows() -> list[tuple[str, str, str, str]]:
    names = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"} | NEWER_SYNTAXES
    decoders, kinds = _decoded()
    rows = []
    for uid, full_name in names.items():
        name = full_name.partition(":")[0]
        if uid in NATIVE_SYNTAXES:
            rows.append((name, uid, "natively", "every kind"))
        elif is_supported(uid):
            rows.append((name, uid, ", ".join(sorted(decoders[uid])), ", ".join(kinds[uid])))
        elif not name.startswith(("RFC", "SMPTE", "Papyrus")):
            rows.append((name, uid, "refused: `unsupported_transfer_syntax`", ""))
    return rows


def _decoded() -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """What decodes each transfer syntax, and which pixels."""
    decoders: dict[str, set[str]] = defaultdict(set)
    kinds: dict[str, list[str]] = defaultdict(list)
    for case in CASES:
        pixels = picture(case.dtype, case.bits, color=case.color)
        layout = layout_of(pixels, bits=case.bits)
        decoded = decode_codestream(case.encode(pixels, case.bits), layout, transfer_syntax=case.syntax)
        decoders[case.syntax].add(decoded.decoder)
        sign = "signed " if case.dtype[0] == "i" else ""
        kind = f"{'RGB' if case.color else 'grey'} {sign}{case.bits}"
        if kind not in kinds[case.syntax]:
            kinds[case.syntax].append(kind)
    return decoders, kinds


if __name__ == "__main__":
    PAGE.write_text(conformance_page(), encoding="utf-8")
