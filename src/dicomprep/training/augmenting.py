"""Transforms of torchvision and timm, which take images of their own kinds and leave arrays as they are in silence."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dicomprep.errors import ConfigError
from dicomprep.extras import load_extra

__all__ = ["taking_arrays"]

Transform = Callable[[Any], Any]
_TAKE_ARRAYS = ("Lambda", "ToImage", "ToTensor", "PILToTensor", "ToPILImage", "MaybeToTensor", "MaybePILToTensor")
"""Those that do something with an array; `Lambda` may do anything."""


def taking_arrays(transform: Transform) -> Transform:
    """The transform, behind one that makes of an array what it takes, where it is of torchvision or timm.

    Without that, a random flip of torchvision v2 returns the array as it was.
    """
    first = _first(transform)
    module = type(first).__module__
    if type(first).__name__ in _TAKE_ARRAYS or not module.startswith(("torchvision.transforms", "timm.")):
        return transform
    is_v2 = module.startswith("torchvision.transforms.v2")
    return _Behind(_as_tensor if is_v2 else _as_pillow, transform)


class _Behind:
    """One after the other; it can be pickled if they can."""

    def __init__(self, first: Transform, then: Transform) -> None:
        self._first, self._then = first, then

    def __call__(self, array: Any) -> Any:  # noqa: ANN401
        return self._then(self._first(array))


def _first(transform: Any) -> Any:  # noqa: ANN401
    """The first of what others are composed of."""
    while isinstance(several := getattr(transform, "transforms", None), list) and several:
        transform = several[0]
    return transform


def _as_tensor(array: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401
    """Of 16 bits as floats from 0 to 1: torch flips and crops no uint16."""
    functional = load_extra("torchvision.transforms.v2.functional", extra="torch", purpose="a transform")
    is_deep = array.dtype == np.uint16
    return functional.to_image(array.astype(np.float32) / np.float32(65535) if is_deep else array)


def _as_pillow(array: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401
    if array.dtype != np.uint8:
        raise ConfigError(
            "transform: it takes images of Pillow, of 8 bits: use torchvision.transforms.v2, or --depth 8."
        )
    return load_extra("PIL.Image", extra="torch", purpose="a transform").fromarray(array)
