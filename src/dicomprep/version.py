"""Which dicomprep this is; pyproject.toml takes the version from here."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
