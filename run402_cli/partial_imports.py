"""Import a library without those parts of it, and of the standard library below it, that this program does not use.

A command's start is mostly imports. Each function changes `sys.modules` while the library is imported, and leaves
no trace there: who imports the real module later gets it. See docs/architecture.md, "Speed".
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def without(*names: str) -> Iterator[None]:
    """Inside, these modules are not installed, for libraries that do without; one that is there already stays."""
    with _in_place(dict.fromkeys(names)):
        yield


@contextlib.contextmanager
def later(*names: str) -> Iterator[None]:
    """Inside, `import name` gives a module that loads itself at its first use. `from name import word` is such a use.

    As an attribute of its package it stays, for who has imported the package only: the real one takes its place.
    """
    with _in_place({name: _Later(name) for name in names}):
        yield


@contextlib.contextmanager
def instead(**modules: dict[str, Any]) -> Iterator[None]:
    """Inside, these modules (`urllib__request` is urllib.request) hold just what is given for them."""
    made: dict[str, ModuleType | None] = {}
    for key, content in modules.items():
        name = key.replace("__", ".")
        made[name] = module = ModuleType(name)
        vars(module).update(content)
    with _in_place(made):
        yield


class _Later(ModuleType):
    def __getattr__(self, word: str) -> Any:
        if word.startswith("__"):  # the import system looks for them
            raise AttributeError(word)
        import importlib

        name = self.__name__
        held = sys.modules.pop(name) if sys.modules.get(name) is self else None
        try:
            real = importlib.import_module(name)
        finally:
            if held is not None:
                sys.modules[name] = held
        vars(self).update({key: value for key, value in vars(real).items() if not key.startswith("__")})
        return getattr(real, word)


@contextlib.contextmanager
def _in_place(modules: dict[str, ModuleType | None]) -> Iterator[None]:
    """A submodule is an attribute of its package too; without the package imported there is nothing to set."""
    put = {name: module for name, module in modules.items() if name not in sys.modules}
    set_on: list[tuple[ModuleType, str]] = []
    for name, module in put.items():
        sys.modules[name] = module  # type: ignore[assignment]
        package, _, last = name.rpartition(".")
        if package and module is not None:
            __import__(package)
            setattr(sys.modules[package], last, module)
            set_on.append((sys.modules[package], last))
    try:
        yield
    finally:
        for name, module in put.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        for parent, last in set_on:
            held = vars(parent).get(last)
            if held in put.values() and not isinstance(held, _Later):
                delattr(parent, last)
