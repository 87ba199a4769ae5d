"""The tables as the newest migration leaves them, for queries. `migrations/` makes them; a test holds both equal."""

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

__all__ = ["files", "frames", "groups", "images", "inputs", "labels", "meta", "predictions", "runs"]

metadata = MetaData()
views = MetaData()

_Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only for INTEGER


def _index(name: str, column: str, condition: str) -> Index:
    """Of those rows alone that fulfil a condition."""
    return Index(name, column, sqlite_where=text(condition), postgresql_where=text(condition))


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True),
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
)

groups = Table(
    "groups",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("split", String(8), nullable=False),
    Column("run_id", _Id),
    Column("joined_id", _Id),
    Index("groups_by_joined", "joined_id"),
)

files = Table(
    "files",
    metadata,
    Column("id", _Id, primary_key=True),
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
    Column("run_id", _Id, ForeignKey("runs.id"), nullable=False),
    Column("group_id", _Id, ForeignKey("groups.id")),
    Column("transfer_syntax", String(64)),
    Column("sop_class_uid", String(64)),
    Column("sop_instance_uid", String(64)),
    Column("study_instance_uid", String(64)),
    Column("series_instance_uid", String(64)),
    Column("instance_number", BigInteger),
    Column("modality", String(16)),
    Column("pixel_key", LargeBinary(16)),
    Column("instance_key", BigInteger),
    Column("duplicate_of", _Id),
    Index("files_by_path", "root", "path", unique=True),
    Index("files_by_name", "name", unique=True),
    Index("files_by_frame_stem", "frame_stem"),
    Index("files_by_digest", "digest"),
    Index("files_by_status", "status", "error_code"),
    _index("files_by_pixels", "pixel_key", "pixel_key IS NOT NULL AND duplicate_of IS NULL"),
    _index("files_by_instance", "instance_key", "instance_key IS NOT NULL AND duplicate_of IS NULL"),
    _index("files_by_original", "duplicate_of", "duplicate_of IS NOT NULL"),
)

frames = Table(
    "frames",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("file_id", _Id, ForeignKey("files.id"), nullable=False),
    Column("frame_number", Integer, nullable=False),
    Column("filename", Text, nullable=False),
    Column("thumbnail_path", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("transform", Text, nullable=False),
    Column("likeness", BigInteger),
    Index("frames_by_filename", "filename", unique=True),
    Index("frames_by_file", "file_id", "frame_number", unique=True),
)

labels = Table(
    "labels",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("frame_id", _Id, nullable=False),
    Column("label", Text),
    Column("annotator", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("labels_by_frame", "frame_id", "id"),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("frame_id", _Id, nullable=False),
    Column("model", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("created_at", String(32), nullable=False),
    Index("predictions_by_frame", "frame_id", "model", "label", unique=True),
)

images = Table(
    "images",
    views,
    Column("id", _Id),
    Column("filename", Text),
    Column("study_id", Text),
    Column("thumbnail_path", Text),
    Column("frame_number", Integer),
    Column("split", String(8)),
    Column("modality", String(16)),
    Column("patient_key", String(32)),
    Column("label", Text),
    Column("width", Integer),
    Column("height", Integer),
)

inputs = Table(
    "inputs",
    views,
    Column("path", Text),
    Column("status", String(16)),
    Column("error_code", String(32)),
    Column("error_detail", Text),
    Column("frames", Integer),
    Column("attempts", Integer),
    Column("run_id", _Id),
)
