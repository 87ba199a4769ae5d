"""Tile the images of a database into one picture: python scripts/contact_sheet.py DB OUT.png [COLUMNS] [TILE]"""

import sqlite3
import sys
from pathlib import Path

from PIL import Image, ImageDraw

GAP, CAPTION = 6, 16
BACKGROUND, TEXT = (24, 26, 30), (170, 178, 190)


def contact_sheet(db: Path, columns: int, tile: int) -> Image.Image:
    """The first frame of each file of `db`, with captions; the top folder first, then by name."""
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    output = Path(connection.execute("SELECT value FROM meta WHERE key = 'output_dir'").fetchone()[0])
    rows = connection.execute(
        "SELECT thumbnail_path, filename FROM frames JOIN (SELECT min(id) AS id FROM frames GROUP BY file_id)"
        " USING (id) ORDER BY length(filename) - length(replace(filename, '/', '')), filename"
    ).fetchall()
    connection.close()
    height = -(-len(rows) // columns) * (tile + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (columns * (tile + GAP) + GAP, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, (path, name) in enumerate(rows):
        x = GAP + number % columns * (tile + GAP)
        y = GAP + number // columns * (tile + CAPTION + GAP)
        with Image.open(db.parent / output / path) as image:
            sheet.paste(image.convert("RGB").resize((tile, tile), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + tile + 2), name.rsplit("/", 1)[-1][: tile // 6], fill=TEXT)
    return sheet


if __name__ == "__main__":
    database, out, *sizes = sys.argv[1:]
    contact_sheet(Path(database), *[int(size) for size in sizes] or (10, 120)).save(out, optimize=True)
