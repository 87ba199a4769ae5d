"""This program's version; pyproject.toml takes it from here."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
