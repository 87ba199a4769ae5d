"""What images are called: like their source, fit for any file system, and never two of the same name by chance."""

import re
from unicodedata import normalize

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dicomprep.storage.naming import (
    folded_name,
    frame_filename,
    frame_stem,
    group_folder,
    hashed_name,
    source_name,
    thumbnail_path,
    with_suffix_hash,
)

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
parts = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120),
    st.binary(min_size=1, max_size=120)
    .filter(lambda raw: not {0, 0x2F} & set(raw))
    .map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.sampled_from(
        [
            "con",
            "NUL.dcm",
            "%6Eul",
            "a:",
            "a%3A",
            "a ",
            "._a",
            "a",
            "A",
            "a.dcm",
            "a.DCM",
            ".dcm",
            "a.png",
            "a.dcm.png",
            "a.dcm.dcm",
            "1.2.840.5",
            "\\x0a",
            "\n",
        ]
    ),
).filter(lambda part: part not in (".", ".."))
REFUSED = re.compile(r'[<>:"|?*\\]|[. ]\Z|\A(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)', re.IGNORECASE)
paths = st.lists(parts, min_size=2, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("path", "study_id", "name"),
    [
        ("study_001/image_a.dcm", "study_001", "study_001/image_a"),
        ("study_001/image_a.DCM", "study_001", "study_001/image_a"),
        ("site/study_001/image_a", "site/study_001", "site/study_001/image_a"),
        ("site.dcm/a.dcm", "site.dcm", "site.dcm/a"),
        ("CT_small.dcm", "samp_ds", "samp_ds/CT_small"),
        ("s/1.2.840.5", "s", "s/1.2.840.5"),
        ("s/scan.ima", "s", "s/scan.ima"),
        ("s/scan.dicom", "s", "s/scan.dicom"),
        ("s/.dcm", "s", "s/.dcm"),
        ("s/a.dcm.dcm", "s", "s/a.dcm"),
        ("s/tab\there", "s", "s/tab%09here"),
        ("s/caf\udce9", "s", "s/caf%E9"),
        ("s/back\\slash", "s", "s/back%5Cslash"),
        ("T1 SAG: 3D/LUNG?.dcm", "T1 SAG%3A 3D", "T1 SAG%3A 3D/LUNG%3F"),
        ('<b>/*|".dcm', "%3Cb%3E", "%3Cb%3E/%2A%7C%22"),
        ("100%/50%25.dcm", "100%25", "100%25/50%2525"),
        ("end./end .dcm", "end%2E", "end%2E/end%20"),
        (" a/...dcm", "%20a", "%20a/.%2E"),
        ("CON/nul.1.dcm", "%43ON", "%43ON/%6Eul.1"),
        ("aux .x/lpt¹.dcm", "%61ux .x", "%61ux .x/%6Cpt¹"),
        ("Conin$/contrast.dcm", "%43onin$", "%43onin$/contrast"),
        ("com10/com.dcm", "com10", "com10/com"),
        ("a_vti_b/~$x.dcm", "a%5Fvti_b", "a%5Fvti_b/%7E$x"),
        (".lock/._a.dcm", "%2Elock", "%2Elock/%2E_a"),
        ("desktop.ini/zero\u200bwidth.dcm", "%64esktop.ini", "%64esktop.ini/zero%E2%80%8Bwidth"),
        ("Jürgen Groß/Übersicht.dcm", "Jürgen Groß", "Jürgen Groß/Übersicht"),
    ],
)
def test_names_are_those_of_the_source(path: str, study_id: str, name: str) -> None:
    assert source_name("samp_ds", path) == (study_id, name)


@given(paths, paths)
def test_different_sources_have_different_names(one: str, other: str) -> None:
    folder, _, file = one.rpartition("/")
    assume(re.sub(r"(?i)(?<=[^/])\.dcm$", "", one) != re.sub(r"(?i)(?<=[^/])\.dcm$", "", other))
    assert source_name("root", one)[1] != source_name("root", other)[1]
    assert source_name("root", f"{folder}/{file}.dcm")[1] != source_name("root", f"{folder}x/{file}.dcm")[1]


@given(paths)
def test_names_fit_any_file_system_and_terminal(path: str) -> None:
    study_id, name = source_name("root", path)
    image = thumbnail_path(frame_filename(with_suffix_hash(name, path), 2**20, 2**20 + 1))
    assert name.rpartition("/")[0] == study_id
    assert image.count("/") == path.count("/")
    assert image.isprintable()
    assert not any(REFUSED.search(part) for part in (*image.split("/"), *name.split("/")))
    assert image.endswith(".png")
    assert all(0 < len(part.encode()) <= 255 for part in image.split("/"))
    assert not any(folder.lower().endswith(".png") for folder in study_id.split("/"))


def test_long_names_are_cut_but_stay_apart() -> None:
    long = ["f" * 250 + ending for ending in "ab"] + ["日" * 83, "日" * 82 + "本"]
    names = [source_name("root", f"s/{file}")[1] for file in long]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"s/.+~[0-9a-f]{8}", name) for name in names)
    assert source_name("root", f"s/{long[0]}")[1] == names[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s/IMG", "S/img"),
        ("s/\xe9", "s/e\u0301"),
        ("STRASSE/ﬁ", "straße/FI"),
        ("s/\u212b", "S/a\u030a"),
        ("s/\u2764\ufe0f", "s/\u2764"),
        ("s/ΣΑΣ", "s/σας"),
    ],
)
def test_names_that_are_one_file_where_capitals_and_accents_do_not_count(one: str, other: str) -> None:
    assert folded_name(one) == folded_name(other)
    assert frame_stem(folded_name(f"{one}_FRAME0003")) == folded_name(other)


@given(paths, paths)
def test_what_is_one_name_in_nfc_and_case_folded_is_one_when_folded(one: str, other: str) -> None:
    for text in (one, one.upper(), one.lower(), one.swapcase(), normalize("NFD", one)):
        if normalize("NFC", text).casefold() == normalize("NFC", one).casefold():
            assert folded_name(text) == folded_name(one)
    if folded_name(one) != folded_name(other):
        assert one != other


def test_a_folder_that_stands_for_a_patient_is_called_as_ever() -> None:
    assert group_folder("in", "T1: 3D./a\tb\\/x.dcm") == "T1: 3D./a\\x09b\\\\"
    assert group_folder("in", "x.dcm") == "in"
    assert re.fullmatch(r"a\.png~[0-9a-f]{8}", group_folder("in", "a.png/x.dcm"))


@pytest.mark.parametrize(
    ("number", "count", "name"),
    [(0, 1, "s/a"), (0, 2, "s/a_frame0000"), (3, 10, "s/a_frame0003"), (12345, 20000, "s/a_frame12345")],
)
def test_frames_are_numbered(number: int, count: int, name: str) -> None:
    assert frame_filename("s/a", number, count) == name


@given(paths, st.integers(0, 99_999))
def test_a_frame_knows_its_file(name: str, number: int) -> None:
    assert frame_stem(frame_filename(name, number, 100_000)) == name
    assert frame_stem(f"{name}_frame12") is None


def test_a_collision_is_resolved_by_the_path() -> None:
    first, second = with_suffix_hash("s/a", "s/a.dcm"), with_suffix_hash("s/a", "s/a.DCM")
    assert re.fullmatch(r"s/a~[0-9a-f]{8}", first)
    assert first != second
    assert first == with_suffix_hash("s/a", "s/a.dcm")


def test_hashed_names_say_nothing_but_keep_studies_together() -> None:
    study_id, name = hashed_name(KEY, "Smith^John/CT/scan.dcm")
    assert re.fullmatch(r"[0-9a-f]{12}", study_id)
    assert re.fullmatch(study_id + r"/[0-9a-f]{16}", name)
    assert hashed_name(KEY, "Smith^John/CT/scan.dcm") == (study_id, name)
    sibling, stranger = hashed_name(KEY, "Smith^John/CT/other.dcm"), hashed_name(KEY, "Smith^John/MR/scan.dcm")
    assert sibling[0] == study_id
    assert sibling[1] != name
    assert stranger[0] != study_id
    assert hashed_name(OTHER_KEY, "Smith^John/CT/scan.dcm")[0] != study_id
    assert hashed_name(KEY, "caf\udce9/x")[0] != hashed_name(KEY, "café/x")[0]


def test_hashed_names_of_many_paths_stay_apart() -> None:
    names = {hashed_name(KEY, f"study_{n // 10}/image_{n % 10}.dcm") for n in range(20_000)}
    assert len({name for _, name in names}) == 20_000
    assert len({study_id for study_id, _ in names}) == 2_000
