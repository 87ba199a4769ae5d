"""`dicomprep inspect FILE`."""

import shutil
import sys
import textwrap
from pathlib import Path
from typing import Annotated

from dicomprep.checks.inspect import inspect_file, render_in_terminal, save_png
from dicomprep.cli.console import printable
from dicomprep.cli.options import DEFAULTS, Flat
from dicomprep.config import ImageOptions
from dicomprep.errors import ConfigError, InputError
from dicomprep.models import Pixels
from dicomprep.storage.place import is_url
from dicomprep.storage.sync import require_place

__all__ = ["inspect"]

MAX_COLUMNS = 64
"""Of a picture in the terminal."""


def inspect(
    file: str,
    *,
    image: Annotated[ImageOptions, Flat] = DEFAULTS.image,
    frame: int = 0,
    png: Path | None = None,
) -> int:
    """Explain one DICOM file: what it is, how it is rendered and why; exits with 1 if it cannot be rendered.

    Parameters
    ----------
    file
        A DICOM file, or the address of one: s3://BUCKET/KEY, https://….
    frame
        Index of the frame, from 0.
    png
        Write the rendered image to this file instead of showing it in the terminal.

    """
    if not is_url(file) and Path(file).is_symlink():  # it is the person's own choice
        file = str(Path(file).resolve())
    if png is not None:
        require_place(png, apart_from=None if is_url(file) else Path(file))
    try:
        inspection = inspect_file(file, image, frame_number=frame, max_bytes=DEFAULTS.budget.max_memory * 2**20)
    except InputError as error:
        raise ConfigError(f"{file}: {error.detail}") from error
    for name, value in inspection.rows:
        _print_row(name, value)
    if inspection.thumbnail is None:
        if inspection.error is not None:
            print(f"{'No picture':<16} {printable(inspection.error.detail)} [{inspection.error.code}]")
        return 1
    _show(inspection.thumbnail.pixels, png)
    return 0


def _print_row(name: str, value: str) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    print(textwrap.fill(printable(value), width, initial_indent=f"{name:<16} ", subsequent_indent=" " * 17))


def _show(pixels: Pixels, png: Path | None) -> None:
    """As a file, or in the terminal where there is one."""
    if png is not None:
        save_png(pixels, png)
        print(f"{'Picture':<16} {printable(str(png))}")
    elif sys.stdout.isatty():
        print(render_in_terminal(pixels, columns=min(MAX_COLUMNS, shutil.get_terminal_size().columns)))
