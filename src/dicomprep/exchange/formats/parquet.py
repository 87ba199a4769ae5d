"""Parquet: a plain table, or with the images in it as Hugging Face's `datasets` has them."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dicomprep.exchange.rows import Part, kind_of
from dicomprep.extras import load_extra

__all__ = ["FEATURES", "write_images", "write_parquet", "write_table"]

ROWS_AT_ONCE, IMAGES_AT_ONCE = 100_000, 100
"""Of one row group: what a reader must load to see one row."""

FEATURES = {"integer": "int64", "real": "float64", "text": "string"}
"""How Hugging Face's `datasets` calls what a column holds."""


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


def write_images(part: Part, path: Path, *, as_classes: bool = True) -> None:
    """Images with their metadata, and the features that `load_dataset` looks for.

    Labels are numbers of classes, or with `as_classes=False`, as exports of an earlier release have them, names.
    """
    pyarrow, parquet = _libraries()
    names = list(part.rows.columns)
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    kinds = {name: kind_of(name) for name in names} | ({"label": "integer"} if as_classes else {})
    features = {"image": {"_type": "Image"}, **{name: _value(kind) for name, kind in kinds.items()}}
    if as_classes:
        features["label"] = {"names": list(part.classes), "_type": "ClassLabel"}
    schema = pyarrow.schema(
        [("image", image), *((name, _type(pyarrow, kind)) for name, kind in kinds.items())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    numbers = {name: number for number, name in enumerate(part.classes)}
    with parquet.ParquetWriter(path, schema, use_dictionary=names) as writer:
        for first in range(0, len(part.numbers), IMAGES_AT_ONCE):
            piece = part.numbers[first : first + IMAGES_AT_ONCE]
            images = [{"bytes": part.rows.image(n), "path": f"{part.rows.key(n)}.png"} for n in piece]
            columns = dict(zip(names, zip(*part.rows.values(piece), strict=True), strict=True))
            if as_classes:
                columns["label"] = tuple(None if name is None else numbers[name] for name in columns["label"])
            writer.write_table(pyarrow.table({"image": images, **columns}, schema))


def _value(kind: str) -> dict[str, Any]:
    return {"dtype": FEATURES[kind], "_type": "Value"}


def _type(pyarrow: Any, kind: str) -> Any:  # noqa: ANN401
    return {"integer": pyarrow.int64, "real": pyarrow.float64, "text": pyarrow.string}[kind]()


def _libraries() -> tuple[Any, ...]:
    return tuple(load_extra(name, extra="parquet", purpose="Parquet") for name in ("pyarrow", "pyarrow.parquet"))
