"""Tar files as WebDataset reads them: KEY.png (or .jpg, .webp, .npy), KEY.json and, where there is a label, KEY.cls."""

import io
import json
import tarfile
from pathlib import Path

from dicomprep.exchange.rows import Part

__all__ = ["write_archive"]


def write_archive(part: Part, path: Path) -> None:
    """Images with their metadata; the same bytes for the same frames."""
    numbers = {name: number for number, name in enumerate(part.classes)}
    names = list(part.rows.columns)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, values in zip(part.numbers, part.rows.values(part.numbers), strict=True):
            said = dict(zip(names, values, strict=True))
            _add(archive, part.rows.image_name(number), part.rows.image(number))
            _add(archive, f"{said['key']}.json", json.dumps(said, sort_keys=True, ensure_ascii=False).encode())
            if said["label"] is not None:
                _add(archive, f"{said['key']}.cls", str(numbers[said["label"]]).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # its time, owner and mode say nothing of this machine
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
