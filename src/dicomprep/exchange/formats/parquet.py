"""Parquet: a plain table, or with the images in it as Hugging Face's `datasets` has them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.exchange.rows import Part, kind_of
from dicomprep.extras import load_extra
from dicomprep.pixels.encoding import ImageFormat, format_of
from dicomprep.pixels.image_file import as_png

__all__ = ["FEATURES", "write_images", "write_parquet", "write_table"]

ROWS_AT_ONCE, IMAGES_AT_ONCE = 100_000, 100
"""Of one row group: what a reader must load to see one row."""

MAX_GROUP_BYTES = 2**26
"""Bytes of the images of one row group, from which it ends; bounds memory."""

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
        for piece, images in _images_at_once(part):
            columns = dict(zip(names, zip(*part.rows.values(piece), strict=True), strict=True))
            if as_classes:
                columns["label"] = tuple(None if name is None else numbers[name] for name in columns["label"])
            writer.write_table(pyarrow.table({"image": images, **columns}, schema))


def _images_at_once(part: Part) -> Iterator[tuple[NDArray[np.int64], list[dict[str, Any]]]]:
    """The numbers (n,) of some frames and their images: as many as one row group may have."""
    first, held = 0, 0
    images: list[dict[str, Any]] = []
    for place, number in enumerate(part.numbers, 1):
        images.append(_image(part, number))
        held += len(images[-1]["bytes"])
        if len(images) == IMAGES_AT_ONCE or held > MAX_GROUP_BYTES or place == len(part.numbers):
            yield part.numbers[first:place], images
            first, held, images = place, 0, []


def _image(part: Part, number: int) -> dict[str, Any]:
    """What a feature `Image` holds; an array as PNG, for it would not be one."""
    name, content = part.rows.image_name(number), part.rows.image(number)
    if format_of(name) is ImageFormat.NPY:
        name, content = f"{part.rows.key(number)}{ImageFormat.PNG.ending}", as_png(content)
    return {"bytes": content, "path": name}


def _value(kind: str) -> dict[str, Any]:
    return {"dtype": FEATURES[kind], "_type": "Value"}


def _type(pyarrow: Any, kind: str) -> Any:  # noqa: ANN401
    return {"integer": pyarrow.int64, "real": pyarrow.float64, "text": pyarrow.string}[kind]()


def _libraries() -> tuple[Any, ...]:
    return tuple(load_extra(name, extra="parquet", purpose="Parquet") for name in ("pyarrow", "pyarrow.parquet"))
