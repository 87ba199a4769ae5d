"""Frames as a table of pandas, and as the loaders of fastai."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import numpy as np

from dicomprep.config import DEFAULT_DB
from dicomprep.database.queries.frames import COLUMNS, Choice, select_frames
from dicomprep.errors import ConfigError
from dicomprep.extras import load_extra
from dicomprep.pixels.encoding import ImageFormat, format_of
from dicomprep.training.reading import read_thumbnail
from dicomprep.training.targets import as_number
from dicomprep.workspace import Database, Workspace

__all__ = ["frames", "to_fastai"]

HIDDEN = ("root", "path", "size", "digest", "transform")  # what loaders do not need


def frames(
    db: Database = DEFAULT_DB,
    *,
    split: str | Sequence[str] = (),
    where: str | None = None,
    kind: str | Sequence[str] = (),
    series: str | Sequence[str] = (),
) -> Any:  # noqa: ANN401
    """A pandas DataFrame, one row a frame: the columns of the view `images`, UIDs, and `image`, where the file lies.

    `split`, `where`, `kind` and `series` choose frames as for `Dataset`. Raises ConfigError where pandas is missing or
    they are wrong.
    """
    pandas = load_extra("pandas", extra="pandas", purpose="dicomprep.frames")
    names = [name for name in COLUMNS if name not in HIDDEN]
    splits, kinds = ((one,) if isinstance(one, str) else tuple(one) for one in (split, kind))
    choice = Choice(split=splits, kind=kinds, where=where, series=series)
    workspace = Workspace.of(db)
    if series:
        workspace.refresh_series()
    with workspace.reading() as connection:
        table = pandas.DataFrame.from_records(
            list(chain.from_iterable(select_frames(connection, names, choice))), columns=names
        )
    table["image"] = [workspace.images.where(path) for path in table["thumbnail_path"]]
    return table


class FastaiOptions(TypedDict, total=False):
    """What fastai's `ImageDataLoaders.from_df` takes beyond the table; transforms and blocks are objects of fastai."""

    bs: int
    """Images of a batch."""
    val_bs: int
    """The same for the validation split."""
    shuffle: bool
    item_tfms: Any
    batch_tfms: Any
    y_block: Any
    label_delim: str
    """What divides the labels of an image that has several: a comma."""
    img_cls: Any
    device: Any
    num_workers: int
    pin_memory: bool
    drop_last: bool


def _with_numbers(table: Any) -> Any:  # noqa: ANN401
    """The rows whose label is a number, with it."""
    table["label"] = [as_number(label) for label in table["label"]]
    return table.dropna(subset="label").astype({"label": "float32"})


_PURPOSE = "dicomprep.to_fastai"


def to_fastai(
    db: Database = DEFAULT_DB,
    *,
    where: str | None = None,
    labels: Literal["number"] | None = None,
    **options: Unpack[FastaiOptions],
) -> Any:  # noqa: ANN401
    """ImageDataLoaders of fastai over the labeled frames of train and val; `options` go there (bs, item_tfms …).

    `where` is a condition as for `Dataset`. With `labels="number"` labels are numbers to predict (regression); frames
    labeled otherwise are left out. The test split is left out. Raises ConfigError where fastai is missing, no
    frame of train or of val has a label, thumbnails have 16 bits, which fastai would cut to 8, are arrays, or have
    several sizes without `item_tfms`.
    """
    vision = load_extra("fastai.vision.data", extra="fastai", purpose=_PURPOSE)
    labeled = "label IS NOT NULL" if where is None else f"label IS NOT NULL AND ({where})"
    workspace = Workspace.of(db)
    if workspace.output.is_remote:
        raise ConfigError(f"{workspace}: fastai reads files, and its images lie in {workspace.output}: use Dataset.")
    table = frames(workspace, split=("train", "val"), where=labeled)
    if labels == "number":
        table = _with_numbers(table)
        options.setdefault("y_block", load_extra("fastai.vision.all", extra="fastai", purpose=_PURPOSE).RegressionBlock)
    table["is_valid"] = table["split"] == "val"
    if table["is_valid"].nunique() < 2:
        raise ConfigError(f"{workspace}: fastai needs labeled frames in train and in val.")
    if format_of(table["thumbnail_path"].iloc[0]) is ImageFormat.NPY:
        raise ConfigError(f"{workspace}: its images are arrays, which fastai does not read; use --format png.")
    first = read_thumbnail(workspace.images, table["thumbnail_path"].iloc[0])
    if first.dtype != np.uint8:
        raise ConfigError(f"{workspace}: its images are 16-bit, and fastai reads 8-bit ones; use --depth 8.")
    if len(table[["height", "width"]].drop_duplicates()) > 1 and options.get("item_tfms") is None:
        raise ConfigError(
            f"{workspace}: its images have several sizes; give item_tfms=Resize(224) of fastai.vision.all."
        )
    columns = {"fn_col": "thumbnail_path", "label_col": "label", "valid_col": "is_valid"}
    loaders = vision.ImageDataLoaders.from_df(table, path=workspace.output.path, **columns, **options)
    loaders.path = Path()  # where learners keep what they save: not among the images
    return loaders
