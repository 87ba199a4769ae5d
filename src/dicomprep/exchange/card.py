"""README.md of an export: what is in it, how it was made, and what it is not fit for."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.rows import Rows
from dicomprep.splits import SPLIT_NAMES
from dicomprep.version import VERSION

__all__ = ["describe_export"]

READING = {
    Format.CSV: "`pandas.read_csv` reads `frames-*.csv`, a row for each image. The images themselves are not in it.",
    Format.PARQUET: "`pandas.read_parquet` reads `frames-*.parquet`, a row for each image. The images themselves are"
    " not in it.",
    Format.WEBDATASET: '`webdataset.WebDataset("train-{000000..000012}.tar")` reads it: `KEY.png`, `KEY.json` and,'
    " where there is a label, its number in `KEY.cls`.",
    Format.HUGGINGFACE: '`datasets.load_dataset("FOLDER")` reads it, with the images decoded.',
    Format.FOLDER: "`torchvision.datasets.ImageFolder` reads a split's folder; `frames-*.csv` says more of each image.",
}

LIMITS = """\
- The images are small versions for training and labelling, **not for diagnosis**.
- The names of patients, studies and images are pseudonyms: keyed hashes whose key stays with the source. The pixels
  are still those of patients: a thumbnail of a head can show a face, and text may be burned into an image. Treat the
  data set as personal data.
- Patients are apart: one patient's images are all in one split. Keep it so; do not divide the images anew.
- Labels are what people gave these images in dicomprep, the newest one where there are several.
"""

_MARKUP = re.compile(r"[\\`*\[\]()|#~!$:@<>&]|(?<!\w)_|_(?!\w)|(?<=www)[.]", re.IGNORECASE)
"""What means something in Markdown or HTML, also to those who make links of what looks like one."""
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_JOINERS = "\u200c\u200d"
"""Scripts and emoji need them."""


def describe_export(rows: Rows, kind: Format, options: ExportOptions, *, made: dict[str, Any]) -> str:
    """The card, with the head that Hugging Face reads; `made` has the classes and what shaped the images."""
    splits = [split for split in SPLIT_NAMES if split in set(_values(rows, "split"))]
    parts = [
        _head(kind, options, splits),
        f"# A data set of {len(rows):,} medical images\n",
        f"Exported by dicomprep {VERSION}. {READING[kind]} `manifest.jsonl` has the SHA-256 of every shard.\n",
        "## What is in it\n",
        _count_table(rows, splits),
        _list("Labels", rows, "label"),
        _list("Modalities", rows, "modality"),
        f"Classes by number: {_classes(made['classes'])}.\n",
        f"Columns: {', '.join(f'`{name}`' for name in rows.columns)}.\n",
        _left_out(options),
        "## How it was made\n",
        _shaping(made["images"]),
        "## Limits\n",
        LIMITS,
        f"## Licence\n\nAs who exported it says: {_said(options.license)}\n",
    ]
    return "\n".join(part for part in parts if part)


def _head(kind: Format, options: ExportOptions, splits: Sequence[str]) -> str:
    lines = ["---", f"license: {json.dumps(options.license, ensure_ascii=False)}"]
    lines += ["task_categories:", "- image-classification", "tags:", "- medical"]
    if kind is Format.HUGGINGFACE and splits:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    return "\n".join([*lines, "---", ""])


def _values(rows: Rows, name: str) -> Iterable[Any]:
    column = rows.selection.coded(name)
    return (column.values[code] for code in column.codes)


def _count_table(rows: Rows, splits: Sequence[str]) -> str:
    images = Counter(_values(rows, "split"))
    patients = Counter(
        split for split, _ in set(zip(_values(rows, "split"), _values(rows, "patient_key"), strict=True))
    )
    lines = ["| split | images | patients |", "| --- | ---: | ---: |"]
    lines += [f"| {split} | {images[split]:,} | {patients[split]:,} |" for split in splits]
    return "\n".join(lines) + "\n"


def _list(title: str, rows: Rows, name: str) -> str:
    counts = Counter(value or "none" for value in _values(rows, name))
    told = ", ".join(
        f"{_said(value)} {count:,}" for value, count in sorted(counts.items(), key=lambda item: (-item[1], item))
    )
    return f"{title}: {told or 'none'}.\n"


def _classes(classes: Sequence[str]) -> str:
    return ", ".join(f"{number} {_said(name)}" for number, name in enumerate(classes)) or "there are none"


def _left_out(options: ExportOptions) -> str:
    chosen = [f"split {', '.join(map(_said, options.split))}"] if options.split else []
    chosen += [f"label {', '.join(map(_said, options.label))}"] if options.label else []
    chosen += [_code(options.where)] if options.where else []
    return f"Only images of: {'; '.join(chosen)}. Others were left out.\n" if chosen else ""


def _shaping(options: Sequence[dict[str, Any]]) -> str:
    """What the runs of preprocessing were told."""
    told = [", ".join(f"{_said(name)} {_said(value)}" for name, value in sorted(one.items())) for one in options]
    head = (
        "DICOM files became PNG images by the rules of dicomprep: stored values through the modality transformation,\n"
        "the file's own window or the one named here, and antialiased scaling with square pixels.\n\n"
    )
    return head + "".join(f"- {one}\n" for one in told)


def _said(value: object) -> str:
    """What a person or a file called something, as text: no markup, no link, no line of its own."""
    line = " ".join("".join(one if one.isprintable() or one in _JOINERS else " " for one in str(value)).split())
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)


def _code(text: str) -> str:
    """Text as it is, in more backticks than stand in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    inner = f" {text} " if text.startswith("`") or text.endswith("`") else text
    return f"{fence}{inner}{fence}"
