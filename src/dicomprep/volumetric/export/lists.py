"""What lists the volumes of an export: a table, and the files that MONAI, nnU-Net and Hugging Face's datasets read."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomprep.exchange.formats.csv import write_csv
from dicomprep.exchange.opening import CARD
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.storage.sync import new_file, replace_file
from dicomprep.volumetric.export.choose import ChosenSeries
from dicomprep.volumetric.export.progress import Finished
from dicomprep.volumetric.export.work import ENDINGS, WrittenVolume

__all__ = ["FOLDERS", "write_lists"]

FOLDERS = {"train": "imagesTr", "val": "imagesTr", "test": "imagesTs"}
"""Where the volumes of each split are; nnU-Net keeps train and val together."""

TABLE, REFUSED, METADATA = "volumes.csv", "refused.csv", "metadata.jsonl"

NO_CLASS = -1
"""In place of a class number, as in the other exports."""

_DECATHLON = {"train": "training", "val": "validation", "test": "test"}
_SAID = ("study_key", "patient_key", "group_key", "fold", "modality")
_UIDS = ("series_instance_uid", "study_instance_uid")


@dataclass(frozen=True, slots=True)
class _Listed:
    """A volume and the series that it is of."""

    volume: WrittenVolume
    series: ChosenSeries

    def case(self, kind: Format) -> str:
        """What nnU-Net calls it."""
        return self.volume.file.rpartition("/")[2].removesuffix(ENDINGS[kind])


def write_lists(finished: Finished, chosen: Sequence[ChosenSeries], kind: Format, options: ExportOptions) -> None:
    """Write all lists of an export, whatever of it is new. Raises OSError."""
    by_name = {series.name: series for series in chosen}
    listed = [
        _Listed(volume, by_name[name]) for name in sorted(finished.series) for volume in finished.series[name].volumes
    ]
    classes = finished.header["classes"]
    _write_tables(finished, listed, by_name, options)
    texts = {"datalist.json": _json(_datalist(listed, classes, kind, options))}
    if kind is Format.NIFTI:
        texts["dataset.json"] = _json(_nnunet(listed, finished.header["segments"], options))
        texts["splits_final.json"] = _json(_splits(listed))
        texts |= _metadata(listed, classes)
    texts[CARD] = _card(finished, listed, options)
    for name, text in texts.items():
        replace_file(finished.folder / name, text.encode(), mode=0o666 & finished.access)
    for folder in set(FOLDERS.values()):
        if f"{folder}/{METADATA}" not in texts:
            (finished.folder / folder / METADATA).unlink(missing_ok=True)


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _write_tables(
    finished: Finished, listed: Sequence[_Listed], by_name: Mapping[str, ChosenSeries], options: ExportOptions
) -> None:
    uids = _UIDS if options.with_uids else ()
    columns = ("file", "key", "part", "split", "label", "label_level", *_SAID)
    measures = ("slices", "rows", "columns", "slice_spacing_mm", "row_spacing_mm", "column_spacing_mm")
    rest = ("unit", "dtype", "notes", "bytes", "sha256", "label_map", "label_map_sha256")
    rows = (
        (
            *(one.volume.file, one.series.name, one.volume.part, one.series.split, one.series.label),
            *(one.series.label_level, *(one.series.said[name] for name in _SAID)),
            *(*one.volume.shape, *one.volume.spacing_mm, one.volume.unit, one.volume.dtype),
            *("; ".join(one.volume.notes), one.volume.bytes, one.volume.sha256),
            *(one.volume.label_map, one.volume.label_map_sha256),
            *(one.series.said[name] for name in uids),
        )
        for one in listed
    )
    _write_table(finished, TABLE, (*columns, *measures, *rest, *uids), rows)
    refused = (
        (
            name,
            part,
            by_name[name].split,
            by_name[name].said["modality"],
            reason,
            *(by_name[name].said[u] for u in uids),
        )
        for name in sorted(finished.series)
        for part, reason in finished.series[name].refused
    )
    _write_table(finished, REFUSED, ("key", "part", "split", "modality", "reason", *uids), refused)


def _write_table(finished: Finished, name: str, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    with new_file(finished.folder / name, mode=0o666 & finished.access) as draft:
        write_csv(Path(draft.name), columns, rows)


def _entry(one: _Listed, classes: Sequence[str]) -> dict[str, Any]:
    """What lists say of a volume beside its file."""
    label = one.series.label
    number = NO_CLASS if label is None else classes.index(label)
    said = {"label": number, "label_name": label or "", "label_level": one.series.label_level}
    said |= {"split": one.series.split, "key": one.series.name, "part": one.volume.part}
    return said | {"patient_key": one.series.said["patient_key"], "modality": one.series.said["modality"] or ""}


def _datalist(
    listed: Sequence[_Listed], classes: Sequence[str], kind: Format, options: ExportOptions
) -> dict[str, Any]:
    """As the Medical Segmentation Decathlon has it, and `monai.data.load_decathlon_datalist` reads it.

    MONAI takes a text for a path where there is one of this name, and the empty one for the folder: nothing is empty.
    """
    inner = "/0" if kind is Format.ZARR else ""
    lists: dict[str, list[dict[str, Any]]] = {"training": [], "validation": []}
    for one in listed:
        said = _entry(one, classes) | {"fold": one.series.said["fold"], "label_map": one.volume.label_map}
        del said["split"]
        known = {name: value for name, value in said.items() if value not in ("", None)}
        lists.setdefault(_DECATHLON[one.series.split], []).append({"image": f"{one.volume.file}{inner}"} | known)
    labels = {str(number): name for number, name in enumerate(classes)}
    counts = {"numTraining": len(lists["training"]), "numTest": len(lists.get("test", ()))}
    return {"licence": options.license, "labels": labels, **counts, **lists}


def _nnunet(listed: Sequence[_Listed], segments: Sequence[str], options: ExportOptions) -> dict[str, Any]:
    """`dataset.json` of nnU-Net 2, of the volumes with a label map; labels of series are no label maps.

    Without any, of all volumes: for label maps that somebody puts there.
    """
    cases = _cases(listed)
    about = {
        "channel_names": {"0": _channel(listed)},
        "labels": {"background": 0} | {name: number for number, name in enumerate(segments, start=1)},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIO",
        "licence": options.license,
    }
    if not any(one.volume.label_map for one in cases.values()):
        about["labels"] = {"background": 0}
        return about | {"description": "Images only: put label maps CASE.nii.gz into labelsTr, and name their classes."}
    return about | {
        "dataset": {case: {"images": [one.volume.file], "label": one.volume.label_map} for case, one in cases.items()}
    }


def _cases(listed: Sequence[_Listed]) -> dict[str, _Listed]:
    """What nnU-Net trains on: what has a label map, or all where nothing has."""
    known = [one for one in listed if one.series.split != "test"]
    drawn = [one for one in known if one.volume.label_map]
    return {one.case(Format.NIFTI): one for one in drawn or known}


def _channel(listed: Sequence[_Listed]) -> str:
    """By which nnU-Net normalizes: CT is for Hounsfield units, anything else means by z-score."""
    if listed and all(one.volume.unit == "HU" for one in listed):
        return "CT"
    modalities = {one.series.said["modality"] for one in listed}
    return f"{modalities.pop()}" if len(modalities) == 1 and modalities != {"CT"} else "image"


def _splits(listed: Sequence[_Listed]) -> list[dict[str, list[str]]]:
    """`splits_final.json` of nnU-Net: a split for each fold of the data set, else one of train and val."""
    cases = [(case, one.series) for case, one in _cases(listed).items()]
    folds = sorted({series.said["fold"] for _, series in cases} - {None})
    held_out = [[case for case, series in cases if series.said["fold"] == fold] for fold in folds]
    held_out = held_out or [[case for case, series in cases if series.split == "val"]]
    return [{"train": [case for case, _ in cases if case not in set(val)], "val": val} for val in held_out]


def _metadata(listed: Sequence[_Listed], classes: Sequence[str]) -> dict[str, str]:
    """For each folder what `load_dataset("niftifolder")` reads, with the same columns of the same types."""
    texts = defaultdict[str, list[str]](list)
    for one in listed:
        folder, _, name = one.volume.file.rpartition("/")
        said = {"file_name": name} | _entry(one, classes) | {"unit": one.volume.unit or ""}
        texts[f"{folder}/{METADATA}"].append(json.dumps(said, ensure_ascii=False) + "\n")
    return {name: "".join(lines) for name, lines in texts.items()}


def _card(finished: Finished, listed: Sequence[_Listed], options: ExportOptions) -> str:
    counts = Counter(one.series.split for one in listed)
    units = Counter(one.volume.unit or "no unit" for one in listed)
    refused = sum(len(series.refused) for series in finished.series.values())
    splits = "".join(f"| {split} | {counts[split]:,} |\n" for split in _DECATHLON)
    said = ", ".join(f"{count:,} in {unit}" for unit, count in sorted(units.items())) or "none"
    lists = "`datalist.json` (MONAI)"
    if finished.header["format"] == Format.NIFTI:
        lists += ", `dataset.json` and `splits_final.json` (nnU-Net), `metadata.jsonl` (Hugging Face)"
    head = f"---\nlicense: {json.dumps(options.license)}\n---\n# Volumes\n\n"
    made = "Made by dicomprep, de-identified: names are keyed hashes. The pixels are still patient data.\n\n"
    table = f"| split | volumes |\n|---|---|\n{splits}\nValues: {said}.\n\n"
    left_out = f"`{REFUSED}` has the {refused:,} series and parts that are no volume, and why"
    return f"{head}{made}{table}`{TABLE}` describes each volume, {left_out}. {lists} list them.\n"
