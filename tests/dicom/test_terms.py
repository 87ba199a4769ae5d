"""Clinical words pass, names never do: 10,000 of them in the places where technicians write them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomprep.dicom.terms import TERMS, clinical_terms

GIVEN = """
Anna Bill Carl Cor Dwi Elif Flora Gail Hans Iris Jan Kim Lana Max Nina Olga Paul Quinn Rosa Scout Trace Ulla Vera
Willem Xavier Yara Zoe José María João Çağla Łukasz Søren Jürgen Renée Molli Star Echo Abdo Sella Art Ven Müller
太郎 花子 伟 秀英 Иван Мария محمد Νίκος נתיב 지우 สมชาย
""".split()  # noqa: SIM905
FAMILY = """
Head Hand Foot Neck Bone Back Chest Brain Heart Body Lung Kidney Colon Testa Collo Cabeza Kopf Hals Brust Herz Leber
Knie Fuss Schulter Finger Dixon Bravo Blade Haste Swan Sharp Standard High Low Long Short Post Portal Kiefer Müller
Mueller Möller O'Neill O’Brien D'Angelo Smith-Jones García-Márquez Nguyễn Tse Tra Şahin Sağ Yılmaz Łęcki Jansen Weber
Kim Lee Park Li Wang Zhang Bauch Rochers Spinale 山田 鈴木 王 Петров العلي Παπαδόπουλος כהן 김
""".split()  # noqa: SIM905
WORDS = ("CT", "AX", "T1", "T2", "FLAIR", "Thorax", "ABDOMEN", "MPRAGE", "lumbal", "Kontrast", "MR", "DTI", "PA")
PLACES = """{given} {family}|{family}, {given}|{family}^{given}|{given}-{family}|{given}_{family}|{i}. {family}
{i}{j} {family}|{i}{j}{k} {family}|{family} {i}|{word} {family}|{word}_{family}|{family}_{word}|{word}-{given}
{family} {n}|{word} {given} {family} {n}|{given} {word} {family}|{word} {i}{j} {family}|{family} III|{word}{family}
{given}'s {word}|Dr {family} {word}|{family}/{given}|{word} ({family})|{family}.{given}@{word}|{n} {family}""".replace(
    "\n", "|"
).split("|")
CODECS = ("utf-8", "latin-1", "iso2022_jp", "gb18030", "euc_kr", "shift_jis", "cp1251", "utf-16-le")


def canaries(count: int) -> list[tuple[bytes, str]]:
    """A description with a name, and the clinical word that may pass."""
    draw, made = random.Random(19), list[tuple[bytes, str]]()
    while len(made) < count:
        initials = {letter: draw.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for letter in "ijk"}
        word = draw.choice(WORDS)
        text = draw.choice(PLACES).format(
            given=draw.choice(GIVEN), family=draw.choice(FAMILY), word=word, n=draw.randint(10**6, 10**9), **initials
        )
        cased = draw.choice((str, str.upper, str.lower))(text)
        made.append((cased.encode(draw.choice(CODECS), "replace"), word.upper()))
    return made


def test_no_name_of_ten_thousand_passes() -> None:
    wrong = [(text, said) for text, word in canaries(10_000) if (said := clinical_terms([text])) not in (None, word)]
    assert wrong == []


@given(st.text(), st.sampled_from(CODECS))
def test_nothing_passes_that_is_no_term(text: str, codec: str) -> None:
    assert set((clinical_terms([text.encode(codec, "replace")]) or "").split()) <= TERMS


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=3), st.sampled_from(["Weber", "Yılmaz", "王"]))
def test_initials_are_no_terms(initials: str, name: str) -> None:
    assert clinical_terms([f"{initials} {name}".encode()]) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t2_tirm_tra_dark-fluid", "T2 TIRM"),
        ("AX T2 FLAIR", "AX T2 FLAIR"),
        ("AX Weber", None),
        ("Ax T2 Weber", "AX T2"),
        ("Thorax mit Kontrastmittel 5.0", "THORAX KONTRASTMITTEL"),
        ("Schädel nativ", None),
        ("Crânio sem contraste", "CRANIO CONTRASTE"),
        ("RM columna lumbar", "COLUMNA LUMBAR"),
        ("DWI b1000 Weber 0171 2345678 1950-03-04", "B1000"),
        ("CT Head Mueller", None),
        ("II III IV V", None),
        ("L M Weber", None),
        ("TC torace; con contrasto", "TC TORACE CONTRASTO"),
        ("", None),
    ],
)
def test_what_passes(text: str, said: str | None) -> None:
    assert clinical_terms([text.encode()]) == said
    assert clinical_terms([text.encode("latin-1")]) == said


def test_terms_of_all_descriptions_stand_once() -> None:
    assert clinical_terms([b"AX T2", b"", b"T2 AX PELVIS"]) == "AX T2 PELVIS"
