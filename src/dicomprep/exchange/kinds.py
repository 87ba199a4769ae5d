"""What the rows of a table may name, and how people head such a column."""

from enum import StrEnum

from dicomprep.exchange.dialects import normalized_heading

__all__ = ["IDENTITIES", "LEVELS", "Kind", "Level", "kinds_of", "level_of"]


class Level(StrEnum):
    """What a label is said of, the narrowest first."""

    FRAME = "frame"
    SERIES = "series"
    STUDY = "study"
    PATIENT = "patient"


LEVELS = tuple(Level)


class Kind(StrEnum):
    """How a cell names what it is about, in the order in which kinds are tried."""

    KEY = "key"
    FILENAME = "filename"
    SOP_INSTANCE_UID = "sop_instance_uid"
    ID = "id"
    SERIES = "series"
    STUDY = "study"
    STUDY_NUMBER = "study_number"
    ACCESSION = "accession"
    FOLDER = "folder"
    PATIENT = "patient"


_LEVEL = {
    **dict.fromkeys((Kind.KEY, Kind.FILENAME, Kind.SOP_INSTANCE_UID, Kind.ID), Level.FRAME),
    Kind.SERIES: Level.SERIES,
    **dict.fromkeys((Kind.STUDY, Kind.STUDY_NUMBER, Kind.ACCESSION, Kind.FOLDER), Level.STUDY),
    Kind.PATIENT: Level.PATIENT,
}

_STUDY = (Kind.STUDY, Kind.STUDY_NUMBER, Kind.ACCESSION, Kind.FOLDER)
_HEADINGS: dict[tuple[Kind, ...], tuple[str, ...]] = {
    (Kind.KEY,): ("key",),
    (Kind.FILENAME,): (
        *("filename", "file", "filepath", "path", "thumbnail path", "thumbnail", "image path", "image id", "image"),
        *("source", "source path", "name", "dicom id", "dicom", "dicom path", "dicom file", "image name"),
        *("image file", "image file name", "image index", "img", "img id", "img path", "img name", "dcm", "dcm path"),
        *("slice id", "instance id", "anon dicom path", "fname", "file id", "scan"),
    ),
    (Kind.SOP_INSTANCE_UID,): ("sop instance uid", "sop uid", "instance uid", "image uid"),
    (Kind.ID,): ("id",),
    (Kind.SERIES,): ("series instance uid", "series uid", "series id", "series", "series key"),
    _STUDY: (
        *("study instance uid", "study uid", "study id", "study", "study key", "exam id", "exam", "examination id"),
        *("study number", "exam number"),
    ),
    (Kind.ACCESSION, Kind.STUDY_NUMBER): (
        *("accession number", "accession", "accession no", "accession num", "accession nr", "accession id", "acc no"),
        *("acc number", "acc num", "acc nr", "acc", "accno", "acc anon", "order number", "ris number"),
    ),
    (Kind.PATIENT,): (
        *("patient id", "patient", "patient key", "patient number", "patient no", "patient nr", "patients", "subject"),
        *(
            "subject id",
            "subject key",
            "pid",
            "mrn",
            "medical record number",
            "person id",
            "empi",
            "empi anon",
            "pat id",
        ),
    ),
}
_BY_HEADING = {normalized_heading(name): kinds for kinds, names in _HEADINGS.items() for name in names}

_IMAGE_KINDS = ((Kind.KEY,), (Kind.FILENAME,), (Kind.SOP_INSTANCE_UID,), (Kind.ID,))
IDENTITIES = (*(name for kinds in _IMAGE_KINDS for name in _HEADINGS[kinds]), "frame_number")
"""Headings of columns that say which image is meant; capitals, spaces and underscores do not count."""


def kinds_of(heading: str) -> tuple[Kind, ...]:
    """What a column with this heading may name; nothing where the heading does not tell.

    >>> kinds_of("StudyInstanceUID")[0], kinds_of("patient_id"), kinds_of("remark")
    (<Kind.STUDY: 'study'>, (<Kind.PATIENT: 'patient'>,), ())
    """
    return _BY_HEADING.get(normalized_heading(heading), ())


def level_of(kind: Kind) -> Level:
    """What is named by a cell of this kind."""
    return _LEVEL[kind]
