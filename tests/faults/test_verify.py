"""`dicomprep verify`: every image that is missing, cut, altered or nobody's is found, and made again byte for byte."""

import os
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from dicomprep.checks import verify as verification
from dicomprep.checks.verify import Kind, verify
from dicomprep.cli.app import main
from dicomprep.database.writes.labels import Said, add_label
from dicomprep.database.writes.store import Store
from dicomprep.pixels.png import SIGNATURE, encode_png, is_own_png
from dicomprep.workspace import MARK
from tests.building import make_dicom
from tests.running import Place, call, cli, frames_of, make_files

Note = Callable[..., None]
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def small(place: Place) -> Place:
    """A data set of ten images."""
    make_files(place.source, "a.dcm", "s/b.dcm", "s/c.dcm:5", "t/d.dcm", "u/v/e.dcm", ".dot/f.dcm")
    place.run()
    return place


def found(place: Place, monkeypatch: pytest.MonkeyPatch) -> dict[Kind, set[str]]:
    """All that `verify` finds, by kind."""
    monkeypatch.setattr(verification, "MAX_EXAMPLES", 10**9)
    findings = verify(place.workspace)
    assert {kind: len(names) for kind, names in findings.examples.items()} == dict(findings.counts)
    return {kind: set(names) for kind, names in findings.examples.items()}


@pytest.fixture
def say(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """`dicomprep verify ARGUMENTS` in this process, beside the data: exit code and all that it printed."""
    monkeypatch.chdir(place.base)

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["verify", "--db", "x.db", *arguments])
        return int(left.value.code or 0), "".join(capsys.readouterr())

    return run


def change(place: Place, *statements: str) -> None:
    """Tamper with the database."""
    with closing(sqlite3.connect(place.db)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# What is wrong is found, and no more


def cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def alter(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if chance.random() < 0.2:
        content += b"\0"
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def strand(path: Path, chance: random.Random) -> Path:
    """An image that nobody knows of, whole or not, beside `path` or in a folder of its own."""
    content = path.read_bytes()
    folder = path.parent / chance.choice(["", "lost", "lost/deep"])
    folder.mkdir(parents=True, exist_ok=True)
    orphan = folder / f"{path.stem} of nobody.png"
    orphan.write_bytes(chance.choice([content, content[:45], content[:100]]))
    return orphan


def test_every_sabotaged_image_is_found_and_made_again(
    place: Place, say: Say, thorough: bool, note: Note, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies, sabotaged = (100, 1000) if thorough else (8, 80)
    names = [name for n in range(studies) for name in (f"s{n}/a.dcm", f"s{n}/b\n.dcm", f"s{n}/x/c.dcm:10", f"s{n}/d:3")]
    make_files(place.source, *names)
    place.run()
    whole = place.images()
    chance = random.Random(5)
    paths = chance.sample(sorted(whole), sabotaged)
    quarter = sabotaged // 4
    expected: dict[Kind, set[str]] = {kind: set() for kind in (Kind.MISSING, Kind.CUT, Kind.ALTERED, Kind.ORPHANED)}
    for number, name in enumerate(paths):
        kind, path = list(expected)[number // quarter], place.output / name
        if kind is Kind.ORPHANED:
            path = strand(path, chance)
        elif kind is Kind.MISSING:
            path.unlink()
        else:
            (cut if kind is Kind.CUT else alter)(path, chance)
        expected[kind].add(path.relative_to(place.output).as_posix())
    assert found(place, monkeypatch) == expected
    told = say()
    assert told[0] == 1
    for kind, sabotage in expected.items():
        assert any(line.split()[:2] == [kind, str(len(sabotage))] for line in told[1].splitlines())
    done = say("--repair")
    assert done[0] == 0, done[1]
    assert place.images() == whole
    assert not list(place.output.rglob("lost"))
    place.check()
    again = say()
    assert (again[0], again[1].splitlines()[-1]) == (0, "All images OK.")
    note(
        "thumbnails sabotaged, then `verify --repair`",
        images=len(whole),
        sabotaged=sabotaged,
        found=sum(map(len, expected.values())),
        found_wrongly=0,
        byte_for_byte_as_before=len(whole),
    )


def test_a_whole_data_set_is_whole(small: Place, say: Say) -> None:
    done = say()
    assert done[0] == 0
    assert done[1].splitlines() == [f"10 images of 6 files in {small.output}", "All images OK."]


@pytest.mark.parametrize("stand_in", ["folder", "link", "link to the same", "file for its folder"])
def test_what_stands_in_the_place_of_an_image_is_no_image(
    small: Place, say: Say, stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path = small.images(), small.output / "t/d.png"
    path.rename(small.base / "d.png")
    if stand_in == "folder":
        path.mkdir()
    elif stand_in == "file for its folder":
        path.parent.rmdir()
        path.parent.touch()
        assert found(small, monkeypatch) == {Kind.MISSING: {"t/d.png"}}
        return
    else:
        path.symlink_to("/dev/zero" if stand_in == "link" else small.base / "d.png")
    assert found(small, monkeypatch) == {Kind.ALTERED: {"t/d.png"}}
    if stand_in != "folder":
        assert say("--repair")[0] == 0
        assert small.images() == before
        assert not path.is_symlink()


def test_a_folder_that_is_gone_as_a_whole_is_made_again(small: Place, say: Say) -> None:
    before = small.images()
    small.output.rename(small.base / "moved away")
    told = say()
    assert told[0] == 1
    assert "If the folder was moved" in told[1]
    assert say("--repair")[0] == 0
    assert small.images() == before


def test_a_data_set_that_moved_as_a_whole_is_whole(small: Place) -> None:
    moved = Place(small.base / "elsewhere")
    moved.base.mkdir()
    for path in (small.output, small.db):
        path.rename(moved.base / path.name)
    assert cli(moved.base, "verify", "--db", "x.db").returncode == 0


# What is nobody's


def test_what_is_not_of_our_making_is_left_alone(small: Place, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = Image.fromarray(np.random.default_rng(1).integers(0, 255, (30, 30), dtype=np.uint8))
    foreign = [small.output / name for name in ("s/mask.png", "t/photo.png", "notes.txt", "._a.png", "s/x.jpg")]
    hidden = small.output / ".git/x.png"
    hidden.parent.mkdir()
    mask.save(foreign[0])
    mask.save(foreign[1], "jpeg")
    for path in (*foreign[2:], hidden):
        path.write_bytes(b"mine")
    (small.output / "link.png").symlink_to(small.output / "s/b.png")
    (small.output / "in/orphan.png").write_bytes(small.images()["s/b.png"])
    assert found(small, monkeypatch) == {Kind.ORPHANED: {"in/orphan.png"}}
    assert verify(small.workspace).foreign == 6
    done = say("--repair")
    assert done[0] == 0
    assert "6 files there were not made by dicomprep" in done[1]
    assert all(path.exists() for path in (*foreign, hidden, small.output / "link.png"))
    assert not (small.output / "in/orphan.png").exists()


def test_an_image_under_another_spelling_of_its_name_is_no_orphan(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a disk that tells no capitals lists it, or one that writes accents its own way: one file, two spellings."""
    make_files(place.source, "s/\u00e9.dcm:2")
    place.run()
    (place.output / "S").mkdir()
    for name in ("\u00e9_frame0000.png", "\u00e9_frame0001.png"):
        os.link(place.output / "s" / name, place.output / "S" / normalize("NFD", name))
    copy = place.output / "S/\u00c9_frame0000.png"
    copy.write_bytes((place.output / "s/\u00e9_frame0000.png").read_bytes())
    assert found(place, monkeypatch) == {Kind.ORPHANED: {"S/\u00c9_frame0000.png"}}


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_our_pngs_are_told_from_others(tmp_path: Path, shape: tuple[int, ...], kind: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(kind)
    ours = encode_png(pixels)
    assert all(is_own_png(ours[:length]) for length in range(45, len(ours) + 1))
    assert not any(is_own_png(ours[:length]) for length in range(45))
    if kind is np.uint8 or pixels.ndim == 2:
        Image.fromarray(pixels).save(tmp_path / "theirs.png")
        assert not is_own_png((tmp_path / "theirs.png").read_bytes())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 64,
        b"BM" + bytes(60),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"notes\n",
        SIGNATURE,
        SIGNATURE + b"x" * 90,
    ],
    ids=["empty", "zeros", "BMP", "SVG", "text", "PNG cut", "PNG of others"],
)
def test_what_does_not_say_that_it_is_ours_is_never_removed(
    small: Place, say: Say, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = [small.output / name for name in ("s/theirs.png", "new/THEIRS Ä.png")]
    theirs[1].parent.mkdir()
    for path in theirs:
        path.write_bytes(content)
    assert found(small, monkeypatch) == {}
    done = say("--repair")
    assert done[0] == 0
    assert "2 files there were not made by dicomprep" in done[1]
    assert [path.read_bytes() for path in theirs] == [content, content]


def test_a_folder_without_the_mark_of_the_database_is_left_alone(small: Place, say: Say) -> None:
    """As it may be since versions that left no mark, or because a database of somebody else names it."""
    other = {"db": str(small.base / "y.db"), "dicom_dir": make_files(small.base / "in2", "o/p.dcm:20", seed=50)}
    (small.output / MARK).unlink()
    small.run(**other)
    (small.output / MARK).unlink()
    before = small.images()
    for options in ((), ("--repair",)):
        done = say(*options)
        assert (done[0], "is not marked as the image folder" in done[1]) == (2, True), done
    assert small.images() == before


def test_what_a_killed_run_left_half_written_is_found_and_removed(
    small: Place, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = small.output / ".dicomprep-tmp/4711/image"
    scratch.parent.mkdir(parents=True)
    scratch.write_bytes(b"\x89PNG")
    assert found(small, monkeypatch) == {Kind.LEFTOVER: {".dicomprep-tmp/4711/image"}}
    assert say("--repair")[0] == 0
    assert not scratch.exists()


# What cannot be repaired


def test_what_has_lost_its_source_is_named_and_its_row_and_neighbors_stay(small: Place, say: Say) -> None:
    before = small.tables("files", "frames")
    (small.output / "s/c_frame0002.png").unlink()
    (small.source / "s/c.dcm").unlink()
    done = say("--repair")
    assert done[0] == 1
    assert f"{small.source}/s/c.dcm: source file missing" in done[1]
    assert small.tables("files", "frames") == before
    assert len(small.images()) == 9


def test_an_image_of_a_source_that_has_changed_is_not_passed_off_as_the_old_one(small: Place, say: Say) -> None:
    (small.output / "s/b.png").unlink()
    make_dicom(small.source / "s/b.dcm", frames_of(1, seed=99)[0], patient_id="P1")
    done = say("--repair")
    assert done[0] == 1
    assert "s/b.png: its source has changed since" in done[1]
    assert say()[0] == 0


def test_an_image_whose_source_is_broken_by_now_is_said_to_be_lost(small: Place, say: Say) -> None:
    (small.output / "s/b.png").unlink()
    source = small.source / "s/b.dcm"
    source.write_bytes(source.read_bytes()[:-50])
    done = say("--repair")
    assert done[0] == 1
    assert "s/b.png: its source no longer yields this image; the file is now failed (truncated)" in done[1]


def test_other_options_are_said_to_be_the_reason(small: Place, say: Say) -> None:
    sources = [source for source in _sources(small) if source.path == "a.dcm"]
    small.run(size=20, sources=sources)  # as an interrupted run with another size leaves it
    (small.output / "s/b.png").unlink()
    done = say("--repair")
    assert done[0] == 1
    assert "s/b.png: made with other options" in done[1]


def _sources(place: Place) -> list:
    from dicomprep.pipeline.stages.discover import discover

    return list(discover(str(place.source)))


# The database


TAMPERED = {
    "a row of an image is gone": ("DELETE FROM frames WHERE filename = 's/c_frame0003'",),
    "an input claims more": ("UPDATE files SET frames = 7 WHERE name = 's/c'",),
    "a failed input has images": ("UPDATE files SET status = 'failed' WHERE name = 's/c'",),
    "a group is gone": ("PRAGMA foreign_keys = OFF", "DELETE FROM groups"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_rows_that_contradict_each_other_are_found_and_mended(
    small: Place, say: Say, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits, images = small.rows("SELECT filename, split FROM images ORDER BY 1"), small.images()
    change(small, *TAMPERED[what])
    wrong = found(small, monkeypatch)
    assert Kind.CONTRADICTORY in wrong
    if what != "a group is gone":
        assert [text.split(": ")[0] for text in wrong[Kind.CONTRADICTORY]] == [f"{small.source}/s/c.dcm"]
    assert say("--repair")[0] == 0
    assert say()[0] == 0
    assert small.rows("SELECT filename, split FROM images ORDER BY 1") == splits
    assert small.images() == images


def test_images_of_an_input_that_is_not_recorded_are_the_databases_fault(small: Place, say: Say) -> None:
    change(small, "PRAGMA foreign_keys = OFF", "DELETE FROM files WHERE name = 's/b'")
    done = say("--repair")
    assert done[0] == 1
    assert "refers to a row of files that is not there" in done[1]
    assert "cannot be repaired here" in done[1]


def test_a_damaged_database_is_told_and_nothing_is_touched(small: Place, say: Say) -> None:
    with small.db.open("r+b") as file:  # an index loses its entries
        pages = small.rows("SELECT rootpage FROM sqlite_master WHERE name = 'files_by_digest'")
        (size,) = small.rows("PRAGMA page_size")
        file.seek((pages[0] - 1) * size + 8)
        file.write(bytes(64))
    (small.output / "in/orphan.png").touch()
    before = small.images()
    done = say("--repair")
    assert done[0] == 1
    assert any(line.split()[0] == "database" for line in done[1].splitlines()[1:])
    assert small.images() == before


# Rules of the house


def test_a_run_keeps_it_out(small: Place, say: Say) -> None:
    with FileLock(f"{small.db}.lock"):
        done = say("--repair")
    assert done[0] == 3
    assert "Another run is writing" in done[1]


def test_without_a_database_there_is_nothing_to_verify(place: Place, say: Say) -> None:
    assert say()[0] == 2
    Store(place.address).close()
    done = say()
    assert done[0] == 2
    assert "has no images yet" in done[1]


def test_labels_stay_with_images_that_are_made_again(small: Place, say: Say) -> None:
    (label_id,) = small.rows("SELECT id FROM images WHERE filename = 's/b'")
    store = Store(small.address)
    with store.transaction() as connection:
        add_label(connection, label_id, Said("odd"), annotator="me")
    store.close()
    (small.output / "s/b.png").unlink()
    assert say("--repair")[0] == 0
    assert small.rows("SELECT label FROM images WHERE filename = 's/b'") == ["odd"]


def test_memory_does_not_grow_with_the_images(place: Place, thorough: bool, note: Note) -> None:
    files, frames = (20, 1000) if thorough else (4, 50)
    make_files(place.source, *(f"s{n}/a.dcm:{frames}" for n in range(files)))
    place.run(timeout=600)
    before, peak, seconds = _measured(place)
    assert peak - before < 30
    if thorough:
        rate = f"{files * frames / seconds:,.0f}"
        note(
            "`verify` of many images",
            images=files * frames,
            images_per_second=rate,
            peak_memory=f"{peak:.0f} MB, {before:.0f} MB of it before the first image",
        )


def _measured(place: Place) -> tuple[float, ...]:
    """Memory in MB before and at its peak, and seconds, of verifying in a process of its own."""
    code = (
        "import re, sys, time; from pathlib import Path; from dicomprep.checks.verify import verify\n"
        "from dicomprep.workspace import Workspace\n"
        "memory = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        "began, before = time.perf_counter(), memory()\n"
        "findings = verify(Workspace.open(sys.argv[1]))\n"
        "assert not findings.counts, findings\n"
        "print(before, memory(), time.perf_counter() - began)"
    )
    done = call([sys.executable, "-c", code, str(place.db)], place.base, timeout=600)
    assert done.returncode == 0, done.stderr
    return tuple(map(float, done.stdout.split()))
