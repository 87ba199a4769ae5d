"""What is searched and what is not, what links lead to, and what lies where a DICOM file should be."""

import os
from collections import Counter
from pathlib import Path

import pytest

from dicomprep import process_dicom
from dicomprep.errors import InputError
from dicomprep.pipeline.stages import listing
from dicomprep.pipeline.stages.discover import discover
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.roots import place_within
from tests.building import make_dicom
from tests.running import Place, cli, make_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def paths(root: Path, **options: bool) -> list[str]:
    return [source.path for source in discover(str(root), **options)]


@pytest.mark.parametrize(
    "folder",
    [
        *(".snapshot/hourly.0", "~snapshot", ".zfs/snapshot/daily", "#snapshot", "@GMT-2024.01.01-00.00.00"),
        *(".Snapshots", ".Trash-1000/files", ".Trashes/501", "$Recycle.Bin/S-1-5", "RECYCLER", "#recycle", "@Recycle"),
        *("lost+found", ".git/annex/objects", ".svn", ".hg", ".dvc/cache", "@eaDir", "__MACOSX"),
        "System Volume Information",
    ],
)
def test_copies_of_systems_are_not_searched_unless_they_are_asked_for(tmp_path: Path, folder: str) -> None:
    make_files(tmp_path, "p/a.dcm", f"p/{folder}/p/a.dcm", f"{folder}/b.dcm", ".MPR lung/c.dcm")
    passed_over: Counter[str] = Counter()
    found = [source.path for source in discover(str(tmp_path), passed_over=passed_over)]
    assert sorted(found) == [".MPR lung/c.dcm", "p/a.dcm"]
    assert passed_over.total() == 2
    assert paths(tmp_path / folder) == ["b.dcm"]


def test_what_is_not_searched_is_counted_by_kind(place: Place) -> None:
    make_files(place.source, "a.dcm", ".snapshot/a.dcm", "p/.snapshot/a.dcm", "$RECYCLE.BIN/a.dcm")
    (place.source / "._a.dcm").write_bytes(b"\0\5\x16\7" + bytes(100))
    (place.source / "._real.dcm").write_bytes((place.source / "a.dcm").read_bytes())
    result = place.run()
    assert dict(result.passed_over) == {"snapshot folder": 2, "bin folder": 1, "AppleDouble file": 1}
    assert (result.found, result.failed) == (2, 0)


def test_a_folder_of_many_entries_is_sorted_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number * 7919 % 1000:03}{ending}" for number in range(300) for ending in ("", ".dcm")]
    names += [f"f{number}/\udce9{number}" for number in range(40)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    whole = paths(tmp_path)
    monkeypatch.setattr(listing, "MAX_HELD_ENTRIES", 16)
    monkeypatch.setattr(listing, "BLOCK_ENTRIES", 3)
    assert paths(tmp_path) == whole
    assert sorted(whole) == sorted(names)
    assert whole[:2] == ["000.dcm", "004.dcm"] or whole[0].endswith(".dcm")


# Links


def test_links_are_followed_within_the_root_and_named_by_their_place(place: Place) -> None:
    held = make_files(place.source, ".git/annex/objects/ab/KEY.dcm", "real/b.dcm") / ".git/annex/objects/ab/KEY.dcm"
    outside = make_dicom(place.base / "outside" / "o.dcm")
    links = {
        "sub-0/img0.dcm": held,
        "sub-1/again.dcm": held,
        "folder": place.source / "real",
        "real/loop": place.source,
    }
    links |= {
        "out.dcm": outside,
        "outdir": outside.parent,
        "gone.dcm": place.source / "nothing",
        "README": place.source / "nowhere",
    }
    for name, target in links.items():
        link = place.source / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent))
    result = place.run(follow_links=True)
    assert place.statuses()["gone.dcm"] == ("failed", "unreadable")
    names = place.rows("SELECT name FROM files WHERE frames > 0 ORDER BY name")
    assert names == ["folder/b", "real/b", "sub-0/img0", "sub-1/again"]
    assert result.passed_over["outward symbolic link"] == 2
    assert result.passed_over["circular link"] >= 1
    assert "datalad get" in place.rows("SELECT error_detail FROM inputs WHERE status = 'failed'")[0]
    assert place.run(follow_links=True).unchanged == 4


def test_links_into_snapshots_and_bins_are_not_followed(place: Place) -> None:
    make_files(place.source, ".snapshot/daily/a.dcm", ".Trash-1000/files/b.dcm", "Größe/c.dcm")
    for number, target in enumerate([".snapshot/daily/a.dcm", ".snapshot/daily", ".Trash-1000/files", "Größe/c.dcm"]):
        (place.source / f"link {number}.dcm").symlink_to(place.source / target)
    result = place.run(follow_links=True)
    assert sorted(place.rows("SELECT path FROM files")) == ["Größe/c.dcm", "link 3.dcm"]
    assert result.passed_over["snapshot link"] == 3


def test_a_link_that_a_person_names_is_followed(place: Place) -> None:
    make_files(place.source, "Größe/c.dcm")
    link = place.base / "verknüpft.dcm"
    link.symlink_to(place.source / "Größe/c.dcm")
    assert process_dicom(link)[0].name.endswith("verknüpft")
    assert cli(place.base, "inspect", link).returncode == 0


def test_pages_show_linked_files_of_the_root_alone(place: Place) -> None:
    make_files(place.source, "annex/KEY.dcm")
    outside = make_dicom(place.base / "outside.dcm")
    for name, target in (("a.dcm", place.source / "annex/KEY.dcm"), ("out.dcm", outside)):
        (place.source / name).symlink_to(target)
    assert place_within(str(place.source), "a.dcm") == str(place.source / "annex/KEY.dcm")
    assert place_within(str(place.source), "annex/KEY.dcm") == str(place.source / "annex/KEY.dcm")
    with pytest.raises(InputError), LocalSource.at(place_within(str(place.source), "out.dcm")).open():
        pass


def test_a_data_set_of_links_alone_is_no_success_without_following_them(place: Place) -> None:
    make_dicom(place.source / ".git/annex/k")
    (place.source / "a.dcm").symlink_to(".git/annex/k")
    assert place.run().exit_code == 1
    assert place.run(follow_links=True).exit_code == 0


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    for one in range(6):
        make_files(tmp_path, f"{one}/a.dcm")
        for other in range(6):
            (tmp_path / f"{one}" / f"l{other}").symlink_to(f"../{other}")
    assert 6 <= len(paths(tmp_path, follow_links=True)) <= 6 * 6**3


def test_a_link_that_is_turned_outward_during_the_run_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "in"
    make_dicom(root / "inner" / "a.dcm")
    make_dicom(tmp_path / "outer" / "a.dcm")
    (root / "link").symlink_to("inner")
    with LocalSource(str(root), "link/a.dcm", linked=True).open() as file:
        assert file.path == str(root / "inner" / "a.dcm")
    (root / "link").unlink()
    (root / "link").symlink_to("../outer")
    with pytest.raises(InputError, match="out of the folder"), LocalSource(str(root), "link/a.dcm", linked=True).open():
        pass


def test_a_folder_that_becomes_a_link_after_its_path_was_resolved_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    make_dicom(root / "inner" / "a.dcm")
    make_dicom(tmp_path / "outer" / "a.dcm")
    resolved = {str(root): str(root), str(root / "l.dcm"): str(root / "inner" / "a.dcm")}
    monkeypatch.setattr(os.path, "realpath", lambda path, strict=False: resolved[str(path)])
    (root / "inner").rename(root / "was")
    (root / "inner").symlink_to("../outer")
    with pytest.raises(InputError, match="cannot be opened"), LocalSource(str(root), "l.dcm", linked=True).open():
        pass


# What is no DICOM file


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n", "git lfs pull"),
        (b"version http://git-media.io/v/2\n", "no DICM prefix"),
        (b"/annex/objects/MD5E-s152998--c8d2.dcm\n", "git annex get"),
        (b"../../.git/annex/objects/X1/k7/SHA256E-s1--c8d2.dcm/SHA256E-s1--c8d2.dcm", "datalad get"),
        (bytes(100), "only zeros"),
        (bytes(3 * 2**20), "only zeros"),
        (bytes(3 * 2**20) + b"x", "no DICM prefix"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page or XML"),
        (b'{"error": "unauthorized"}', "JSON"),
        (b"hello", "no DICM prefix"),
    ],
)
def test_what_is_no_dicom_is_called_what_it_is(place: Place, content: bytes, word: str) -> None:
    place.source.mkdir()
    (place.source / "a.dcm").write_bytes(content)
    place.run()
    assert place.statuses() == {"a.dcm": ("failed", "not_dicom")}
    assert word in place.rows("SELECT error_detail FROM inputs")[0]


@pytest.mark.parametrize(
    ("name", "found"), [("1.2.840.5", 1), ("IM0001", 1), ("a.IMA", 1), ("x.png", 0), ("README.md", 0)]
)
def test_a_pointer_to_what_is_called_like_dicom_is_an_input(place: Place, name: str, found: int) -> None:
    place.source.mkdir()
    (place.source / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n")
    assert place.run().found == found
