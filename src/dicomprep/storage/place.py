"""Where a data set's images go, or its inputs come from: a folder, or an address of an object store."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dicomprep.errors import ConfigError

__all__ = ["INPUT_SCHEMES", "OUTPUT_SCHEMES", "Place", "is_url"]

OUTPUT_SCHEMES = ("s3", "gs", "az")
INPUT_SCHEMES = (*OUTPUT_SCHEMES, "https", "http")
"""`http` for servers on this machine alone: what is read are pictures of patients."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ALIASES = {"s3a": "s3", "gcs": "gs", "azure": "az"}


def is_url(text: str | os.PathLike[str]) -> bool:
    """Whether somebody wrote an address with a scheme, rather than a path.

    >>> is_url("s3://bucket/a"), is_url("C:/data"), is_url("a/b")
    (True, False, False)
    """
    return _URL.match(os.fspath(text)) is not None


@dataclass(frozen=True, slots=True)
class Place:
    """A folder by its absolute path, or an address without any credentials in it: safe to show and to record."""

    text: str

    @classmethod
    def parse(cls, text: str | os.PathLike[str], *, option: str, schemes: tuple[str, ...] = OUTPUT_SCHEMES) -> "Place":
        """What `option` was given: a path, `file://…`, or an address with one of `schemes`; ConfigError for others.

        Credentials and query strings in an address are refused, and not repeated in the message.

        >>> Place.parse("s3a://bucket/a b/", option="--output-dir").text
        's3://bucket/a b'
        """
        text = os.fspath(text)
        if not text:
            raise ConfigError(f"{option}: the path is empty. Is a shell variable unset?")
        match = _URL.match(text)
        if match is None:
            return cls(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH111  (a Path would drop a leading ./)
        scheme = _ALIASES.get(match[1].lower(), match[1].lower())
        if scheme == "file":
            return cls(os.path.abspath(unquote(urlsplit(text).path) or "/"))
        if scheme not in schemes:
            known = ", ".join(f"{one}://" for one in schemes)
            raise ConfigError(f"{option} {match[1]}://…: give a folder, or an address that begins with {known}.")
        return cls(_checked_address(scheme, text[match.end() :], option))

    @classmethod
    def recorded(cls, text: str, folder: Path | None) -> "Place":
        """As a database names it: an address, or a path seen from the folder of the database."""
        if is_url(text):
            return cls.parse(text, option="The place of images that the database names,")
        return cls(os.path.abspath(os.path.join(folder or "", text)))

    def __str__(self) -> str:
        """As it may be shown."""
        return self.text

    @property
    def is_remote(self) -> bool:
        """Whether it is an address of an object store."""
        return is_url(self.text)

    @property
    def path(self) -> Path:
        """The folder, absolute; only where it is one."""
        return Path(self.text)


def _checked_address(scheme: str, rest: str, option: str) -> str:
    """An address in one spelling; ConfigError where it holds what must not be kept, or names nothing."""
    shown = f"{option} {scheme}://…"
    host, _, path = rest.partition("/")
    if "@" in host or (scheme in ("https", "http") and {"?", "#"} & set(rest)):
        where = "the environment or the files of its command line tool"
        raise ConfigError(f"{shown}: an address holds no user, password, query or token here. Give them in {where}.")
    if not host:
        raise ConfigError(f"{shown}: give the bucket, {scheme}://BUCKET/PREFIX.")
    ends_open = path.endswith("/") and scheme in ("https", "http")  # a folder there, not a file
    parts = path.rstrip("/").split("/") if path.rstrip("/") else []
    if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
        raise ConfigError(f"{shown}: its prefix has an empty part, a dot or a control character. Choose another one.")
    if scheme == "http" and (urlsplit(f"http://{host}").hostname or "") not in _LOOPBACK:
        raise ConfigError(f"{option} http://{host}/…: it is not encrypted. Give https://, or a server of this machine.")
    return "/".join([f"{scheme}://{host}", *parts]) + "/" * ends_open
