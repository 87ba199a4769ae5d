"""Numbered steps from one version of the schema to the next, each in one transaction; a new database takes all in one.

A step is never changed once it has been released: a later one repairs it. `m0001` is the first. So a step imports
nothing of this program but earlier steps: what it needs of other modules, which go on to change, it has as a copy.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from dicomprep.database.migrations import (
    m0001_initial,
    m0002_tags,
    m0003_twins,
    m0004_labeling,
    m0005_orientation,
    m0006_commands,
    m0007_patients,
    m0008_pictures,
    m0009_image_positions,
    m0010_absent,
    m0011_folded_names,
    m0012_lossy,
    m0013_copies,
    m0014_numbers,
    m0015_version_tags,
    m0016_counts,
    m0017_kinds,
    m0018_partial_indexes,
    m0019_sources,
    m0020_versions,
    m0021_references,
    m0022_tombstones,
    m0023_splits,
    m0024_units,
    m0025_series_tags,
    m0026_series,
    m0027_slices,
    m0028_annotations,
    m0029_unsure,
    m0030_classes,
    m0031_class_numbers,
    m0032_margins,
)

__all__ = ["MIGRATIONS", "SCHEMA_VERSION"]

MIGRATIONS: Sequence[Callable[[Connection], None]] = (
    m0001_initial.upgrade,
    m0002_tags.upgrade,
    m0003_twins.upgrade,
    m0004_labeling.upgrade,
    m0005_orientation.upgrade,
    m0006_commands.upgrade,
    m0007_patients.upgrade,
    m0008_pictures.upgrade,
    m0009_image_positions.upgrade,
    m0010_absent.upgrade,
    m0011_folded_names.upgrade,
    m0012_lossy.upgrade,
    m0013_copies.upgrade,
    m0014_numbers.upgrade,
    m0015_version_tags.upgrade,
    m0016_counts.upgrade,
    m0017_kinds.upgrade,
    m0018_partial_indexes.upgrade,
    m0019_sources.upgrade,
    m0020_versions.upgrade,
    m0021_references.upgrade,
    m0022_tombstones.upgrade,
    m0023_splits.upgrade,
    m0024_units.upgrade,
    m0025_series_tags.upgrade,
    m0026_series.upgrade,
    m0027_slices.upgrade,
    m0028_annotations.upgrade,
    m0029_unsure.upgrade,
    m0030_classes.upgrade,
    m0031_class_numbers.upgrade,
    m0032_margins.upgrade,
)
SCHEMA_VERSION = len(MIGRATIONS)
