"""One folder by many paths, a part of it, a folder around it: the same files, recorded once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomprep.pipeline.stages.discover import discover
from dicomprep.storage import roots
from dicomprep.storage.roots import Part, find_tree
from tests.running import Place, cli, make_files

FILES = ("Ä b/A/a.dcm", "Ä b/b.dcm:2", "s\\7/a.dcm", "loose.dcm")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def link_to(place: Place, target: Path) -> Path:
    link = place.base / "link 1"
    link.symlink_to(target)
    return link


def around_a_link(place: Place) -> Path:
    return link_to(place, place.source / "Ä b/A") / ".." / ".."


SPELLINGS: dict[str, Callable[[Place], Path | str]] = {
    "relative": lambda place: "in",
    "slashes": lambda place: f"{place.source}//",
    "dots": lambda place: place.source / "Ä b" / ".." / "." / "Ä b" / "..",
    "link": lambda place: link_to(place, place.source),
    "link to the folder around it": lambda place: link_to(place, place.base) / "in",
    "dots behind a link": around_a_link,
    "part": lambda place: place.source / "Ä b",
    "part of a part": lambda place: f"{place.source}/Ä b/A/",
    "part with a backslash": lambda place: place.source / "s\\7",
    "part by a link": lambda place: link_to(place, place.source) / "Ä b",
    "link to a part": lambda place: link_to(place, place.source / "Ä b/A"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_the_same_files_are_the_same_inputs(
    place: Place, spelling: Callable[[Place], Path | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(place.source, *FILES)
    place.run()
    before = place.tables("files", "frames")
    monkeypatch.chdir(place.base)
    folder = spelling(place)
    result = place.run(dicom_dir=folder, prune=True)
    assert (result.processed, result.moved, result.pruned) == (0, 0, 0)
    assert result.found == result.unchanged == sum(1 for path in Path(folder).rglob("*") if path.is_file())
    assert place.tables("files", "frames") == before
    is_as_recorded = os.path.abspath(folder) == str(place.source) or spelling is around_a_link
    assert len(result.place) == (0 if is_as_recorded else 1)


def test_a_part_first_keeps_its_names_when_all_is_searched(place: Place) -> None:
    make_files(place.source, *FILES)
    place.run(dicom_dir=place.source / "Ä b")
    before = place.rows("SELECT id, root, path, name FROM files ORDER BY id")
    result = place.run()
    assert (result.found, result.unchanged, result.processed) == (4, 2, 2)
    assert "contains" in result.place[0]
    rows = place.rows("SELECT id, root, path, name FROM files ORDER BY id")
    assert rows[:2] == before
    assert sorted(row[3] for row in rows[2:]) == ["in/loose", "s%5C7/a"]
    place.check()
    make_files(place.source, "Ä b/A/new.dcm", "new.dcm", seed=50)
    assert place.run(dicom_dir=place.base).processed == 2
    assert place.rows("SELECT root, path FROM files WHERE path LIKE '%new%' ORDER BY path") == [
        (f"{place.source}/Ä b", "A/new.dcm"),
        (str(place.source), "new.dcm"),
    ]
    for folder in (place.source / "Ä b/A", place.source / "s\\7", place.base):
        assert place.run(dicom_dir=folder, prune=True).processed == 0
    assert len(place.rows("SELECT id FROM files")) == 6
    place.check()


def test_what_earlier_releases_recorded_twice_stays_two(place: Place) -> None:
    make_files(place.source, *FILES)
    place.run(dicom_dir=place.source / "Ä b")
    place.run(sources=discover(str(place.source)))
    assert len(place.rows("SELECT id FROM files")) == 6
    result = place.run(size=24)
    assert (result.processed, result.place) == (4, ())
    assert place.run(dicom_dir=place.source / "Ä b", size=24).processed == 2
    assert place.run(size=24).unchanged == 4
    assert set(place.rows("SELECT width FROM frames")) == {24}


def test_what_changed_in_a_part_keeps_its_row_and_name(place: Place) -> None:
    make_files(place.source, *FILES)
    place.run()
    names = place.rows("SELECT id, name FROM files ORDER BY id")
    make_files(place.source, "Ä b/b.dcm", seed=50)
    make_files(place.source, "Ä b/c.dcm", seed=60)
    result = place.run(dicom_dir=place.source / "Ä b")
    assert (result.processed, result.unchanged) == (2, 1)
    assert place.rows("SELECT id, name FROM files ORDER BY id") == [*names, (5, "Ä b/c")]
    assert place.run().unchanged == 5


def test_only_the_part_that_is_searched_counts_as_searched(place: Place) -> None:
    make_files(place.source, *FILES, "Ä bc/a.dcm")
    (place.source / "s\\7/late.dcm").write_text("")
    place.run()
    for name in ("Ä b/b.dcm", "loose.dcm", "Ä bc/a.dcm"):
        (place.source / name).unlink()
    place.execute("UPDATE files SET status = 'failed', error_code = 'unreadable' WHERE path LIKE '%late%'")
    (place.source / "s\\7/late.dcm").unlink()
    part = place.run(dicom_dir=place.source / "Ä b", prune=True)
    assert (part.pruned, len(place.rows("SELECT id FROM files"))) == (1, 5)
    assert place.run(prune=True).pruned == 2
    assert place.rows("SELECT path FROM files ORDER BY path") == ["s\\\\7/a.dcm", "Ä b/A/a.dcm"]


def test_failures_of_a_part_are_tried_again_with_the_options_of_its_last_run(place: Place) -> None:
    make_files(place.source, "s/a.dcm", "t/b.dcm")
    (place.source / "s/bad.dcm").write_text("on its way")
    place.run()
    link = link_to(place, place.source)
    place.run(dicom_dir=link / "s", size=24)
    known = ("--output-dir", place.output, "--db", place.db, "--size", 24)
    done = cli(place.base, "preprocess", link / "s", *known, "--strict")
    assert done.returncode == 1
    assert f"subfolder of {place.source}" in done.stdout
    make_files(place.source, "s/bad.dcm", seed=50)
    assert cli(place.base, "retry", "--db", place.db).returncode == 0
    assert sorted(place.rows("SELECT path, width FROM files JOIN frames ON file_id = files.id")) == [
        *[("s/a.dcm", 24), ("s/bad.dcm", 24), ("t/b.dcm", 16)]
    ]
    (place.output / "s/a.png").unlink()
    assert cli(place.base, "verify", "--repair", "--db", place.db).returncode == 0
    place.check()


def test_bad_files_are_named_as_the_folder_was_given(place: Place) -> None:
    make_files(place.source, "s/a.dcm")
    place.run()
    (place.source / "s/bad.dcm").write_text("no DICOM")
    link_to(place, place.source)
    done = cli(place.base, "preprocess", "link 1/s", "--output-dir", place.output, "--db", place.db)
    assert "Cannot read link 1/s/bad.dcm:" in done.stderr


def test_links_that_are_followed_double_no_root(place: Place) -> None:
    make_files(place.source, "s/a.dcm", "t/b.dcm")
    place.run(dicom_dir=place.source / "s")
    (place.source / "link").symlink_to("s")
    result = place.run(follow_links=True)
    assert (result.found, result.unchanged, result.duplicates) == (3, 1, 1)
    assert place.run(follow_links=True).unchanged == 3


def test_the_output_is_not_searched_by_whatever_path_the_folder_is_given(place: Place) -> None:
    make_files(place.source, "s/a.dcm")
    inside = {"output_dir": place.source / "out", "db": str(place.source / "x.db")}
    place.run(**inside)
    link = link_to(place, place.source)
    result = place.run(dicom_dir=link, **inside)
    assert (result.other_files, result.unchanged) == (0, 1)
    elsewhere = place.base / "other"
    result = place.run(dicom_dir=place.source, output_dir=link / "o2", db=str(elsewhere / "y.db"))
    assert place.run(dicom_dir=place.source, output_dir=link / "o2", db=str(elsewhere / "y.db")).other_files == (
        result.other_files
    )


def test_the_innermost_root_is_that_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    recorded = [f"{tmp_path}/a", f"{tmp_path}/a/b", f"{tmp_path}/gone", f"{tmp_path}/a/b/c/gone"]
    tree = find_tree(f"{tmp_path}/a/b/c", recorded)
    assert tree.home == Part(f"{tmp_path}/a/b", "c/")
    assert set(tree.others) == {Part(f"{tmp_path}/a", "b/c/"), Part(f"{tmp_path}/a/b/c/gone")}
    assert find_tree(f"{tmp_path}/new", recorded).home == Part(f"{tmp_path}/new")
    assert find_tree("/", ["/"]).folder == "/"
    assert find_tree(str(tmp_path / "a"), ["/"]).home == Part("/", f"{tmp_path}/a/"[1:])


def test_folders_are_one_by_their_number_not_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bind mount is, or another spelling on a disk that tells no capitals."""
    identity_of = roots.identity_of
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "mounted/b").mkdir(parents=True)
    monkeypatch.setattr(roots, "identity_of", lambda path: identity_of(path.replace("/mounted", "/a")))
    assert find_tree(f"{tmp_path}/mounted/b", [f"{tmp_path}/a"]).home == Part(f"{tmp_path}/a", "b/")
    assert find_tree(f"{tmp_path}/mounted", [f"{tmp_path}/a"]).home == Part(f"{tmp_path}/a")
