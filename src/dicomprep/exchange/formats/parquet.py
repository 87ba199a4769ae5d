"""Parquet: a plain table, or with the images in it as Hugging Face's `datasets` has them."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dicomprep.exchange.rows import Part, kind_of
from dicomprep.extras import load_extra

__all__ = ["write_images", "write_parquet", "write_table"]

ROWS_AT_ONCE, IMAGES_AT_ONCE = 100_000, 100
"""Of one row group: what a reader must load to see one row."""

_FEATURES = {"integer": "int64", "real": "float64", "text": "string"}


def write_table(part: Part, path: Path) -> None:
    """Metadata of some frames."""
    names = list(part.rows.columns)
    write_parquet(path, names, [kind_of(name) for name in names], part.rows.values(part.numbers))


def write_parquet(path: Path, names: Sequence[str], kinds: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; `kinds` are integer, real or text."""
    pyarrow, parquet = _libraries()
    schema = pyarrow.schema([(name, _type(pyarrow, kind)) for name, kind in zip(names, kinds, strict=True)])
    remaining = iter(rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while piece := list(islice(remaining, ROWS_AT_ONCE)):
            columns = zip(*piece, strict=True)
            writer.write_table(pyarrow.table(dict(zip(names, columns, strict=True)), schema))


def write_images(part: Part, path: Path) -> None:
    """Images with their metadata, and the features that `load_dataset` looks for."""
    pyarrow, parquet = _libraries()
    names = list(part.rows.columns)
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    features = {"image": {"_type": "Image"}} | {
        name: {"dtype": _FEATURES[kind_of(name)], "_type": "Value"} for name in names
    }
    schema = pyarrow.schema(
        [("image", image), *((name, _type(pyarrow, kind_of(name))) for name in names)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    with parquet.ParquetWriter(path, schema, use_dictionary=names) as writer:
        for first in range(0, len(part.numbers), IMAGES_AT_ONCE):
            piece = part.numbers[first : first + IMAGES_AT_ONCE]
            images = [{"bytes": part.rows.image(n), "path": f"{part.rows.key(n)}.png"} for n in piece]
            columns = dict(zip(names, zip(*part.rows.values(piece), strict=True), strict=True))
            writer.write_table(pyarrow.table({"image": images, **columns}, schema))


def _type(pyarrow: Any, kind: str) -> Any:  # noqa: ANN401
    return {"integer": pyarrow.int64, "real": pyarrow.float64, "text": pyarrow.string}[kind]()


def _libraries() -> tuple[Any, ...]:
    return tuple(load_extra(name, extra="parquet", purpose="Parquet") for name in ("pyarrow", "pyarrow.parquet"))
