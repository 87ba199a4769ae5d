"""Addresses of DICOMweb servers: what is asked of one, and what of that may be shown and recorded."""

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from dicomprep.errors import ConfigError

__all__ = ["DicomwebAddress", "is_dicomweb", "without_query"]

SCHEMES = ("dicomweb+https", "dicomweb+http")
STUDY_KEYS = frozenset(
    [
        *("StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName"),
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("StudyInstanceUID", "StudyID", "StudyDescription", "InstitutionName"),
    ]
)
SERIES_KEYS = frozenset(
    [
        *("Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "BodyPartExamined"),
        *("SOPClassUID", "SOPInstanceUID"),
    ]
)

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class DicomwebAddress:
    """Where a server is, and which of its studies and series are wanted."""

    root: str
    """`dicomweb+https://host/root`, as it is shown and recorded: without the query, which may name patients."""
    of_studies: tuple[tuple[str, str], ...] = ()
    of_series: tuple[tuple[str, str], ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything that the server has is wanted."""
        return not (self.of_studies or self.of_series)

    @classmethod
    def parse(cls, text: str) -> "DicomwebAddress":
        """An address with a query by keywords; ConfigError where it is none, without a word of what may be secret.

        >>> DicomwebAddress.parse("dicomweb+https://host/root/?StudyDate=20240101&Modality=CT").root
        'dicomweb+https://host/root'
        """
        parts = urlsplit(text)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if (
            not host
            or not re.fullmatch(r"[A-Za-z0-9.:_-]+", host)
            or not re.fullmatch(r"(/[\w~-][\w.~-]*)*/?", parts.path)
        ):
            raise ConfigError("The address is to be dicomweb+https://HOST/ROOT?KEYWORD=VALUE&….")
        if "@" in parts.netloc or parts.fragment:
            raise ConfigError(
                "A DICOMweb address holds no user, password or token here. Give DICOMWEB_USER and others."
            )
        shown = f"[{host}]" if ":" in host else host
        root = f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        allowed = os.environ.get("DICOMWEB_ALLOW_HTTP", "").lower() in ("1", "true", "yes")
        if parts.scheme == "dicomweb+http" and host not in _LOOPBACK and not allowed:
            message = f"{root} is not encrypted. Give dicomweb+https://"
            raise ConfigError(f"{message}, or set DICOMWEB_ALLOW_HTTP=true where its network is trusted.")
        keys = parse_qsl(parts.query, keep_blank_values=True)
        if parts.query and (not keys or any(key not in STUDY_KEYS | SERIES_KEYS or not value for key, value in keys)):
            known = ", ".join(sorted(STUDY_KEYS | SERIES_KEYS))
            raise ConfigError(f"{root}?…: what is asked for is KEYWORD=VALUE, joined by &; keywords are {known}.")
        of_studies = tuple((key, value) for key, value in keys if key in STUDY_KEYS)
        return cls(root, of_studies, tuple((key, value) for key, value in keys if key in SERIES_KEYS))


def is_dicomweb(text: str) -> bool:
    """Whether an address is a DICOMweb server's."""
    return text.partition("://")[0] in SCHEMES


def without_query(text: str) -> str:
    """A place as it may be shown: of a server without what it is asked, which may name patients."""
    return DicomwebAddress.parse(text).root if is_dicomweb(text) else text
