"""Who asks a DICOMweb server: credentials of the environment, which go nowhere but to that server."""

import os
from pathlib import Path
from typing import Any

from dicomprep.errors import ConfigError
from dicomprep.extras import load_extra

__all__ = ["PURPOSE", "open_session", "token_header"]

PURPOSE = "Reading from a DICOMweb server"


def open_session() -> Any:  # noqa: ANN401
    """With what the environment says of who asks; files such as ~/.netrc are not asked. Raises ConfigError."""
    sessions = load_extra("dicomweb_client.session_utils", extra="pacs", purpose=PURPOSE)
    user, password = os.environ.get("DICOMWEB_USER"), os.environ.get("DICOMWEB_PASSWORD")
    session = sessions.create_session_from_user_pass(user, password or "") if user else sessions.create_session()
    if not user:
        session.auth = lambda request: request
    certificate, key = _file_of("DICOMWEB_CERT"), _file_of("DICOMWEB_KEY")
    if certificate:
        session.mount("https://", _adapter_with(certificate, key))
    authority = _file_of("DICOMWEB_CA")
    if authority:
        session.verify = authority
    return session


def token_header() -> dict[str, str]:
    """Read at each request: a token that expires is written anew by whoever got it."""
    token, path = os.environ.get("DICOMWEB_TOKEN"), _file_of("DICOMWEB_TOKEN_FILE")
    if path:
        token = Path(path).read_text("utf-8").strip()
    if token and not (token.isascii() and token.isprintable()):
        raise ConfigError("DICOMWEB_TOKEN is not a token: it holds what no header can.")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _adapter_with(certificate: str, key: str | None) -> Any:  # noqa: ANN401
    """Shows a certificate to who asks for one; a password is given always, else OpenSSL asks a terminal, and waits."""
    adapters = load_extra("requests.adapters", extra="pacs", purpose=PURPOSE)
    context = load_extra("urllib3.util.ssl_", extra="pacs", purpose=PURPOSE).create_urllib3_context()
    try:
        context.load_cert_chain(certificate, key, os.environ.get("DICOMWEB_KEY_PASSWORD", ""))
    except OSError:  # those of OpenSSL, too
        wrong = "DICOMWEB_CERT or DICOMWEB_KEY is not in PEM, they do not belong together"
        raise ConfigError(f"{wrong}, or DICOMWEB_KEY_PASSWORD is not the password of the key.") from None

    class Adapter(adapters.HTTPAdapter):  # type: ignore[name-defined, misc]
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*arguments, ssl_context=context, **options)

    return Adapter()


def _file_of(variable: str) -> str | None:
    path = os.environ.get(variable)
    if path and not Path(path).is_file():
        raise ConfigError(f"{variable} names no file.")
    return path
