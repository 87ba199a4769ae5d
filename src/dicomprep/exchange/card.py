"""README.md of an export, its data card: contents, processing, limitations, license."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, repeat
from typing import Any

from dicomprep.config import SPLIT_NAMES
from dicomprep.exchange.cohort import Cohort, Subject, cohort_in_markdown
from dicomprep.exchange.formats.registry import Layout
from dicomprep.exchange.hub_card import describe_for_hub
from dicomprep.exchange.manifest import Shard
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.rows import Rows
from dicomprep.pixels.encoding import ImageFormat
from dicomprep.version import VERSION

__all__ = ["describe_export"]

READING = {
    Format.CSV: "Read `{tables}` with `pandas.read_csv`: one row per image, without the images, {named}",
    Format.PARQUET: "Read `{tables}` with `pandas.read_parquet`: one row per image, without the images, {named}",
    Format.WEBDATASET: "Read a split with `webdataset.WebDataset`: {images}, `KEY.json` and, for labeled images, the"
    " class number in `KEY.cls`.",
    Format.HUGGINGFACE: 'Read it with `datasets.load_dataset("FOLDER")`, which decodes the images.',
    Format.FOLDER: "Read a split's folder with `torchvision.datasets.ImageFolder`; metadata is in `{tables}`."
    " `classes.txt` has the folders in the order of class numbers: by itself, ImageFolder numbers those of one split.",
}

FOLDER_OF_ARRAYS = (
    "Read a split's folder with `torchvision.datasets.DatasetFolder(FOLDER, loader=numpy.load, extensions=('.npy',))`;"
    " metadata is in `{tables}`. `classes.txt` has the folders in the order of class numbers."
)

NAMED = "with the name that it has in exports with images in `file_name`."

LIMITS = """\
- The images are thumbnails for training and labeling, **not for diagnosis**.
- Identifiers of patients, studies and images are pseudonyms: keyed hashes whose key stays with the source. The pixels
  are still those of patients: an image of a head can show a recognizable face, and an image may have burned-in text.
  Treat the data set as personal data.
- Splits are patient-level: all images of a patient are in one split. Do not split the images again (data leakage).
- Labels were given in dicomprep or imported. Where annotators differ, a rule of the data set decides; where it cannot,
  an image has no label.
"""

_FORMAT_NAMES = {
    ImageFormat.PNG: "PNG",
    ImageFormat.JPEG: "JPEG",
    ImageFormat.WEBP: "WebP",
    ImageFormat.NPY: "NumPy (.npy)",
}

_MARKUP = re.compile(r"[\\`*\[\]()|#~!$:@<>&]|(?<!\w)_|_(?!\w)|(?<=www)[.]", re.IGNORECASE)
"""What means something in Markdown or HTML, also to those who make links of what looks like one."""
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_JOINERS = "\u200c\u200d"
"""Scripts and emoji need them."""


def describe_export(
    rows: Rows, kind: Format, layout: Layout, *, options: ExportOptions, made: dict[str, Any], shards: Sequence[Shard]
) -> str:
    """The card, with the head that Hugging Face reads; `made` has the classes and what shaped the images."""
    splits = [split for split in SPLIT_NAMES if split in set(_values(rows, "split"))]
    tables = "`, `".join(dict.fromkeys(map(layout.shard_pattern, splits)))
    formats = rows.formats()
    images = "`, `".join(f"KEY{one.ending}" for one in formats)
    readings = FOLDER_OF_ARRAYS if kind is Format.FOLDER and ImageFormat.NPY in formats else READING[kind]
    reading = readings.format(tables=tables, named=NAMED, images=f"`{images}`")
    parts = [
        describe_for_hub(rows, kind, layout, options=options, classes=made["classes"], splits=splits),
        f"# A data set of {len(rows):,} medical images\n",
        f"Exported by dicomprep {VERSION}. {reading} `manifest.jsonl` has the SHA-256 of every shard,"
        " `croissant.json` the same for programs that read Croissant.\n",
        "".join(_archives(shards, split) for split in splits) if kind is Format.WEBDATASET else "",
        _version(options, made["version"]),
        "## Contents\n",
        _count_table(rows, splits),
        _list("Labels", rows, "label"),
        _list("Modalities", rows, "modality"),
        f"Class numbers: {_classes(made['classes'])}.\n",
        f"Columns: {', '.join(f'`{name}`' for name in rows.columns)}.\n",
        _left_out(options),
        "## Cohort\n",
        cohort_in_markdown(_cohort(rows), _said),
        "## How it was made\n",
        _shaping(made["images"], formats),
        _division(made["split_seed"]),
        "## Limitations\n",
        LIMITS,
        f"## License\n\nAs stated by the exporter: {_said(options.license)}\n",
    ]
    return "\n".join(part for part in parts if part)


def _version(options: ExportOptions, digest: str) -> str:
    if options.version is None:
        return ""
    return f"Version {_said(options.version)}, as `dicomprep freeze` recorded it: SHA-256 `{digest}`.\n"


def _archives(shards: Sequence[Shard], split: str) -> str:
    """How the archives of a split are named, all of them and no others."""
    files = sorted(shard.file for shard in shards if shard.split == split)
    return f'- {split}: `webdataset.WebDataset("{"::".join(_ranges(files))}")`\n'


def _ranges(files: Sequence[str]) -> Iterable[str]:
    """Names of numbered archives, those that follow each other as one.

    >>> list(_ranges(["a-000000.tar", "a-000001.tar", "a-000003.tar"]))
    ['a-{000000..000001}.tar', 'a-000003.tar']
    """
    numbered = [(file.rpartition("-")[2].removesuffix(".tar"), file) for file in files]
    for _, group in groupby(enumerate(numbered), key=lambda item: int(item[1][0]) - item[0]):
        run = [file for _, file in group]
        (first, name), (last, _) = run[0], run[-1]
        yield name if first == last else name.replace(first, f"{{{first}..{last}}}")


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


def _cohort(rows: Rows) -> Cohort:
    """Counts of all images by what is exported of them."""
    cohort = Cohort()
    names = ("patient_age", "patient_sex", "manufacturer", "body_part", "row_spacing_mm", "label")
    nothing = repeat(None, len(rows))
    said = (_values(rows, name) if name in rows.columns else nothing for name in ("split", "patient_key", *names))
    for subject, images in Counter(zip(*said, strict=False)).items():
        cohort.add(Subject(*subject), images)
    return cohort


def _list(title: str, rows: Rows, name: str) -> str:
    counts = Counter("none" if value is None else value or "negative" for value in _values(rows, name))
    told = ", ".join(
        f"{_said(value)} {count:,}" for value, count in sorted(counts.items(), key=lambda item: (-item[1], item))
    )
    return f"{title}: {told or 'none'}.\n"


def _classes(classes: Sequence[str]) -> str:
    return ", ".join(f"{number} {_said(name or 'negative')}" for number, name in enumerate(classes)) or "none"


def _left_out(options: ExportOptions) -> str:
    chosen = [f"split {', '.join(map(_said, options.split))}"] if options.split else []
    chosen += [f"label {', '.join(map(_said, options.label))}"] if options.label else []
    chosen += [_code(options.where)] if options.where else []
    return f"Selection: {'; '.join(chosen)}.\n" if chosen else ""


def _shaping(options: Sequence[dict[str, Any]], formats: Sequence[ImageFormat]) -> str:
    """The options of the preprocessing runs."""
    told = [", ".join(f"{_said(name)} {_said(value)}" for name, value in sorted(one.items())) for one in options]
    names = " and ".join(_FORMAT_NAMES[one] for one in formats)
    head = (
        f"dicomprep rendered the DICOM files as {names} images: modality LUT or rescale, the window of the header or"
        " the\none below, and antialiased resampling to square pixels. Options:\n\n"
    )
    return head + "".join(f"- {one}\n" for one in told)


def _division(seed: str | None) -> str:
    return "" if seed is None else f"Splits were drawn with `--split-seed` {_code(seed)}.\n"


def _said(value: object) -> str:
    """What a person or a file called something, as text: no markup, no link, no line of its own."""
    line = " ".join("".join(one if one.isprintable() or one in _JOINERS else " " for one in str(value)).split())
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)


def _code(text: str) -> str:
    """Text as it is, in more backticks than stand in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    inner = f" {text} " if text.startswith("`") or text.endswith("`") else text
    return f"{fence}{inner}{fence}"
