"""The docstring of every public function names the shape of each array that it takes and returns."""

import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from numpy.typing import ArrayLike

from dicomprep.workspace import Workspace

PACKAGES = ("dicomprep.pixels", "dicomprep.pipeline.stages", "dicomprep.training", "dicomprep.api")
"""Rooms whose public functions (those in `__all__`) are held to it."""

FORWARD = {"os": os, "Workspace": Workspace}
"""What annotations name as text."""

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
                public = inspect.unwrap(getattr(module, name))
                if getattr(public, "__module__", "") != module.__name__:
                    continue
                place = f"{module.__name__.removeprefix('dicomprep.')}.{name}"
                if inspect.isfunction(public):
                    yield pytest.param(public, id=place)
                elif inspect.isclass(public):
                    yield from (pytest.param(method, id=f"{place}.{own}") for own, method in public_methods(public))


def public_methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Those that a class itself defines, and its properties."""
    for name, value in vars(kind).items():
        method = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(method):
            yield name, method


def holds_array(hint: Any, *, within: tuple[Any, ...] = ()) -> bool:
    """Whether values of a type are arrays, or hold some in fields that are public."""
    if hint is np.ndarray or get_origin(hint) is np.ndarray or hint == ArrayLike:
        return True
    if hint in within:
        return False
    parts = hint if isinstance(hint, list) else get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        parts = [part for name, part in get_type_hints(hint).items() if not name.startswith("_")]
    return any(holds_array(part, within=(*within, hint)) for part in parts)


def unnamed_shapes(function: Callable[..., Any]) -> list[str]:
    """Parameters (and `return`) that are arrays, and of which the docstring names no shape."""
    text = " ".join((inspect.getdoc(function) or "").split())
    arrays = [name for name, hint in get_type_hints(function, localns=FORWARD).items() if holds_array(hint)]
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
