"""One file decoded again and again, whole and broken, in one process: `python -m tests.faults.leaking FILE TIMES`.

Prints the physical memory in MB after a tenth of the times and at the end.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

import dicomprep
from dicomprep.errors import InputError
from tests.faults.measuring import resident_megabytes


def main(path: Path, times: int) -> None:
    """Decode `path` and, every other time, a cut and a bent copy of it, which end on the decoders' ways out."""
    content = path.read_bytes()
    cut, bent = path.with_name(f"cut-{path.name}"), path.with_name(f"bent-{path.name}")
    cut.write_bytes(content[: -max(40, len(content) // 10)])
    middle = len(content) * 3 // 4
    bent.write_bytes(
        content[:middle] + bytes(byte ^ 0x55 for byte in content[middle : middle + 16]) + content[middle + 16 :]
    )
    early = 0.0
    for number in range(times):
        for variant in (path, (path, cut, path, bent)[number % 4]):
            with suppress(InputError):
                dicomprep.process_dicom(variant, size=32)
        if number == times // 10:
            early = resident_megabytes()
    json.dump([early, resident_megabytes()], sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
