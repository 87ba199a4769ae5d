"""Making an export, or updating one: `export_frames(kind, out, …)`."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from dicomprep.database.queries.frames import image_options, newest_run_day
from dicomprep.database.queries.versions import LostImage, find_version, lost_images
from dicomprep.database.writes.splits import recorded_seed
from dicomprep.exchange.card import describe_export
from dicomprep.exchange.croissant import CROISSANT, describe_croissant
from dicomprep.exchange.drawn_rows import write_drawings
from dicomprep.exchange.formats.registry import CELLS, LAYOUT, TABLES, Layout, layout_of
from dicomprep.exchange.manifest import Manifest, Shard, load_manifest
from dicomprep.exchange.opening import CARD, SCRATCH, alone, find_salt, plain, require_folder, require_same
from dicomprep.exchange.options import ExportOptions, Format
from dicomprep.exchange.pseudonyms import Pseudonyms
from dicomprep.exchange.rows import Part, Rows, read_rows
from dicomprep.exchange.shards import Plan, Planned, plan_shards
from dicomprep.storage.access import GROUP, OWNER, make_folder
from dicomprep.storage.sync import DRAFT, new_file, replace_file
from dicomprep.workspace import Workspace

__all__ = ["Exported", "export_frames"]


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export."""

    images: int
    """Images in the folder now."""
    added: int
    """New shards."""
    changed: int
    """Shards written again, because their labels or images have changed."""
    removed: int
    kept: int
    """Unchanged shards."""
    lost: tuple[LostImage, ...] = ()
    """Images of the version that cannot be given any more."""


def export_frames(
    kind: Format, out: Path, workspace: Workspace, *, options: ExportOptions, shared: bool = False
) -> Exported:
    """Export frames to a folder, which may hold an earlier export: only what is new or changed is written.

    A new folder is for its owner alone, or, with `shared`, for a group; one that is there stays as it is.

    Raises ConfigError where the options or the folder do not fit, ExportError where an image is missing or altered,
    EnvironmentFault where the disk or the database fails. What was finished before that stays, and is gone on with.
    """
    options.choice()
    require_folder(out)
    with workspace.reading() as connection:
        made = _made(connection, options.version)
        lost = () if options.version is None else tuple(lost_images(connection, options.version))
    pseudonyms = Pseudonyms(workspace.key, salt=find_salt(out) if options.fresh_pseudonyms else "")
    rows = _complete(read_rows(workspace, options, pseudonyms), kind)
    asked = {name: value for name, value in asdict(options).items() if name != "license"}
    asked["where"] = options.where or ""  # as manifests have always said it
    if asked.pop("fresh_pseudonyms"):  # manifests of exports without it do not name it
        asked["fresh_pseudonyms"] = pseudonyms.salt
    for name in ("kind", "version", "annotations"):  # nor these
        if not asked[name]:
            del asked[name]
    header = plain({"format": kind.value, "data_set": pseudonyms.check, "options": asked})
    header |= {"split_seed": made["split_seed"]} if made["split_seed"] is not None else {}
    access = GROUP if shared else OWNER
    with alone(out, access) as unfinished:
        manifest = _open_manifest(out, header, rows.selection.classes, access)
        made["classes"] = manifest.header["classes"]
        layout = layout_of(kind, manifest.header.get("layout", 1))
        if unfinished:
            layout.tidy(out, [out / shard.file for shard in manifest.shards])
        plan = plan_shards(rows, manifest.shards, folder=out, layout=layout, size=options.shard_size)
        manifest = _carry_out(plan, manifest, layout, rows)
        layout.index(rows, made["classes"], out, manifest.access)
        if options.annotations:
            write_drawings(rows, workspace, kind, out, classes=made["classes"], version=options.version, access=access)
        for name, describe in ((CROISSANT, describe_croissant), (CARD, describe_export)):
            text = describe(rows, kind, layout, options=options, made=made, shards=manifest.shards)
            replace_file(out / name, text.encode(), mode=0o666 & manifest.access)
    return Exported(len(rows), len(plan.added), len(plan.changed), len(plan.gone), len(plan.kept), lost)


def _complete(rows: Rows, kind: Format) -> Rows:
    """With the columns that only some formats need."""
    if kind in TABLES:
        rows = rows.with_file_names()
    return rows.with_negatives() if kind in CELLS else rows


def _made(connection: Connection, version: str | None) -> dict[str, Any]:
    """What shaped the images and the splits, and which version they are of: its digest, number and day."""
    made = {"split_seed": recorded_seed(connection)}
    if version is None:
        day = newest_run_day(connection)
        return made | {"images": image_options(connection), "version": "", "number": 0, "date": day}
    frozen = find_version(connection, version)
    shaped = {"images": frozen.options, "version": frozen.digest}
    return made | shaped | {"number": frozen.id, "date": frozen.created_at[:10]}


def _open_manifest(out: Path, header: dict[str, Any], classes: tuple[str, ...], access: int) -> Manifest:
    """The manifest to go on with; classes keep the numbers that they had."""
    known = load_manifest(out)
    if known is None:
        manifest = Manifest(out, {**header, "layout": LAYOUT, "classes": list(classes)}, access=access)
    else:
        before = known.header.get("classes", [])
        require_same(out, known.header, header)
        new = [name for name in classes if name not in before]
        layout = {name: value for name, value in known.header.items() if name == "layout"}
        manifest = replace(known, header={**header, **layout, "classes": [*before, *new]})
    manifest.write()
    return manifest


def _carry_out(plan: Plan, manifest: Manifest, layout: Layout, rows: Rows) -> Manifest:
    """Write what is to be written. A shard is in its place before the manifest says so."""
    stale = {shard.file for shard in plan.gone} | {planned.shard.file for planned in plan.changed}
    if stale:
        manifest = replace(manifest, shards=tuple(shard for shard in manifest.shards if shard.file not in stale))
    for shard in plan.gone:
        layout.remove(manifest.folder, manifest.folder / shard.file)
    for planned in plan.changed:
        written = _write(planned, manifest, layout, rows)
        manifest = replace(manifest, shards=(*manifest.shards, written))
    if stale:
        manifest = replace(manifest, shards=tuple(sorted(manifest.shards, key=lambda shard: shard.file)))
        manifest.write()
    for planned in plan.added:
        manifest = manifest.append(_write(planned, manifest, layout, rows))
    return manifest


def _write(planned: Planned, manifest: Manifest, layout: Layout, rows: Rows) -> Shard:
    place, draft = manifest.folder / planned.shard.file, manifest.folder / SCRATCH / f"shard{DRAFT}"
    part = Part(rows, planned.numbers, manifest.header["classes"], manifest.folder, place, manifest.access)
    make_folder(place.parent, manifest.access)
    with new_file(place, mode=0o666 & manifest.access, durable=True, draft=draft):
        layout.write(part, draft)
        with draft.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        size = draft.stat().st_size
    return replace(planned.shard, bytes=size, sha256=digest)
