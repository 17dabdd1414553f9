"""Kernels that any process of a run of the tests compiled, found by their content.

Generated modules are many and hold the same kernels. Numba keeps what it compiled by file, so each
module would compile its own. Here a kernel's place is the hash of all that its code depends on: its
bytecode, and the constants and functions that it names, theirs too. A kernel that names what is not
known when it is declared is left to Numba's own places.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import itertools
import os
import types
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types as numba_types
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CacheImpl
from numba.core.dispatcher import Dispatcher
from numba.extending import _Intrinsic

FOLDER = "CNNDSL_TEST_KERNELS"
"""The environment variable that names the folder of the run; without it Numba works as usual."""


def install() -> None:
    """Let Numba look here before anywhere else.

    Compiled code has names with a number in them; what another process compiled must have others.
    """
    if ByContent not in CacheImpl._locator_classes:
        CacheImpl._locator_classes = [ByContent, *CacheImpl._locator_classes]
        FunctionIdentity._unique_ids = itertools.count(os.getpid() * 1_000_000)


class ByContent:
    """Tells Numba where a function's compiled code is kept."""

    def __init__(self, folder: str, content: str) -> None:
        self.folder = folder
        self.content = content

    @classmethod
    def from_function(cls, function: types.FunctionType, _file: str) -> ByContent | None:
        folder = os.environ.get(FOLDER)
        if folder is None:
            return None
        try:
            return cls(folder, hashlib.sha256("\n".join(content(function)).encode()).hexdigest())
        except UnknownContentError:
            return None

    def ensure_cache_path(self) -> None:
        os.makedirs(self.folder, exist_ok=True)

    def get_cache_path(self) -> str:
        return self.folder

    def get_source_stamp(self) -> str:
        return self.content

    def get_disambiguator(self) -> str:
        return self.content[:32]


class UnknownContentError(Exception):
    """A function depends on what is not known, or cannot be written down."""


def content(function: Any, seen: frozenset[int] = frozenset()) -> list[str]:
    """Return all that a function's compiled code depends on."""
    if id(function) in seen:
        return [function.__name__]
    seen |= {id(function)}
    found = [function.__name__, str(inspect.signature(function)), *_code(function.__code__)]
    names = {i.argval for i in dis.get_instructions(function.__code__) if i.opname == "LOAD_GLOBAL"}
    inner = [c for c in function.__code__.co_consts if isinstance(c, types.CodeType)]
    names |= {i.argval for c in inner for i in dis.get_instructions(c) if i.opname == "LOAD_GLOBAL"}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = {name: cell.cell_contents for name, cell in cells}
    builtins = vars(__import__("builtins"))
    for name in sorted(names):
        if name in function.__globals__:
            values[name] = function.__globals__[name]
        elif name not in builtins:
            raise UnknownContentError(name)
    for name, value in sorted(values.items()):
        found.append(name)
        found += _value(value, seen)
    return found


def _code(code: types.CodeType) -> list[str]:
    found = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames)]
    for constant in code.co_consts:
        found += _code(constant) if isinstance(constant, types.CodeType) else [repr(constant)]
    return found


def _value(value: Any, seen: frozenset[int]) -> list[str]:
    match value:
        case bool() | int() | float() | str() | None | np.generic():
            return [repr(value)]
        case numba_types.Type() | ir.Type():
            return [repr(value)]
        case tuple() | list():
            return ["(", *(line for item in value for line in _value(item, seen)), ")"]
        case dict():
            return _value([*value.items()], seen)
        case np.ndarray():
            return [str(value.dtype), str(value.shape), value.tobytes().hex()]
        case Dispatcher():
            return [repr(sorted(value.targetoptions.items())), *content(value.py_func, seen)]
        case _Intrinsic():
            return content(value._defn, seen)
        case types.FunctionType():
            return content(value, seen)
        case types.ModuleType() | type():
            return [value.__name__]
    raise UnknownContentError(repr(value))
