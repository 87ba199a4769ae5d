"""Samples side by side, as a network takes them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError
from dicomprep.extras import load_extra
from dicomprep.training.drawings import Annotations
from dicomprep.training.records import Record, UnitRecord, image_of, name_of

__all__ = ["AnnotatedBatch", "Batch", "Sample", "collate", "make_batch", "require_one_kind"]

Sample = tuple[Any, ...]
"""(array or arrays, target, record), and with `annotations` what is drawn on the image."""


class Batch(NamedTuple):
    """Samples side by side, as a network takes them; images of different sizes padded with 0 at their lower right."""

    images: Any
    """(n, channels, rows, columns) float32 from 0 to 1; of bags (n, slices, channels, rows, columns)."""
    targets: Any
    """(n,) int64, or float32 where labels are mapped to such; (n, classes) float32 of a data set with `multi`."""
    records: tuple[Record | UnitRecord, ...]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each image, without padding, as the database has them."""
        return _shapes(self.records)

    @property
    def mask(self) -> Any:  # noqa: ANN401
        """(n, 1, rows, columns) bool, of bags (n, 1, 1, rows, columns): True where there is image, False in padding.

        A tensor of torch where `images` is one. Of images that a transform has scaled it says nothing.
        """
        return _mask(self.images, self.records)

    @property
    def annotations(self) -> tuple[Annotations, ...]:
        """None: those of a data set with `annotations` are in its batches, as a fourth element."""
        return ()


class AnnotatedBatch(NamedTuple):
    """A `Batch` of a data set with `annotations`."""

    images: Any
    targets: Any
    records: tuple[Record | UnitRecord, ...]
    annotations: tuple[Annotations, ...]
    """Of each image; padding moves none."""

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """As those of a `Batch`."""
        return _shapes(self.records)

    @property
    def mask(self) -> Any:  # noqa: ANN401
        """As that of a `Batch`."""
        return _mask(self.images, self.records)


def _shapes(records: Sequence[Record | UnitRecord]) -> tuple[tuple[int, int], ...]:
    return tuple((one.height, one.width) for one in map(image_of, records))


def _mask(images: Any, records: Sequence[Record | UnitRecord]) -> Any:  # noqa: ANN401
    shapes = np.array(_shapes(records)).reshape(-1, 2, *[1] * (images.ndim - 1))
    rows, columns = map(np.arange, images.shape[-2:])
    inside = (rows[:, None] < shapes[:, 0]) & (columns < shapes[:, 1])
    is_array = isinstance(images, np.ndarray)
    return inside if is_array else load_extra("torch", extra="torch", purpose="Batch.mask").from_numpy(inside)


def collate(samples: Sequence[Sample]) -> Batch | AnnotatedBatch:
    """A batch of torch tensors: `collate_fn` for a DataLoader over a Dataset.

    Images of different sizes are padded to the largest of the batch, as `Batch` says. What a transform gave may be
    tensors, (channels, rows, columns) or (rows, columns), or arrays of floats, whose channels are last: their values
    stay as they are.
    """
    torch = load_extra("torch", extra="torch", purpose="collate")
    batch = make_batch([(_as_array(sample[0]), *sample[1:]) for sample in samples])
    return batch._replace(images=torch.from_numpy(batch.images), targets=torch.from_numpy(batch.targets))


def _as_array(image: Any) -> NDArray[Any]:  # noqa: ANN401
    """An image with its channels last. ConfigError for what is neither an array nor a tensor."""
    if isinstance(image, np.ndarray):
        return image
    if not (hasattr(image, "detach") and hasattr(image, "ndim")):
        raise ConfigError(
            f"A transform gives {type(image).__name__}, and collate takes arrays and tensors: end it with "
            "torchvision.transforms.v2.ToImage() or numpy.asarray."
        )
    array: NDArray[Any] = image.detach().cpu().numpy()
    return array if array.ndim == 2 else np.moveaxis(array, -3, -1)


def make_batch(samples: Sequence[Sample]) -> Batch | AnnotatedBatch:
    """A batch of arrays; ConfigError where gray and color are mixed."""
    require_one_kind(samples)
    targets = [sample[1] for sample in samples]
    numbers = np.array(targets, np.int64 if all(isinstance(target, int) for target in targets) else np.float32)
    batch = Batch(_stack(samples), numbers, tuple(sample[2] for sample in samples))
    drawn = tuple(sample[3] for sample in samples if sample[3:])
    return AnnotatedBatch(*batch, drawn) if drawn else batch


def _stack(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """(n, channels, rows, columns) from 0 to 1, or (n, slices, channels, rows, columns), as large as the largest."""
    has_channels = samples[0][0].ndim == 3 + isinstance(samples[0][2], UnitRecord)
    arrays = [np.moveaxis(one, -1, -3) if has_channels else one[..., None, :, :] for one, *_ in samples]
    shape = np.max([array.shape for array in arrays], axis=0)
    is_padded = any(array.shape != tuple(shape) for array in arrays)
    stacked = (np.zeros if is_padded else np.empty)((len(samples), *shape), np.float32)
    for place, array in zip(stacked, arrays, strict=True):
        rows, columns = array.shape[-2:]
        whole = array.dtype.kind in "iu"  # floats have their scale already
        scale = np.float32(1 / np.iinfo(array.dtype).max if whole else 1)
        np.multiply(array, scale, out=place[..., :rows, :columns], casting="unsafe")
    return stacked


def require_one_kind(samples: Sequence[Sample]) -> None:
    """ConfigError where there are no samples, or gray ones beside colored ones."""
    if not samples:
        raise ConfigError("The batch is empty: give at least one index.")
    first = samples[0]
    for pixels, _, record, *_ in samples:
        if pixels.ndim != first[0].ndim:
            gray, color = (record, first[2]) if pixels.ndim < first[0].ndim else (first[2], record)
            message = f"{name_of(gray)} is grayscale and {name_of(color)} is color, and a batch holds only one kind"
            raise ConfigError(f"{message}: use Dataset(…, channels=3), or 1.")
