"""Where the credentials of object stores are found: where their own tools look. None is kept, shown or recorded.

obstore reads the environment; what it does not read is ~/.aws. It would ask a machine's metadata service wherever
nothing else is found, also where there is none: here only where that is configured, and a public bucket needs nothing.
"""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dicomprep.errors import ConfigError

__all__ = ["credential_hint", "store_options"]

_AWS_ELSEWHERE = (
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_METADATA_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
)
"""Any of these says that credentials come from a service."""

_GOOGLE = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"),
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
_AZURE = (
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
    *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_STORAGE_TOKEN"),
    *("AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT", "AZURE_USE_AZURE_CLI"),
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_FROM_PROFILE = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region": "region",
    "endpoint_url": "endpoint",
}


def store_options(scheme: str) -> dict[str, object]:
    """What obstore is told of an address with this scheme beyond what it reads from the environment itself."""
    if scheme == "s3":
        return _aws_options()
    if scheme == "gs":
        known = any(os.environ.get(name) for name in _GOOGLE) or _google_login().is_file()
        return {} if known else {"skip_signature": True}
    if scheme == "az":
        return {} if any(os.environ.get(name) for name in _AZURE) else {"skip_signature": True}
    return {}


def credential_hint(scheme: str) -> str:
    """Where somebody puts credentials who has none yet, for a message."""
    places = {
        "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or a profile in ~/.aws (AWS_PROFILE)",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS in the environment, or `gcloud auth application-default login`",
        "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN in the environment",
    }
    return places.get(scheme, "its own tools")


def _aws_options() -> dict[str, object]:
    profile = _aws_profile()
    options: dict[str, object] = {"checksum_algorithm": "SHA256"}
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        profile = {name: value for name, value in profile.items() if name in ("region", "endpoint_url")}
    options |= {ours: profile[theirs] for theirs, ours in _FROM_PROFILE.items() if profile.get(theirs)}
    for name, option in (("AWS_REGION", "region"), ("AWS_DEFAULT_REGION", "region"), ("AWS_ENDPOINT_URL", "endpoint")):
        if os.environ.get(name):
            options.pop(option, None)
    _require_encryption(str(options.get("endpoint") or _aws_endpoint()))
    endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    if endpoint:
        options["metadata_endpoint"] = endpoint
    from_service = any(os.environ.get(name) for name in _AWS_ELSEWHERE) or profile.get("credential_source")
    if not (from_service or "access_key_id" in options or os.environ.get("AWS_ACCESS_KEY_ID")):
        options["skip_signature"] = True
    return options


def _aws_endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _require_encryption(endpoint: str) -> None:
    """ConfigError where pictures of patients would go over a network as they are, and nobody has said that they may."""
    parts = urlsplit(endpoint)
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not allowed:
        message = f"The S3 endpoint http://{parts.hostname} is not encrypted."
        raise ConfigError(f"{message} Give https://, or set AWS_ALLOW_HTTP=true where its network is trusted.")


def _aws_profile() -> Mapping[str, str]:
    """The settings of the profile that is asked for, from both files; nothing where there is none."""
    name = os.environ.get("AWS_PROFILE") or "default"
    home = Path.home() / ".aws"
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = Path(os.environ.get(variable) or home / file)
        found |= _read_section(path, section)
    if not found and os.environ.get("AWS_PROFILE"):
        raise ConfigError(f"There is no AWS profile {name} (AWS_PROFILE) in ~/.aws/config or ~/.aws/credentials.")
    return found


def _read_section(path: Path, section: str) -> dict[str, str]:
    """A section of a file of settings. What is wrong in it is said without quoting it."""
    settings = configparser.RawConfigParser()
    try:
        settings.read_string(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (configparser.Error, ValueError):
        raise ConfigError(f"{path} cannot be read: it is not a file of settings as AWS writes it.") from None
    return dict(settings[section]) if settings.has_section(section) else {}


def _google_login() -> Path:
    folder = os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config/gcloud"
    return Path(folder, "application_default_credentials.json")
