"""What several commands are told in the same way."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dicomprep.config import Config

__all__ = ["DEFAULTS", "Flag", "Flat"]

Flat = Parameter(name="*")
Flag = Annotated[bool, Parameter(negative="")]
DEFAULTS = Config(dicom_dir=Path())
