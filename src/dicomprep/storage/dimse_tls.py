"""DIMSE over TLS (DICOM PS3.15 annex B): certificates of both sides, from files that are named."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError

__all__ = ["TlsFiles"]

PASSWORD = "DICOMPREP_TLS_PASSWORD"  # noqa: S105  (the name of a variable)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the certificates are; TLS is used where one of them is given."""

    tls_cert: Path | None = None
    """Certificate of this program (PEM), for DIMSE over TLS; the password of its key, if it has one, is read from
    DICOMPREP_TLS_PASSWORD."""
    tls_key: Path | None = None
    """Its private key (PEM), if that is not in the same file."""
    tls_ca: Path | None = None
    """Certificates (PEM) of the authorities, or of the systems themselves, that are trusted: others are refused."""

    def __post_init__(self) -> None:
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("--tls-key: its certificate is missing. Give --tls-cert.")

    @property
    def are_given(self) -> bool:
        """Whether TLS is used."""
        return self.tls_cert is not None or self.tls_ca is not None

    def for_listening(self) -> ssl.SSLContext | None:
        """For who is called: with --tls-ca callers must show a certificate. ConfigError where a file is wrong."""
        if not self.are_given:
            return None
        if self.tls_cert is None:
            raise ConfigError("--tls-ca: who is called needs a certificate of its own. Give --tls-cert, too.")
        context = _PatientContext(ssl.PROTOCOL_TLS_SERVER)
        if self.tls_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._load(context)

    def for_calling(self) -> ssl.SSLContext | None:
        """For who calls: the other side is who its certificate says, by its host. ConfigError where a file is wrong."""
        if not self.are_given:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.tls_ca is None:
            context.load_default_certs()
        return self._load(context)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # PS3.15 annex B.9
        if self.tls_ca is not None:
            with _explaining("--tls-ca", self.tls_ca, "it holds no certificates in PEM"):
                context.load_verify_locations(self.tls_ca)
        if self.tls_cert is not None:
            password = os.environ.get(PASSWORD, "")  # given always: else OpenSSL asks a terminal, and waits
            wrong = f"it is not a certificate in PEM, or its key is not, or {PASSWORD} is not the password of that"
            with _explaining("--tls-cert", self.tls_cert, wrong):
                context.load_cert_chain(self.tls_cert, self.tls_key, password)
        return context


class _PatientContext(ssl.SSLContext):
    """Agrees on keys when a connection is first read from, by its own thread: one who does not holds nobody else up."""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401
        """See `ssl.SSLContext`."""
        return super().wrap_socket(*arguments, **options | {"do_handshake_on_connect": False})


@contextmanager
def _explaining(option: str, path: Path, wrong: str) -> Iterator[None]:
    """ConfigError where a file cannot be loaded, without a word of a password."""
    try:
        yield
    except ssl.SSLError:
        raise ConfigError(f"{option} {path}: {wrong}.") from None
    except OSError as error:
        raise ConfigError(f"{option} {path} or its key cannot be read: {error.strerror}.") from None
