"""A PACS is asked what it has and for its instances (DICOM PS3.4 annex C): C-FIND, and C-GET or C-MOVE.

Each transfer syntax is offered in a presentation context of its own: so the server has one for the syntax in which it
keeps an instance. Offered together, one of them is chosen for all, and what is kept in another one is transcoded or not
sent. Nothing that the server answers is trusted: UIDs are checked, and there is an end to its lists.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from dicomprep.errors import ConfigError, EnvironmentFault
from dicomprep.pixels.codecs import transfer_syntaxes
from dicomprep.storage.dimse import Keep, load_pynetdicom, receiving_handlers
from dicomprep.storage.dimse_peers import require_title
from dicomprep.storage.spool import is_uid_name

__all__ = [
    "MAX_OFFERED_CLASSES",
    "Listed",
    "Remote",
    "find_instances",
    "find_studies",
    "get_instances",
    "move_instances",
]

MAX_ANSWERS = 1_000_000
"""Of one query that are listened to."""

MAX_CONTEXTS = 127
"""Of an association, besides that of the request (PS3.8 section 9.3.2.2)."""

SYNTAXES = sorted(
    (transfer_syntaxes.NATIVE - {transfer_syntaxes.GE_PRIVATE})
    | {transfer_syntaxes.of_process(number) for number in (50, 51, 57, 70)}
    | transfer_syntaxes.JPEG_LS
    | transfer_syntaxes.JPEG_2000
    | transfer_syntaxes.JPEG_XL
    | transfer_syntaxes.MPEG
    | {transfer_syntaxes.RLE_LOSSLESS, transfer_syntaxes.ENCAPSULATED_UNCOMPRESSED, transfer_syntaxes.DEFLATED_FRAME}
)
MAX_OFFERED_CLASSES = MAX_CONTEXTS // len(SYNTAXES)
"""SOP classes for which one association has room."""

MAX_SILENCE_SECONDS = 600.0
"""Between two messages of a server; one may be an instance of some gigabytes."""

PENDING, SUCCESS = (0xFF00, 0xFF01), 0x0000

_MEANINGS = {
    0x0122: "does not support this",
    0xA701: "out of resources",
    0xA702: "could not do all of it",
    0xA801: "does not know --aet as a destination",
    0xB000: "could not send all of it",
    0xFE00: "was cancelled",
}
"""Of statuses (PS3.4 tables C.4-1 to C.4-3)."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A PACS, and as whom it is called."""

    title: str
    host: str
    port: int
    own_title: str
    tls: SSLContext | None = None

    @classmethod
    def parse(cls, text: str, own_title: str, tls: SSLContext | None = None) -> "Remote":
        """`AET@HOST:PORT`; ConfigError where it is none."""
        match = re.fullmatch(r"([^@]+)@(\[[0-9a-fA-F:.]+\]|[^\s:@/]+):(\d{1,5})", text)
        if match is None or not 1 <= int(match[3]) <= 65535:
            raise ConfigError(f"--from {text}: give AET@HOST:PORT, such as PACS@10.0.0.5:104.")
        own = require_title(own_title, "aet")
        return cls(require_title(match[1], "from"), match[2].strip("[]"), int(match[3]), own, tls)

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


class Listed(NamedTuple):
    """An instance that a PACS says it has."""

    study: str
    series: str
    instance: str
    sop_class: str
    syntaxes: tuple[str, ...]
    """In which transfer syntaxes it keeps it; empty where it does not say."""


def find_studies(remote: Remote, keys: dict[str, str]) -> list[str]:
    """The Study Instance UIDs that match, by keyword. Raises EnvironmentFault where the server does not answer."""
    with _associated(remote, "StudyRootQueryRetrieveInformationModelFind") as (association, model):
        answers = _find(remote, association, model, "STUDY", {"StudyInstanceUID": ""} | keys)
        return list(dict.fromkeys(_uids(answers, "StudyInstanceUID")))


def find_instances(remote: Remote, study: str, modalities: Sequence[str]) -> list[Listed]:
    """What a study holds, of these modalities where any are given; series by series, as the standard has it."""
    found: list[Listed] = []
    with _associated(remote, "StudyRootQueryRetrieveInformationModelFind") as (association, model):
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": "", "Modality": ""}
        for series in list(_find(remote, association, model, "SERIES", keys)):
            if modalities and str(series.get("Modality", "")) not in modalities:
                continue
            for uid in _uids([series], "SeriesInstanceUID"):
                found += _find_in_series(remote, association, model, study, uid)
    return list({listed.instance: listed for listed in found}.values())


def get_instances(remote: Remote, wanted: Sequence[Listed], keep: Keep) -> str:
    """Have instances of one series sent by C-GET; what was said where not all could be.

    They are of `MAX_OFFERED_CLASSES` SOP classes at most.
    """
    name = "StudyRootQueryRetrieveInformationModelGet"
    classes = sorted({listed.sop_class for listed in wanted})
    with _associated(remote, name, keep=keep, classes=classes) as (association, model):
        return _retrieve(association.send_c_get(_identify(wanted), model))


def move_instances(remote: Remote, wanted: Sequence[Listed]) -> str:
    """Have instances of one series sent to this program by C-MOVE; what was said where not all could be."""
    with _associated(remote, "StudyRootQueryRetrieveInformationModelMove") as (association, model):
        return _retrieve(association.send_c_move(_identify(wanted), remote.own_title, model))


@contextmanager
def _associated(
    remote: Remote, model_name: str, *, keep: Keep | None = None, classes: Sequence[str] = ()
) -> Iterator[tuple[Any, Any]]:
    """An association for one kind of request; EnvironmentFault where there can be none."""
    pynetdicom = load_pynetdicom("Asking a PACS")
    model = getattr(pynetdicom.sop_class, model_name)
    entity = pynetdicom.AE(remote.own_title)
    entity.acse_timeout, entity.network_timeout, entity.dimse_timeout = 30, 60, MAX_SILENCE_SECONDS
    contexts = [pynetdicom.build_context(uid, syntax) for uid in classes for syntax in SYNTAXES]
    contexts.insert(0, pynetdicom.build_context(model))
    roles = [pynetdicom.build_role(uid, scp_role=True) for uid in classes]
    handlers = receiving_handlers(pynetdicom, keep) if keep else []
    where = (remote.host, remote.port, contexts, remote.title)
    tls = (remote.tls, remote.host) if remote.tls is not None else None
    association = entity.associate(*where, ext_neg=roles, evt_handlers=handlers, tls_args=tls)
    try:
        if not association.is_established:
            raise EnvironmentFault(f"{remote} {_why_not(association, remote)}")
        if not any(context.abstract_syntax == model for context in association.accepted_contexts):
            raise EnvironmentFault(f"{remote} does not offer {model.name}. {_other_way(model_name)}")
        yield association, model
    finally:
        if association.is_established:
            association.release()
        association.kill()


def _why_not(association: Any, remote: Remote) -> str:  # noqa: ANN401
    if association.is_rejected:
        return f"refuses {remote.own_title}: it has to know this AE title (--aet), and its own is to be right."
    if remote.tls is not None:
        return "does not answer, or the two do not trust each other's certificates (--tls-ca, --tls-cert)."
    return "does not answer, or ends the connection."


def _other_way(model_name: str) -> str:
    return "--method move may do." if model_name.endswith("Get") else "Ask its administrator."


def _find(remote: Remote, association: Any, model: Any, level: str, keys: dict[str, str]) -> Iterator[Dataset]:  # noqa: ANN401
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    count = 0
    for status, answer in association.send_c_find(query, model):
        code = status.get("Status")
        if code in PENDING and answer is not None:
            count += 1
            if count > MAX_ANSWERS:
                raise EnvironmentFault(f"{remote} answers with more than {MAX_ANSWERS:,} matches. Ask for less.")
            yield answer
        elif code != SUCCESS:
            raise EnvironmentFault(f"{remote} {_explain(code)}")


def _find_in_series(remote: Remote, association: Any, model: Any, study: str, series: str) -> Iterator[Listed]:  # noqa: ANN401
    asked = dict.fromkeys(("SOPInstanceUID", "SOPClassUID", "AvailableTransferSyntaxUID"), "")
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series} | asked
    for answer in _find(remote, association, model, "IMAGE", keys):
        for uid in _uids([answer], "SOPInstanceUID"):
            sop_class = next(_uids([answer], "SOPClassUID"), "")
            yield Listed(study, series, uid, sop_class, tuple(_uids([answer], "AvailableTransferSyntaxUID")))


def _uids(answers: Any, keyword: str) -> Iterator[str]:  # noqa: ANN401
    """The values of an attribute that are UIDs; what else a server says there is nothing."""
    for answer in answers:
        value = answer.get(keyword) or ()
        for uid in [value] if isinstance(value, str) else value:
            if is_uid_name(str(uid)):
                yield str(uid)


def _identify(wanted: Sequence[Listed]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID = wanted[0].study, wanted[0].series
    identifier.SOPInstanceUID = [listed.instance for listed in wanted]
    return identifier


def _retrieve(answers: Any) -> str:  # noqa: ANN401
    """Listen to the end; what the last answer says, if that is no success."""
    code: int | None = None
    for status, _ in answers:
        code = status.get("Status")
    return "" if code == SUCCESS else _explain(code)


def _explain(code: int | None) -> str:
    if code is None:
        return "ended the connection, or did not answer in time"
    return f"answered 0x{code:04X}{f' ({_MEANINGS[code]})' if code in _MEANINGS else ''}"
