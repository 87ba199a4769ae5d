"""The tables as the newest migration leaves them, for queries. `migrations/` makes them; a test holds both equal."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from dicomprep.privacy.allow_list import Tags

__all__ = [
    "Id",
    "aliases",
    "all_images",
    "files",
    "frames",
    "groups",
    "images",
    "inputs",
    "labels",
    "links",
    "meta",
    "metadata",
    "predictions",
    "releases",
    "runs",
    "tags",
    "tombstones",
    "views",
]

metadata = MetaData()
views = MetaData()

Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only for INTEGER


def _index(name: str, columns: Sequence[str], condition: str) -> Index:
    """Of those rows alone that fulfil a condition."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


def _shown(table: Table, *names: str) -> list[Column[Any]]:
    """Columns of a view that show those of a table."""
    return [Column(name, table.c[name].type) for name in names]


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("started_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    Column("version", String(32), nullable=False),
    Column("root", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("interrupted", Integer, nullable=False),
    Column("found", Integer, nullable=False),
    Column("processed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("other_files", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("changed_side", Integer, nullable=False, server_default=text("0")),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("split", String(8), nullable=False),
    Column("run_id", Id),
    Column("joined_id", Id),
    Column("drawn_split", String(8)),
    Column("split_reason", String(8)),
    Column("draw", BigInteger),
    Column("bare_draw", BigInteger),
    Column("fold", Integer),
    Index("groups_by_joined", "joined_id"),
    _index("groups_unsettled", ("id",), "split_reason = 'new'"),
)
"""`split_reason` is empty for what was drawn; draws are hidden under the key of the data set."""

aliases = Table(
    "aliases",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("group_id", Id, primary_key=True),
    Index("aliases_by_group", "group_id"),
)
"""By what else groups are known, as keyed hashes: their studies, their Patient ID without its issuer, another key."""

links = Table(
    "links",
    metadata,
    Column("group_id", Id, primary_key=True),
    Column("other_id", Id, primary_key=True),
    Column("reason", String(8), primary_key=True),
    Index("links_by_other", "other_id"),
)
"""Pairs of groups that are one patient by their images: found by a run (`image`), or by `audit --join` (`audit`)."""

files = Table(
    "files",
    metadata,
    Column("id", Id, primary_key=True),
    Column("root", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("study_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("frame_stem", Text),
    Column("status", String(16), nullable=False),
    Column("error_code", String(32)),
    Column("error_detail", Text),
    Column("frame_count", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    Column("group_id", Id, ForeignKey("groups.id")),
    *(Column(name, String(64)) for name in ("transfer_syntax", "sop_class_uid", "sop_instance_uid")),
    *(Column(name, String(64)) for name in ("study_instance_uid", "series_instance_uid")),
    Column("instance_number", BigInteger),
    Column("modality", String(16)),
    *(Column(name, String(32)) for name in ("study_key", "series_key")),
    Column("body_part", Text),
    Column("laterality", String(1)),
    Column("view_position", String(16)),
    Column("patient_position", String(8)),
    Column("image_type", Text),
    Column("photometric_interpretation", String(16)),
    Column("manufacturer", Text),
    Column("manufacturer_model", Text),
    *(Column(name, Float) for name in ("kvp", "tube_current_ma", "exposure_time_ms", "exposure_mas")),
    *(Column(name, Float) for name in ("magnetic_field_t", "repetition_time_ms", "echo_time_ms")),
    Column("rows", Integer),
    Column("columns", Integer),
    *(Column(name, Float) for name in ("row_spacing_mm", "column_spacing_mm", "slice_thickness_mm")),
    Column("series_number", BigInteger),
    Column("acquisition_number", BigInteger),
    Column("patient_sex", String(1)),
    *(Column(name, Integer) for name in ("patient_age", "study_year", "recognisable_face")),
    Column("extra_tags", Text),
    Column("pixel_key", LargeBinary(16)),
    Column("instance_key", BigInteger),
    Column("duplicate_of", Id),
    Column("ctime_ns", BigInteger),
    Column("absent_since", Id),
    Column("folded_name", Text),
    Column("group_folder", Text),
    Column("is_lossy", Integer),
    Column("version_tag", Text),
    Column("kind", String(16)),
    *(Column(name, Text) for name in ("kind_reason", "view_modifiers")),
    Column("presentation_intent", String(16)),
    Column("description_terms", Text),
    Column("header_due", Integer),
    Column("frame_of_reference_key", BigInteger),
    *(Column(name, String(32)) for name in ("accession_key", "study_number_key")),
    *(
        Column(f"{name}{ending}", type_)
        for name in ("plane", "kernel", "contrast", "weighting")
        for ending, type_ in (("", String(16)), ("_reason", Text))
    ),
    Column("inversion_time_ms", Float),
    Column("b_values", Text),
    *(Column(name, Float) for name in ("trigger_time_ms", "cardiac_phase_percent")),
    Index("files_by_path", "root", "path", unique=True),
    Index("files_by_folded_name", "folded_name"),
    Index("files_by_digest", "digest"),
    _index("files_by_frame_stem", ("frame_stem",), "frame_stem IS NOT NULL"),
    _index("files_by_failure", ("error_code",), "status NOT IN ('done', 'skipped')"),
    *(Index(f"files_by_{name}", f"{name}_uid") for name in ("sop_instance", "series_instance")),
    Index("files_by_frame_of_reference", "frame_of_reference_key"),
    _index("files_by_pixels", ("pixel_key",), "pixel_key IS NOT NULL AND duplicate_of IS NULL"),
    _index("files_by_instance", ("instance_key",), "instance_key IS NOT NULL AND duplicate_of IS NULL"),
    _index("files_by_absence", ("root", "id"), "absent_since IS NOT NULL"),
    Index("files_by_series", "series_key"),
    _index("files_by_header", ("root", "path"), "header_due IS NOT NULL"),
    _index("files_by_original", ("duplicate_of", "group_id"), "duplicate_of IS NOT NULL"),
)

frames = Table(
    "frames",
    metadata,
    Column("id", Id, primary_key=True),
    Column("file_id", Id, ForeignKey("files.id"), nullable=False),
    Column("frame_number", Integer, nullable=False),
    Column("filename", Text, nullable=False),
    Column("thumbnail_path", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("transform", Text, nullable=False),
    Column("slice_position_mm", Float),
    Column("stack_position", Integer),
    Column("temporal_position", Integer),
    Column("burned_in", String(8)),
    Column("burned_in_reasons", Text),
    Column("likeness", BigInteger),
    Column("image_orientation", Text),
    Column("source_digest", LargeBinary(16)),
    Column("stream_digest", LargeBinary(16)),
    Column("since_run", Id),
    Column("image_position", Text),
    Index("frames_by_filename", "filename", unique=True),
    Index("frames_by_file", "file_id", "frame_number", unique=True),
    Index("frames_by_picture", "source_digest"),
    _index("frames_by_stream", ("stream_digest",), "stream_digest IS NOT NULL"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("owner", String(32), primary_key=True),
)
"""Keyed hashes of what was forgotten: of a patient's keys, of the contents of files. `owner` is whom they were of."""

releases = Table(
    "releases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("frame_id", Id, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("released", Integer, nullable=False),
    Column("person", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("releases_by_frame", "frame_id", "id"),
)

labels = Table(
    "labels",
    metadata,
    Column("id", Id, primary_key=True),
    Column("frame_id", Id, nullable=False),
    Column("label", Text),
    Column("annotator", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("undoes", Id),
    Column("adjudicated", Integer, nullable=False, server_default=text("0")),
    Column("unsure", Integer, nullable=False, server_default=text("0")),
    Column("note", Text),
    Index("labels_by_frame", "frame_id", "id"),
    Index("labels_by_annotator", "annotator", "id"),
    Index("labels_by_undone", "undoes"),
    _index("labels_unsure", ("frame_id",), "unsure = 1"),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("frame_id", Id, nullable=False),
    Column("model", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("predictions_by_frame", "frame_id", "model", "label", unique=True),
)


def _image_view(name: str) -> Table:
    """A view of images: of some kinds, or of all."""
    return Table(
        name,
        views,
        *(Column("id", Id), *_shown(frames, "filename"), *_shown(files, "study_id")),
        *(*_shown(frames, "thumbnail_path", "frame_number"), Column("split", String(8)), *_shown(files, "modality")),
        *(Column("patient_key", String(32)), Column("label", Text), *_shown(frames, "width", "height")),
        *(*_shown(files, "kind"), Column("group_key", String(32)), *_shown(groups, "fold")),
        Column("unsure", Integer),
    )


images, all_images, *_ = map(_image_view, ("images", "all_images", "masks", "dose_grids", "maps"))

inputs = Table(
    "inputs",
    views,
    Column("path", Text),
    Column("status", String(16)),
    Column("error_code", String(32)),
    Column("error_detail", Text),
    Column("frames", Integer),
    Column("attempts", Integer),
    Column("run_id", Id),
)

tags = Table(
    "tags",
    views,
    Column("id", Id),
    Column("patient_key", String(32)),
    Column("split", String(8)),
    *_shown(files, "study_key", "series_key", "instance_number"),
    *_shown(frames, "frame_number", "slice_position_mm", "image_orientation", "stack_position", "temporal_position"),
    *_shown(files, "modality", *Tags._fields, "extra_tags"),
    *_shown(frames, "burned_in", "burned_in_reasons"),
    Column("released", Integer),
)
