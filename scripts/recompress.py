"""Whether a picture stays the same when DCMTK compresses its file in another way: `recompress.py FOLDER [FOLDER …]`.

Every file that DCMTK can compress without loss must give the same pixels with `--fidelity exact` as before, and
the same thumbnail at default options. With loss (`+eb`) the picture may be off by a little. Prints each that is not
as it should be, then counts; the exit code is 1 where there is one.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import dicomprep

COMMANDS = {
    "JPEG Lossless, predictor 1": ["dcmcjpeg", "+e1"],
    "JPEG Lossless, predictor 6": ["dcmcjpeg", "+el", "+sv", "6"],
    "JPEG-LS": ["dcmcjpls"],
    "RLE": ["dcmcrle"],
    "JPEG Baseline": ["dcmcjpeg", "+eb", "+q", "95", "--accept-palettes"],
}
LOSSY = "JPEG Baseline"
MAX_FILE_BYTES = 60_000_000


def compress(path: Path, codec: str, place: Path) -> bool:
    """Write the file compressed by `codec`; False where DCMTK does not do that."""
    raw = place.with_suffix(".raw")
    source = path
    for tool in ("dcmdjpeg", "dcmdjpls", "dcmdrle"):
        if run([tool, str(source), str(raw)]):
            source = raw
            break
    return run([*COMMANDS[codec], str(source), str(place)])


def run(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=120)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def compare(path: Path, place: Path, codec: str) -> str:
    """What is wrong with the compressed file's picture; nothing where it is the same."""
    for fidelity in ("exact", "high"):
        options: dict[str, Any] = {"fidelity": fidelity, "frames": "first"}
        before = dicomprep.process_dicom(path, **options)
        try:
            after = dicomprep.process_dicom(place, **options)
        except dicomprep.InputError as error:
            return f"{fidelity}: {error}"
        for old, new in zip(before, after, strict=True):
            if old.array.shape != new.array.shape:
                return f"{fidelity}: {old.array.shape} is {new.array.shape} now"
            off = np.abs(old.array.astype(int) - new.array.astype(int))
            if off.mean() > 4 if codec == LOSSY else off.any():
                return f"{fidelity}: off by {off.mean():.2f} on average, {off.max()} at most"
    return ""


def files(folders: list[str]) -> Iterator[Path]:
    for folder in folders:
        found = sorted(Path(folder).rglob("*"))
        yield from (path for path in found if path.is_file() and path.stat().st_size < MAX_FILE_BYTES)


def main(folders: list[str]) -> int:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "x.dcm"
        for path in files(folders):
            try:
                dicomprep.process_dicom(path, frames="first")
            except dicomprep.InputError:
                continue
            for codec in COMMANDS:
                if not compress(path, codec, place):
                    continue
                wrong = compare(path, place, codec)
                counts[f"{codec}: {'NOT the same' if wrong else 'the same'}"] += 1
                if wrong:
                    print(f"{codec}: {path}: {wrong}", flush=True)
    print("\n".join(f"{count:6d} {what}" for what, count in sorted(counts.items())))
    return int(any("NOT" in what for what in counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
