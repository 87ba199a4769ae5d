"""The docstring of every public function names the shape of each array that it takes and returns."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from numpy.typing import ArrayLike

PACKAGES = ("dicomprep.pixels",)
"""Rooms whose public functions (those in `__all__`) are held to it."""

SHAPE = r"(?:\([\w \[\]×/…]+,[\w ,\[\]×/…]*\)|same shape|any shape)"
"""Such as (rows, columns), (rows, columns[, 3]) and (n, 2)."""

WITHIN = r"(?:[^.]|\.(?=\S))*"
"""Up to the end of the sentence."""


def modules_of(package: str) -> Iterator[Any]:
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(getattr(root, "__path__", ()), f"{package}."):
        yield importlib.import_module(found.name)


def public_functions() -> Iterator[Any]:
    for package in PACKAGES:
        for module in modules_of(package):
            for name in getattr(module, "__all__", ()):
                function = inspect.unwrap(getattr(module, name))
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    yield pytest.param(function, id=f"{module.__name__.removeprefix('dicomprep.')}.{name}")


def holds_array(hint: Any) -> bool:
    """Whether values of a type are arrays, or hold some."""
    if hint is np.ndarray or get_origin(hint) is np.ndarray or hint == ArrayLike:
        return True
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return any(holds_array(part) for part in get_type_hints(hint).values())
    parts = hint if isinstance(hint, list) else get_args(hint)
    return any(map(holds_array, parts))


def unnamed_shapes(function: Callable[..., Any]) -> list[str]:
    """Parameters (and `return`) that are arrays, and of which the docstring names no shape."""
    text = " ".join((inspect.getdoc(function) or "").split())
    arrays = [name for name, hint in get_type_hints(function).items() if holds_array(hint)]
    told = {
        name: rf"[Rr]eturns?\b{WITHIN}{SHAPE}" if name == "return" else rf"`{name}`{WITHIN}{SHAPE}" for name in arrays
    }
    return [name for name, pattern in told.items() if not re.search(pattern, text)]


@pytest.mark.parametrize("function", list(public_functions()))
def test_a_public_function_names_the_shape_of_each_array(function: Callable[..., Any]) -> None:
    assert inspect.getdoc(function), "it has no docstring"
    assert unnamed_shapes(function) == []


def test_a_shape_that_is_not_named_is_noticed() -> None:
    def blur(pixels: np.ndarray[Any, Any], radius: int) -> np.ndarray[Any, Any]:
        """Blur `pixels` (rows, columns) by `radius`."""
        return pixels[:radius]

    assert unnamed_shapes(blur) == ["return"]
    blur.__doc__ = "Blur `pixels` by `radius` (see PS3.3). Returns (rows, columns[, 3]) uint8."
    assert unnamed_shapes(blur) == ["pixels"]
    blur.__doc__ = "Blur `pixels`, (rows, columns) uint8. Returns the same shape and dtype."
    assert unnamed_shapes(blur) == []
