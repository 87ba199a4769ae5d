"""croissant.json of an export: what is in it, for programs that read MLCommons' Croissant 1.0."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from dicomprep.config import SPLIT_NAMES
from dicomprep.errors import count_of
from dicomprep.exchange.formats.registry import Layout
from dicomprep.exchange.manifest import Shard
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.rows import Rows, kind_of
from dicomprep.pixels.encoding import ImageFormat
from dicomprep.version import VERSION

__all__ = ["CROISSANT", "describe_croissant"]

CROISSANT = "croissant.json"

Node = dict[str, Any]

_TYPES = {"integer": "sc:Integer", "real": "sc:Float", "text": "sc:Text"}
_ENCODINGS = {"csv": "text/csv", "parquet": "application/x-parquet", "tar": "application/x-tar"}
_SPLIT_URLS = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}
_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def describe_croissant(
    rows: Rows, kind: Format, layout: Layout, *, options: ExportOptions, made: dict[str, Any], shards: Sequence[Shard]
) -> str:
    """The same text for the same shards: its date is that of the version, or of the last run, and not of today."""
    splits = [split for split in SPLIT_NAMES if len(rows.of_split(split))]
    digest = made["version"] or _digest(shards)
    name = options.version or "medical-images"
    described: Node = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": _description(rows, options, digest),
        "citeAs": f"{name}, SHA-256 {digest}, exported by dicomprep {VERSION}",
        "license": options.license,
        "datePublished": made["date"],
        "version": f"{made['number']}.0.0+sha256.{digest}",
        "distribution": [_file(shard) for shard in shards],
        "recordSet": [],
    }
    if splits:
        sets, records = (
            _archives(rows, shards, splits) if kind is Format.WEBDATASET else _tables(rows, kind, layout, splits)
        )
        described["distribution"] += sets
        described["recordSet"] = [_splits(splits), *_classes(made["classes"]), *records]
    return json.dumps(described, ensure_ascii=False, indent=1) + "\n"


def _description(rows: Rows, options: ExportOptions, digest: str) -> str:
    version = f" Version {options.version}, SHA-256 {digest}." if options.version is not None else ""
    return (
        f"{count_of(len(rows), 'medical image')}, made of DICOM files by dicomprep {VERSION} for training, not for"
        f" diagnosis.{version} Identifiers are keyed hashes; the pixels are patient data. Splits are by patient."
    )


def _digest(shards: Sequence[Shard]) -> str:
    """Of all shards, whatever their order."""
    return hashlib.sha256("".join(sorted(shard.sha256 for shard in shards)).encode()).hexdigest()


def _file(shard: Shard) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": shard.file,
        "name": shard.file,
        "contentUrl": shard.file,
        "contentSize": f"{shard.bytes} B",
        "encodingFormat": _ENCODINGS[shard.file.rpartition(".")[2]],
        "sha256": shard.sha256,
    }


def _file_set(name: str, encoding: str, includes: Sequence[str], contained_in: Iterable[str] = ()) -> Node:
    within = [{"@id": file} for file in contained_in]
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        **({"containedIn": within} if within else {}),
        "encodingFormat": encoding,
        "includes": list(includes),
    }


def _tables(rows: Rows, kind: Format, layout: Layout, splits: Sequence[str]) -> tuple[list[Node], list[Node]]:
    """One set of records from all tables; where the images are files beside them, with these."""
    patterns = [layout.shard_pattern(split) for split in splits]
    encoding = _ENCODINGS[layout.pattern.rpartition(".")[2]]
    sets = [_file_set("tables", encoding, list(dict.fromkeys(patterns)))]
    kinds = {name: kind_of(name) for name in rows.columns} | {"label": layout.label}
    fields = [_field("images", name, _TYPES[held], _column(name)) for name, held in kinds.items()]
    if kind is Format.HUGGINGFACE:
        image = _column("image") | {"transform": {"jsonPath": "bytes"}}
        fields.append(_field("images", "image", "sc:ImageObject", image))
    elif kind is Format.FOLDER:
        formats = rows.formats()
        patterns = [f"{split}/*{one.ending}" for split in splits for one in formats]
        sets.append(_file_set("files", _media_type(formats), patterns))
        fields = _with_files(fields, formats)
    return sets, [_records("images", fields)]


def _with_files(fields: Sequence[Node], formats: Sequence[ImageFormat]) -> list[Node]:
    """Fields of a table and of the images whose files it names; of arrays their names alone."""
    name = _field("images", "file_name", "sc:Text", _column("file_name") | _LAST_PART)
    if not _are_images(formats):
        return [name, *fields]
    content = {"fileSet": {"@id": "files"}, "extract": {"fileProperty": "content"}}
    file = {"fileSet": {"@id": "files"}, "extract": {"fileProperty": "filename"}}
    return [name | {"references": file}, *fields, _field("images", "image", "sc:ImageObject", content)]


_LAST_PART: Node = {"transform": {"regex": "^(?:.*/)?([^/]+)$"}}


def _media_type(formats: Sequence[ImageFormat]) -> str:
    return formats[0].media_type if len(formats) == 1 else "image/*"


def _are_images(formats: Sequence[ImageFormat]) -> bool:
    """Whether readers of Croissant can decode them: they know no arrays."""
    return ImageFormat.NPY not in formats


def _archives(rows: Rows, shards: Sequence[Shard], splits: Sequence[str]) -> tuple[list[Node], list[Node]]:
    """For each split a set of images, and one of what is said of them."""
    sets, records = [], []
    formats = rows.formats()
    images = ("image", [f"*{one.ending}" for one in formats], _media_type(formats), "sc:ImageObject")
    for split in splits:
        files = [shard.file for shard in shards if shard.split == split]
        for name, patterns, encoding, data_type in (images, *_MEMBERS):
            one = f"{split}_{name}"
            sets.append(_file_set(f"{one}_files", encoding, patterns, files))
            if name == "image" and not _are_images(formats):
                continue
            source = {"fileSet": {"@id": f"{one}_files"}}
            key = source | {"extract": {"fileProperty": "filename"}, "transform": {"regex": r"^([^.]+)\."}}
            content = source | {"extract": {"fileProperty": "content"}}
            fields = [_field(one, "key", "sc:Text", key), _field(one, name, data_type, content)]
            records.append(_records(one, fields))
    return sets, records


_MEMBERS = (
    ("metadata", ["*.json"], "application/json", "sc:Text"),
    ("label", ["*.cls"], "text/plain", "sc:Integer"),
)


def _column(name: str) -> Node:
    return {"fileSet": {"@id": "tables"}, "extract": {"column": name}}


def _field(records: str, name: str, data_type: str, source: Node) -> Node:
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{name}",
        "name": name,
        "dataType": data_type,
        "source": source,
    }


def _records(name: str, fields: Sequence[Node]) -> Node:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "key": {"@id": f"{name}/key"}, "field": list(fields)}


def _constants(name: str, data_type: str, fields: Node, rows: Sequence[Node]) -> Node:
    """A set of records that are in this file."""
    described = [
        {"@type": "cr:Field", "@id": f"{name}/{one}", "name": one, "dataType": of} for one, of in fields.items()
    ]
    data = [{f"{name}/{one}": value for one, value in row.items()} for row in rows]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "dataType": data_type,
        "key": {"@id": f"{name}/name"},
        "field": described,
        "data": data,
    }


def _splits(splits: Sequence[str]) -> Node:
    rows = [{"name": split, "url": _SPLIT_URLS[split]} for split in splits]
    return _constants("splits", "cr:Split", {"name": "sc:Text", "url": "sc:URL"}, rows)


def _classes(classes: Sequence[str]) -> list[Node]:
    """The classes with their numbers."""
    rows = [{"name": name, "number": number} for number, name in enumerate(classes)]
    return [_constants("classes", "sc:Enumeration", {"name": "sc:Text", "number": "sc:Integer"}, rows)] if rows else []
