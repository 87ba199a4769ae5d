"""Whose device it was: Manufacturer (0008,0070) is free text, in which people have written other things, too."""

import re

__all__ = ["OTHER", "name_manufacturer"]

OTHER = "another"
"""What is said of a text that is none of these companies."""

_WORDS = {
    "3DHISTECH": "3DHISTECH",
    "ACUSON": "Acuson",
    "AGFA": "Agfa",
    "ALOKA": "Aloka",
    "BRUKER": "Bruker",
    "CANON": "Canon",
    "CARESTREAM": "Carestream",
    "CARL ZEISS": "Zeiss",
    "DEL MEDICAL": "Del Medical",
    "ELSCINT": "Elscint",
    "ESAOTE": "Esaote",
    "FUJI": "Fujifilm",
    "FUJIFILM": "Fujifilm",
    "GE": "GE",
    "GENERAL ELECTRIC": "GE",
    "HAMAMATSU": "Hamamatsu",
    "HEIDELBERG ENGINEERING": "Heidelberg Engineering",
    "HITACHI": "Hitachi",
    "HOLOGIC": "Hologic",
    "HYPERFINE": "Hyperfine",
    "IMAGING DYNAMICS": "Imaging Dynamics",
    "IMATRON": "Imatron",
    "KODAK": "Kodak",
    "KONICA": "Konica Minolta",
    "LEICA": "Leica",
    "LORAD": "Lorad",
    "MARCONI": "Marconi",
    "MEDIRAY": "Mediray",
    "MINDRAY": "Mindray",
    "NEUSOFT": "Neusoft",
    "PHILIPS": "Philips",
    "PICKER": "Picker",
    "PLANMECA": "Planmeca",
    "SAMSUNG": "Samsung",
    "SHIMADZU": "Shimadzu",
    "SIEMENS": "Siemens",
    "SIRONA": "Sirona",
    "SONOSITE": "SonoSite",
    "SWISSRAY": "Swissray",
    "TOPCON": "Topcon",
    "TOSHIBA": "Toshiba",
    "UIH": "United Imaging",
    "UNITED IMAGING": "United Imaging",
    "VAREX": "Varex",
    "VARIAN": "Varian",
    "VIDAR": "Vidar",
    "ZEISS": "Zeiss",
}
_KNOWN = re.compile(rf"\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b")


def name_manufacturer(text: str | None) -> str | None:
    """Name the company that a header states, one name for all its spellings; None where it states nothing.

    >>> name_manufacturer("Philips Medical Systems"), name_manufacturer("GE MEDICAL SYSTEMS")
    ('Philips', 'GE')
    >>> name_manufacturer("Jane Doe")
    'another'
    """
    if not text or not text.strip():
        return None
    known = _KNOWN.search(text.upper().replace("_", " "))
    return _WORDS[known[0]] if known else OTHER
