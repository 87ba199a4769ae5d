"""The head of an export's README.md, as Hugging Face's libraries read it: files of each split, types of columns."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain

from dicomprep.exchange.cells import neutral_cell
from dicomprep.exchange.formats.parquet import FEATURES
from dicomprep.exchange.formats.registry import Layout
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.rows import Rows, kind_of
from dicomprep.pixels.encoding import ImageFormat

__all__ = ["describe_for_hub"]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
_CSV_READING = ["  keep_default_na: false", '  na_values: ""']
"""Only an empty cell is empty: a class may be called None or NA."""


def describe_for_hub(
    rows: Rows, kind: Format, layout: Layout, *, options: ExportOptions, classes: Sequence[str], splits: Sequence[str]
) -> str:
    """YAML between two lines of dashes."""
    lines = ["---", f"license: {_quoted(options.license)}", "task_categories:", "- image-classification"]
    lines += ["tags:", "- medical", "size_categories:", f"- {_size(len(rows))}"]
    if splits and layout.files_of(splits[0]):
        lines += ["configs:", "- config_name: default", *(_CSV_READING if kind is Format.CSV else []), "  data_files:"]
        for split in splits:
            lines += [f"  - split: {layout.subset(split)}", f"    path: {layout.files_of(split)}"]
        lines += _info(rows, kind, layout, classes)
    return "\n".join([*lines, "---", ""])


def _size(images: int) -> str:
    return next((name for limit, name in _SIZES if images < limit), "10M<n<100M")


def _info(rows: Rows, kind: Format, layout: Layout, classes: Sequence[str]) -> list[str]:
    """The types of columns; none where `datasets` goes by the files alone."""
    if kind is Format.FOLDER or (kind is Format.HUGGINGFACE and layout.label == "text"):
        return []
    formats = rows.formats()
    if kind is Format.WEBDATASET and (len(formats) > 1 or formats[0] is ImageFormat.NPY):  # no one feature of images
        return []
    columns = {name: [f"  dtype: {FEATURES[kind_of(name)]}"] for name in rows.columns}
    label = _class_label([neutral_cell(name) for name in classes] if kind is Format.CSV else classes)
    image = {"image": ["  dtype: image"]} if kind is Format.HUGGINGFACE else {}
    if kind is Format.WEBDATASET:
        fields = ["  struct:", *_indented(_features(columns))]
        columns = {
            "__key__": _TEXT,
            "__url__": _TEXT,
            formats[0].ending[1:]: ["  dtype: image"],
            "json": fields,
            "cls": label,
        }
    elif kind is not Format.CSV or all(map(_stays_text, classes)):
        columns["label"] = label
    features = _indented(_features(image | columns))
    return ["dataset_info:", "- config_name: default", "  features:", *features]


_TEXT = ["  dtype: string"]


def _features(columns: dict[str, list[str]]) -> Iterable[str]:
    return chain.from_iterable((f"- name: {name}", *lines) for name, lines in columns.items())


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _class_label(classes: Sequence[str]) -> list[str]:
    names = [f"        '{number}': {_quoted(name)}" for number, name in enumerate(classes)]
    return ["  dtype:", "    class_label:", "      names:" if names else "      names: {}", *names]


def _stays_text(name: str) -> bool:
    """Whether a reader of CSV takes it for text: `datasets` would take a number for that of a class."""
    try:
        float(name)
    except ValueError:
        return name.lower() not in ("true", "false")
    return False


def _quoted(text: str) -> str:
    """Text between quotes, as YAML has it."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)
