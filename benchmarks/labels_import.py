"""A table of a million labels over a million images: `python -m benchmarks.labels_import [--wide]`; time and memory."""

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.million import make_database
from dicomprep.database.address import DatabaseAddress
from dicomprep.database.writes.store import Store

MEGABYTE = 1024
"""Kilobytes, in which the system states peaks of memory."""


def main() -> None:
    """Make the database and the table, import it in a process of its own, and say what that took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--wide", action="store_true", help="fourteen classes, as CheXpert has, in place of one label")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        db = make_database(Path(scratch), options.rows)
        store = Store(DatabaseAddress.parse(db))
        store.open_key(db.with_name(f"{db.name}.key"), None)
        store.close()
        table = Path(scratch) / "labels.csv"
        write_table(table, db, wide=options.wide)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dicomprep", "labels", "import", table, "--db", db], check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{options.rows:,} rows: {used.ru_utime + used.ru_stime:.1f} s of processor time, "
            f"{time.perf_counter() - began:.1f} s, {used.ru_maxrss / MEGABYTE:.0f} MB"
        )


def write_table(table: Path, db: Path, *, wide: bool) -> None:
    """A row for each image, by its name."""
    classes = [f"Finding {number}" for number in range(14)] if wide else ["label"]
    with closing(sqlite3.connect(db)) as connection, table.open("w") as file:
        file.write(",".join(["filename", *classes]) + "\n")
        for number, (name,) in enumerate(connection.execute("SELECT filename FROM frames")):
            cells = [("", "0.0", "1.0", "-1.0")[number * 7 >> place & 3] for place in range(14)]
            said = ",".join(cells) if wide else ("mass", "calc", "normal")[number % 3]
            file.write(f"{name},{said}\n")


if __name__ == "__main__":
    main()
