"""Files that moved, thousands of equal ones among them: matched with work that grows as they do."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import event

from dicomprep.database.writes.store import Store
from dicomprep.models import Outcome, Task
from dicomprep.pipeline import moving
from dicomprep.pipeline.planner import Planner
from dicomprep.storage.local_source import LocalSource
from dicomprep.storage.source import Version
from tests.running import Place, make_files

AT_ONCE = 256


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def record_equal_files(place: Place, count: int) -> bytes:
    """Rows of files that are as one that was recorded, and are no longer there; their digest."""
    make_files(place.source, "s/0000.dcm")
    place.run()
    columns = [name for (_, name, *_) in place.rows("PRAGMA table_info(files)")]
    new = {"id": "number + 1000", "path": "printf('s/%04d.dcm', number)", "folded_name": "printf('s/%04d', number)"}
    new["name"] = new["folded_name"]
    place.execute(
        f"WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT {count - 1})"
        f" INSERT INTO files ({', '.join(columns)})"
        f" SELECT {', '.join(new.get(name, name) for name in columns)} FROM files, numbers"
    )
    (digest,) = place.rows("SELECT DISTINCT digest FROM files")
    return bytes(digest)


def met(place: Place, digest: bytes, count: int) -> list[Outcome]:
    """The same files, from the last one on, in another folder."""
    size, mtime_ns = place.rows("SELECT size, mtime_ns FROM files")[0]
    paths = [f"new/s/{number:04d}.dcm" for number in reversed(range(count))]
    sources = [LocalSource(str(place.base / "moved"), path, Version(size, mtime_ns)) for path in paths]
    return [Outcome(Task(source, "s", "s/x", digest_only=True), None, digest=digest) for source in sources]


@pytest.mark.parametrize("there", [True, False])
def test_equal_files_cost_as_much_each_however_many_they_are(
    place: Place, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 8 * AT_ONCE
    outcomes = met(place, record_equal_files(place, count), count)
    shutil.rmtree(place.source)
    work = {"looked": 0, "compared": 0, "rows": 0}
    compare = moving._common_length

    def look(_root: str, _path: str) -> bool:
        work["looked"] += 1
        return not there

    def counted(one: str, other: str) -> int:
        work["compared"] += 1
        return compare(one, other)

    monkeypatch.setattr(moving, "is_gone", look)
    monkeypatch.setattr(moving, "_common_length", counted)
    statements = []
    store = Store(place.address)
    event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    planner = Planner(store, place.config(), b"k" * 32)
    left = [task for start in range(0, count, AT_ONCE) for task in planner.resolve(outcomes[start : start + AT_ONCE])]
    store.close()
    assert (len(left), planner.moved) == ((count, 0) if there else (0, count))
    assert work["looked"] == count
    assert work["compared"] <= 2 * count
    assert sum("files.digest IN" in statement for statement in statements) == 1
    if not there:
        pairs = place.rows("SELECT name, path FROM files")
        assert all(path == f"new/{name}.dcm" for name, path in pairs)


def test_the_path_that_is_most_alike_at_its_end_is_taken(place: Place) -> None:
    make_files(place.source, "a/x1.dcm")
    for name in ("b/x1.dcm", "b/x2.dcm", "c/y.dcm"):
        (place.source / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(place.source / "a/x1.dcm", place.source / name)
    place.run()
    names = dict(place.rows("SELECT path, name FROM files"))
    for old, new in (("b", "new/b"), ("a", "new/a"), ("c", "new/z")):
        (place.source / "new").mkdir(exist_ok=True)
        (place.source / old).rename(place.source / new)
    assert place.run().moved == 4
    after = dict(place.rows("SELECT name, path FROM files"))
    assert {after[names[path]] for path in ("b/x1.dcm", "b/x2.dcm")} == {"new/b/x1.dcm", "new/b/x2.dcm"}
    assert (after[names["a/x1.dcm"]], after[names["c/y.dcm"]]) == ("new/a/x1.dcm", "new/z/y.dcm")
