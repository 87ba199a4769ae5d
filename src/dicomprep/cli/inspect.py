"""`dicomprep inspect FILE`."""

from pathlib import Path
from typing import Annotated

from dicomprep.cli.options import DEFAULTS, Flat
from dicomprep.config import ImageOptions

__all__ = ["inspect"]


def inspect(
    file: Path,
    *,
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image,
    frame: int = 0,
    png: Path | None = None,
) -> int:
    """Explain what one file is, and which transform is applied and why.

    Parameters
    ----------
    file
        A DICOM file.
    frame
        Which frame, from 0.
    png
        Write the picture here instead of showing it in the terminal.

    """
    from dicomprep.cli.reporting import print_inspection

    file = file.resolve() if file.is_symlink() else file  # it is the person's own choice
    return print_inspection(file, image, frame_number=frame, png=png, max_bytes=DEFAULTS.budget.max_memory * 2**20)
