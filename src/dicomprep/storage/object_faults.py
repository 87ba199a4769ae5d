"""What an object store's refusal means: for one object, for the whole place, or only for now."""

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fault", "FaultKind", "explain_fault"]


class FaultKind(StrEnum):
    """Whose matter a refusal is."""

    MISSING = "missing"
    """There is no such object."""
    EXISTS = "exists"
    """A condition was not met: there is one already, or it is another one."""
    DENIED = "denied"
    """Not with these rights: this object, or all of them."""
    CREDENTIALS = "credentials"
    """Not with these credentials, whatever is asked for."""
    PLACE = "place"
    """There is no such bucket, or no such server."""
    PASSING = "passing"
    """It may be different in a moment: too many requests, a cut connection, an error of the server."""
    REFUSED = "refused"
    """Anything else; asking again gives the same."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal, in words that hold no address, no header and no credential."""

    kind: FaultKind
    reason: str


_CREDENTIAL_CODES = {
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "TokenRefreshRequired": "the credentials have expired",
    "InvalidToken": "the session token is not valid",
    "InvalidAccessKeyId": "the access key is not known",
    "SignatureDoesNotMatch": "the secret key is not the right one",
    "AuthenticationFailed": "the credentials are not accepted",
    "RequestTimeTooSkewed": "the clock of this machine differs too much from the server's",
}
_PASSING_CODES = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "ServerBusy", "Throttling"}
_PLACE_CODES = {"NoSuchBucket": "there is no such bucket", "ContainerNotFound": "there is no such container"}
_STATUS = re.compile(r"status code: (\d{3})|HTTP status (?:client|server) error \((\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_KEY = re.compile(r'path: "((?:[^"\\]|\\.){1,1024})"')

_KINDS = {
    **dict.fromkeys(("PreconditionError", "AlreadyExistsError", "NotModifiedError"), FaultKind.EXISTS),
    **dict.fromkeys(("NotSupportedError", "InvalidPathError", "ValueError"), FaultKind.REFUSED),
    "UnknownConfigurationKeyError": FaultKind.REFUSED,
    "UnauthenticatedError": FaultKind.CREDENTIALS,
    "PermissionDeniedError": FaultKind.DENIED,
    "FileNotFoundError": FaultKind.MISSING,
}
"""By the name of obstore's exception."""

_REASONS = {
    FaultKind.MISSING: "there is no such object",
    FaultKind.EXISTS: "a condition was not met",
    FaultKind.DENIED: "access is denied",
    FaultKind.CREDENTIALS: "the credentials are not accepted",
    FaultKind.PASSING: "the server cannot answer for now",
    FaultKind.REFUSED: "the server refuses it",
}
_TROUBLE = {
    "dns error": "its name is not known to this network",
    "connection refused": "nothing answers there",
    "timed out": "it did not answer in time",
    "timeout": "it did not answer in time",
}


def explain_fault(error: Exception) -> Fault:
    """What an exception of obstore says. Its own text is not kept: it may hold signed addresses."""
    name, text = type(error).__name__, str(error)
    if name == "InvalidPathError":
        return Fault(FaultKind.REFUSED, _explain_key(text))
    status = next((int(number) for found in _STATUS.findall(text) for number in found if number), None)
    code = next(iter(_CODE.findall(text)), "")
    by_name = _KINDS.get(name) or _by_status(status)
    if code in _CREDENTIAL_CODES:
        return Fault(FaultKind.CREDENTIALS, f"{_CREDENTIAL_CODES[code]} ({code})")
    if code in _PLACE_CODES:
        return Fault(FaultKind.PLACE, _PLACE_CODES[code])
    if code in _PASSING_CODES:
        by_name = FaultKind.PASSING
    if by_name is None:
        return _explain_silence(text.lower())
    said = " ".join(part for part in (str(status or ""), code) if part)
    return Fault(by_name, _REASONS[by_name] + f" ({said})" * bool(said))


def _explain_key(text: str) -> str:
    """Which key has an empty part, a dot or a control character, as obstore spells it."""
    key = next(iter(_KEY.findall(text)), "")
    return f"the key “{key}” cannot be addressed. Rename that object, or give a prefix that does not hold it"


def _by_status(status: int | None) -> FaultKind | None:
    """What an HTTP status means; None without one."""
    if status is None:
        return None
    if status in (408, 409, 425, 429) or (status >= 500 and status != 501):  # 501: it does not do that at all
        return FaultKind.PASSING
    known = {401: FaultKind.CREDENTIALS, 403: FaultKind.DENIED, 404: FaultKind.MISSING}
    return known.get(status, FaultKind.REFUSED)


def _explain_silence(text: str) -> Fault:
    """What went wrong where no server answered."""
    reason = next((meaning for sign, meaning in _TROUBLE.items() if sign in text), "the connection broke")
    return Fault(FaultKind.PASSING, reason)
