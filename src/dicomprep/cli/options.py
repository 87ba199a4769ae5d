"""Options that several commands share."""

from typing import Annotated

from cyclopts import Parameter

from dicomprep.config import Config

__all__ = ["DEFAULTS", "Db", "Flag", "Flat"]

Flat = Parameter(name="*")
Db = Annotated[str, Parameter(help="SQLite database path, or a postgresql:// URL.")]
Flag = Annotated[bool, Parameter(negative="")]
DEFAULTS = Config(dicom_dir=(".",))
