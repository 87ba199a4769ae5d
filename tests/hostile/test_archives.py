"""Archives that lie: nothing is written outside, each is refused with a code, and what is good in it is done."""

import gzip
import io
import lzma
import random
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.running import Place, make_files

SEED = 5
ZEROS = 2**24


class Hostile:
    """Makes archives; each begins with a good file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        folder.mkdir()

    def good(self) -> bytes:
        self.count += 1
        path = make_files(self.folder.parent / "made", f"{self.count}.dcm", seed=self.count) / f"{self.count}.dcm"
        return path.read_bytes()

    def zip(self, name: str, *entries: tuple[zipfile.ZipInfo | str, bytes], edit: "Edit | None" = None) -> None:
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings(action="ignore"):
            archive.writestr("good.dcm", self.good())
            for info, content in entries:
                archive.writestr(info, content)
        raw = bytearray(held.getvalue())
        (self.folder / name).write_bytes(edit(raw) if edit else raw)

    def tar(self, name: str, *entries: tuple[tarfile.TarInfo, bytes], edit: "Edit | None" = None) -> None:
        (self.folder / name).write_bytes(self._tar(entries, edit))

    def packed(
        self,
        name: str,
        pack: Callable[[bytes], bytes],
        *entries: tuple[tarfile.TarInfo, bytes],
        edit: "Edit | None" = None,
    ) -> None:
        (self.folder / name).write_bytes(pack(self._tar(entries, edit)))

    def _tar(self, entries: tuple[tuple[tarfile.TarInfo, bytes], ...], edit: "Edit | None") -> bytes:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for info, content in (entry("good.dcm", self.good()), *entries):
                archive.addfile(info, io.BytesIO(content))
        raw = bytearray(held.getvalue())
        return bytes(edit(raw) if edit else raw)


Edit = Callable[[bytearray], bytes | bytearray]


def entry(name: str, content: bytes = b"x" * 700, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def named(name: str, *, system: int = 3, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename, info.create_system, info.external_attr = name, system, mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def second(raw: bytearray, mark: bytes) -> int:
    """Where the second of the headers that begin so is."""
    return raw.index(mark, raw.index(mark) + 4)


def edited(**changes: int) -> Edit:
    """Change fields of the second entry, in the directory and before its data."""
    places = {"flags": (8, 6, 2), "method": (10, 8, 2), "crc": (16, 14, 4), "packed": (20, 18, 4), "size": (24, 22, 4)}

    def edit(raw: bytearray) -> bytearray:
        central, local = second(raw, b"PK\1\2"), second(raw, b"PK\3\4")
        for field, value in changes.items():
            in_central, in_local, width = places[field]
            raw[central + in_central : central + in_central + width] = value.to_bytes(width, "little")
            raw[local + in_local : local + in_local + width] = value.to_bytes(width, "little")
        return raw

    return edit


def at_end(offset: int, value: int, width: int) -> Edit:
    """Change the record at the end of a zip file."""

    def edit(raw: bytearray) -> bytearray:
        at = raw.rindex(b"PK\5\6") + offset
        raw[at : at + width] = value.to_bytes(width, "little")
        return raw

    return edit


def bomb_of_zeros() -> bytes:
    """1.6 GB of zeros, deflated; made by repeating one block."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(bytes(ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH)) * 100


def with_bomb(raw: bytearray) -> bytearray:
    """The second entry's data become the bomb's."""
    bomb, local = bomb_of_zeros(), second(raw, b"PK\3\4")
    name, packed = struct.unpack_from("<H", raw, local + 26)[0], struct.unpack_from("<I", raw, local + 18)[0]
    begin = local + 30 + name
    raw[begin : begin + packed] = bomb
    raw = at_end(16, struct.unpack_from("<I", raw, raw.rindex(b"PK\5\6") + 16)[0] + len(bomb) - packed, 4)(raw)
    return bytearray(edited(packed=len(bomb), size=100 * ZEROS)(raw))


def overlapping(raw: bytearray) -> bytearray:
    """The second entry stands in the directory again and again, for the same data."""
    central, end = second(raw, b"PK\1\2"), raw.rindex(b"PK\5\6")
    one = bytes(raw[central:end])
    more = b"".join(one.replace(b"many.dcm", b"%04d.dcm" % number) for number in range(500))
    size = struct.unpack_from("<I", raw, end + 12)[0] + len(more)
    return at_end(12, size, 4)(raw[:end] + more + raw[end:])  # type: ignore[return-value]


def shifted_entry(raw: bytearray) -> bytearray:
    at = second(raw, b"PK\1\2") + 42
    raw[at : at + 4] = (2**31).to_bytes(4, "little")
    return raw


def garbled(mark: bytes, distance: int, length: int = 40) -> Edit:
    """Some bytes behind the second place that begins so are others."""

    def edit(raw: bytearray) -> bytearray:
        at = second(raw, mark) + distance
        raw[at : at + length] = random.Random(SEED).randbytes(length)
        return raw

    return edit


def nested(depth: int) -> bytes:
    content = b"end"
    for number in range(depth):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(f"{number}.zip", content)
        content = held.getvalue()
    return content


def header_of(name: str, size: int, **fields: object) -> bytes:
    info, _ = entry(name, b"", **fields)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def claiming(header: bytes) -> Edit:
    """A header, and next to nothing behind it, in the place of the end."""
    return lambda raw: bytes(raw).rstrip(b"\0") + bytes(-len(bytes(raw).rstrip(b"\0")) % 512) + header + bytes(512)


def make_zips(make: Hostile) -> None:
    names = ("../../x.dcm", "/x.dcm", "a/../../../x.dcm", "C:\\x.dcm", "", "n" * 5000, "a\0b.dcm")
    for number, name in enumerate(names):
        make.zip(f"name{number}.zip", (named(name), b"text"))
    make.zip("backslash.zip", (named("..\\..\\x.dcm", system=0), b"text"))
    make.zip("twice.zip", (named("a.dcm"), make.good()), (named("a.dcm"), b"text"))
    make.zip("link.zip", (named("l.dcm", mode=0o120777), b"/etc/passwd"))
    make.zip("device.zip", (named("d.dcm", mode=0o020666), b""))
    for field, value in (("flags", 1), ("flags", 0x41), ("method", 9), ("method", 14), ("method", 99), ("method", 77)):
        make.zip(f"{field}{value}.zip", ("x.dcm", b"text" * 99), edit=edited(**{field: value}))
    for field, value in (("size", 10), ("size", 100_000), ("crc", 1), ("size", 2**32 - 2), ("packed", 2**31)):
        make.zip(f"{field}{value}.zip", ("x.dcm", b"text" * 99), edit=edited(**{field: value}))
    make.zip("bomb.zip", ("x.dcm", b"text"), edit=with_bomb)
    make.zip("overlap.zip", (named("many.dcm"), random.Random(SEED).randbytes(90_000)), edit=overlapping)
    make.zip("offset.zip", ("x.dcm", b"text"), edit=shifted_entry)
    make.zip("directory.zip", edit=at_end(16, 2**30, 4))
    make.zip("sizes.zip", edit=at_end(12, 2**30, 4))
    make.zip("disk.zip", edit=at_end(4, 3, 2))
    make.zip("local.zip", ("x.dcm", b"text"), edit=garbled(b"PK\3\4", 0, 8))
    make.zip("data.zip", ("x.dcm", random.Random(SEED).randbytes(999)), edit=garbled(b"PK\3\4", 36, 12))
    make.zip("entry.zip", ("x.dcm", b"text"), edit=garbled(b"PK\1\2", 0))
    make.zip("cut.zip", ("x.dcm", b"text"), edit=lambda raw: raw[: len(raw) // 2])
    make.zip("nested.zip", ("deep.zip", nested(100)))


def large_extra(raw: bytearray, *values: int) -> bytes:
    """The second entry's size, packed size and offset stand in a ZIP64 field, and are these."""
    extra = struct.pack("<2H", 1, 8 * len(values)) + struct.pack(f"<{len(values)}Q", *values)
    central, end = second(raw, b"PK\1\2"), raw.rindex(b"PK\5\6")
    name = struct.unpack_from("<H", raw, central + 28)[0]
    entry = bytearray(raw[central:end])
    for at, _ in zip((24, 20, 42), values, strict=False):
        entry[at : at + 4] = b"\xff" * 4
    entry[30:32] = len(extra).to_bytes(2, "little")
    entry[46 + name : 46 + name] = extra
    raw = raw[:central] + entry + raw[end:]
    return at_end(12, struct.unpack_from("<I", raw, raw.rindex(b"PK\5\6") + 12)[0] + len(extra), 4)(raw)


def with_locator(raw: bytearray) -> bytearray:
    """ZIP64's record is said to be where it is not."""
    end = raw.rindex(b"PK\5\6")
    return raw[:end] + struct.pack("<4sIQI", b"PK\6\7", 0, 2**62, 1) + raw[end:]


class _Pipe(io.BytesIO):
    """Cannot be searched: sizes are written behind the data."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError


def sent(make: Hostile, *, cut: int) -> bytes:
    """As servers pack while they send, and a connection that breaks."""
    held = _Pipe()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.dcm", make.good())
        archive.writestr("s/", b"")
        archive.writestr("s/more.dcm", make.good())
        archive.writestr("last.dcm", random.Random(SEED).randbytes(9000))
    return held.getvalue()[:-cut]


def make_large(make: Hostile) -> None:
    """ZIP64 that lies, names that are one on many disks, and what is left of a download."""
    for number, values in enumerate(((2**63, 2**63, 2**63), (9, 9, 2**64 - 1), (2**40, 99), (9, 2**62), (9,))):
        make.zip(
            f"large{number}.zip", ("x.dcm", b"text" * 99), edit=lambda raw, values=values: large_extra(raw, *values)
        )
    make.zip("locator.zip", edit=with_locator)
    make.zip("accents.zip", ("\u00e4.dcm", make.good()), ("a\u0308.dcm", make.good()), ("\u00c4.dcm", make.good()))
    (make.folder / "sent.zip").write_bytes(sent(make, cut=2000))
    (make.folder / "sent2.zip").write_bytes(sent(make, cut=30))


def pax(*records: tuple[str, str]) -> bytes:
    """A pax header, for the member that follows."""
    lines = b"".join(_record(f"{key}={value}\n".encode()) for key, value in records)
    return header_of("pax", len(lines), type=tarfile.XHDTYPE) + lines + bytes(-len(lines) % 512)


def _record(text: bytes) -> bytes:
    length = next(n for n in range(len(text), len(text) + 9) if len(str(n)) + 1 + len(text) == n)
    return f"{length} ".encode() + text


def make_pax(make: Hostile) -> None:
    """Headers before headers: huge, many, of sparse files, of links; sizes of thousands of digits."""
    member = header_of("x.dcm", 0)
    made = {
        "digits": pax(("size", "9" * 4999)) + header_of("x.dcm", 2**30),
        "records": pax(*((f"k{number}", "v") for number in range(5000))) + member,
        "many": pax(("a", "b")) * 50 + member,
        "sparse1": pax(("GNU.sparse.major", "1"), ("GNU.sparse.realsize", str(2**40))) + header_of("x.dcm", 512),
        "sparse0": pax(("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,9")) + header_of("x.dcm", 512),
        "longlink": header_of("x", 2**33, type=b"K") + member,
        "volume": header_of("x.dcm", 0, type=b"M"),
        "outside": pax(("path", "../../x.dcm")) + member,
    }
    for name, raw in made.items():
        make.tar(f"{name}.pax.tar", edit=claiming(raw))
        make.packed(f"{name}.pax.tar.gz", gzip.compress, edit=claiming(raw))
    inner = b"end"
    for number in range(100):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as archive:
            archive.addfile(entry(f"{number}.tar", inner)[0], io.BytesIO(inner))
        inner = held.getvalue()
    make.tar("nested.tar", entry("deep.tar", inner))


def make_tars(make: Hostile) -> None:
    for number, name in enumerate(("../../x.dcm", "/x.dcm", "a/../../../x.dcm", "n/" * 3000 + "x.dcm")):
        make.tar(f"name{number}.tar", entry(name))
    make.tar("twice.tar", entry("a.dcm", make.good()), entry("a.dcm"))
    make.tar("through.tar", entry("l", b"", type=tarfile.SYMTYPE, linkname="/tmp"), entry("l/x.dcm"))
    for kind in (tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        make.tar(f"kind{int(kind)}.tar", entry("l.dcm", b"", type=kind, linkname="/etc/passwd"))
    make.tar("beyond.tar", edit=claiming(header_of("x.dcm", 2**30)))
    make.tar("negative.tar", edit=claiming(header_of("x.dcm", -5)))
    make.tar("long.tar", edit=claiming(header_of("x", 2**33, type=tarfile.GNUTYPE_LONGNAME)))
    make.tar("pax.tar", edit=claiming(header_of("x", 2**33, type=tarfile.XHDTYPE)))
    make.tar("sparse.tar", edit=claiming(header_of("x.dcm", 512, type=tarfile.GNUTYPE_SPARSE)))
    make.tar("header.tar", entry("x.dcm"), edit=garbled(b"ustar  ", -200, 100))
    make.tar("cut.tar", entry("x.dcm", b"x" * 9000), edit=lambda raw: raw[: raw.index(b"x" * 9000) + 5000])


def make_streams(make: Hostile) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.compress}
    noise = random.Random(SEED).randbytes(400_000)
    for ending, pack in packs.items():
        make.packed(f"name.tar.{ending}", pack, entry("../../x.dcm"))
        make.packed(f"cut.tar.{ending}", pack, entry("x.dcm", noise))
        make.packed(f"bomb.tar.{ending}", pack, edit=claiming(header_of("x.dcm", 2**35)))
        cut = make.folder / f"cut.tar.{ending}"
        cut.write_bytes(cut.read_bytes()[:-4000])
    make.packed("nested.tar.gz", gzip.compress, entry("deep.zip", nested(100)))
    single = gzip.compress(make.good())
    (make.folder / "cut.dcm.gz").write_bytes(single[: len(single) // 2])
    (make.folder / "long.dcm.gz").write_bytes(single[:-4] + (2**32 - 1).to_bytes(4, "little"))


COUNTED = {"accents.zip", "link.zip", "device.zip", "through.tar", "kind1.tar", "kind3.tar", "kind6.tar"}
"""What only holds links and devices, or names that are one on many disks."""

CODES = {"unsafe_name", "encrypted", "unsupported_archive", "corrupt_archive", "limit_exceeded"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("hostile") / "deep" / "enough")
    place.base.mkdir(parents=True)
    make = Hostile(place.source)
    for made in (make_zips, make_large, make_tars, make_pax, make_streams):
        made(make)
    return place


def test_hostile_archives_cost_what_is_hostile_in_them(place: Place) -> None:
    archives = {path.name for path in place.source.iterdir()}
    assert len(archives) >= 50
    outside = sorted(place.base.parent.parent.iterdir()), sorted(place.base.parent.iterdir())
    result = place.run(timeout=60)
    assert (sorted(place.base.parent.parent.iterdir()), sorted(place.base.parent.iterdir())) == outside
    assert {path.name for path in place.base.iterdir()} == {"in", "made", "out", "x.db", "x.db.key", "x.db.lock"}
    assert not (place.output / ".dicomprep-tmp").exists()
    inputs = place.statuses()
    good = {path.partition("!/")[0] for path, (status, _) in inputs.items() if status == "done"}
    lost = {"cut.zip", "disk.zip", "cut.dcm.gz", "long.dcm.gz"}
    """Of which nothing is whole, or nothing can be found."""
    assert archives - good == lost
    refused = {path.partition("!/")[0] for path, (_, code) in inputs.items() if code in CODES}
    assert archives - refused == COUNTED
    assert {code for status, code in inputs.values() if status != "done"} <= CODES | {"not_dicom"}
    assert set(result.codes) <= CODES | {"not_dicom"}
    assert result.passed_over.total() >= len(COUNTED) - 1
    assert inputs["sent.zip!/s/more.dcm"] == inputs["sent2.zip!/s/more.dcm"] == ("done", None)
    assert "cut within 'last.dcm'" in place.rows("SELECT error_detail FROM inputs WHERE path LIKE '%/sent.zip!/.'")[0]
    assert [code for path, (_, code) in inputs.items() if path.startswith("accents.zip")] == [None] * 4
    place.check()
    again = place.run(timeout=60)
    assert again.found == result.found
    assert again.processed == 0
