"""Values as networks were trained with: minus a mean, over a standard deviation, of each channel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomprep.errors import ConfigError

__all__ = ["MEASURED_IMAGES", "Normalization", "Normalize", "measure", "read_normalize"]

Normalize = str | tuple[float | Sequence[float], float | Sequence[float]] | None

MEASURED_IMAGES = 1000
"""Images of the train split from which mean and deviation are taken."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """Mean and standard deviation of values from 0 to 1: one for all channels, or one for each."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: Any) -> Any:  # noqa: ANN401
        """Normalize an array (rows, columns[, channels]) or a tensor ([channels, ]rows, columns), as float32."""
        if isinstance(image, np.ndarray):
            return (_from_0_to_1(image) - self._shaped(self.mean, image)) / self._shaped(self.std, image)
        array = np.moveaxis(image.numpy(), 0, -1) if image.ndim == 3 else image.numpy()
        done = self(array)
        return image.new_tensor(np.moveaxis(done, -1, 0) if image.ndim == 3 else done, dtype=_float32_of(image))

    def _shaped(self, values: tuple[float, ...], image: NDArray[Any]) -> NDArray[np.float32]:
        """The values for these channels; gray images take the mean of those of three."""
        channels = image.shape[-1] if image.ndim == 3 else 1
        given = np.array(values, np.float32)
        if channels == 1:
            return given.mean(keepdims=True)
        if len(given) not in (1, channels):
            raise ConfigError(f"normalize has {len(given)} values, and the images have {channels} channels.")
        return given


_IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def read_normalize(normalize: Normalize) -> Normalization | None:
    """What `normalize` says; None where it says nothing. ConfigError for anything else."""
    if normalize is None:
        return None
    if normalize == "imagenet":
        return _IMAGENET
    try:
        mean, std = (tuple(np.atleast_1d(np.array(one, float)).tolist()) for one in normalize)
    except (TypeError, ValueError):
        mean, std = (), ()
    if not mean or len(mean) != len(std) or not np.isfinite([*mean, *std]).all() or min(std) <= 0:
        raise ConfigError(
            f'normalize={normalize!r}: choose "imagenet", "dataset" or (mean, std), of values from 0 to 1; std > 0.'
        )
    return Normalization(mean, std)


def measure(images: Iterable[NDArray[Any]]) -> Normalization:
    """Measure the mean and deviation of all values, the same for all channels.

    `images` are (rows, columns[, 3]) uint8 or uint16 each. Raises ConfigError where there is none.
    """
    count, total, squares = 0, 0.0, 0.0
    for image in images:
        values = _from_0_to_1(image)
        count += values.size
        total += float(values.sum(dtype=np.float64))
        squares += float(np.square(values).sum(dtype=np.float64))
    if count == 0:
        raise ConfigError('normalize="dataset": there is no image in train to take mean and deviation from.')
    mean = total / count
    return Normalization((mean,), (max(float(np.sqrt(max(squares / count - mean**2, 0))), 1e-6),))


def _from_0_to_1(image: NDArray[Any]) -> NDArray[np.float32]:
    scale = np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1
    return np.asarray(image, np.float32) / np.float32(scale)


def _float32_of(tensor: Any) -> Any:  # noqa: ANN401
    return tensor.float().dtype
