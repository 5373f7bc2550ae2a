"""The methods of the Python API, read from the source of the functions behind them; nothing is imported."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sdk_commands
from missing import Missing
from sdk_namespaces import FILTERS, NAMESPACES, Source

PACKAGE = Path(__file__).resolve().parent.parent / "run402_cli"
# What a namespace puts before the arguments of a call: the name of the parameter, and its type.
_SUPPLIED = {"client": "Client", "profile": "Profile", "keys": "KeyCache"}
_ROUTE = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE|\{METHOD\}|\{method\}) |\.\.\.")


@dataclass(frozen=True)
class Module:
    """One parsed source module: its functions, type aliases, classes, and where imported names come from."""

    name: str
    functions: dict[str, ast.FunctionDef]
    aliases: dict[str, ast.expr]
    classes: set[str]
    imported: dict[str, tuple[str, str | None]]


@functools.cache
def parse(name: str) -> Module:
    path = PACKAGE / (name.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    aliases = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    imported: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return Module(name, functions, aliases, classes, imported)


@dataclass(frozen=True)
class Method:
    """One method, and the function that it calls.

    `kind` says what the namespace puts first: client, profile, keys, or plain for nothing. `older` is a second name of it,
    `summary` what its command does.
    """

    module: Module
    source: ast.FunctionDef
    name: str
    kind: str
    older: str | None
    summary: str | None

    @property
    def where(self) -> str:
        """The function to edit, for a message."""
        return f"run402_cli/{self.module.name.replace('.', '/')}.py: {self.source.name}"

    @property
    def parameters(self) -> list[tuple[ast.arg, ast.expr | None, bool]]:
        """(parameter, default, whether it is only given by name), without what the namespace puts first."""
        all_ = self.source.args
        defaults = [*[None] * (len(all_.args) - len(all_.defaults)), *all_.defaults]
        positional = [(arg, default, False) for arg, default in zip(all_.args, defaults, strict=True)]
        by_name = [(arg, default, True) for arg, default in zip(all_.kwonlyargs, all_.kw_defaults, strict=True)]
        return [*positional[self.kind != "plain" :], *by_name]

    @property
    def project_first(self) -> bool:
        """Whether its first argument is the project that it is about."""
        return [arg.arg for arg, _, by_name in self.parameters[:1] if not by_name] == ["project_id"]

    @property
    def project_by_name(self) -> bool:
        """Whether another of its arguments is."""
        named = any(arg.arg == "project_id" for arg, _, _ in self.parameters)
        return named and not self.project_first and (self.module.name, self.source.name) not in FILTERS

    @property
    def takes_project(self) -> bool:
        return self.project_first or self.project_by_name


def told(method: Method) -> str:
    """What the command of a method does, or what the function says that it does; then the route; then the rest."""
    text = ast.get_docstring(method.source)
    if not text:
        raise Missing(f"{method.where} has no docstring")
    first, _, rest = text.partition("\n\n")
    route = _ROUTE.match(first)
    parts = [first, rest]
    if method.summary and not first.startswith(method.summary):
        parts = [method.summary, first, rest]
    elif route and not method.summary:
        raise Missing(f"{method.where} is behind no command: begin its docstring with what it does")
    return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True)
class Group:
    """One namespace; an older one has some methods of a newer one."""

    name: str
    summary: str
    methods: list[Method]

    @property
    def title(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("_")) or "General"

    @property
    def bound(self) -> list[Method]:
        """The methods that a project has too: it fills itself in."""
        return [method for method in self.methods if method.takes_project and self.name]

    @property
    def other(self) -> list[Method]:
        """The methods that `r` has alone, or with another signature."""
        return [method for method in self.methods if method not in self.bound or method.project_by_name]

    @property
    def types(self) -> tuple[str, str]:
        """The types of `r.<name>` and of `project.<name>`, the second empty where there is none."""
        if not self.bound:
            return self.title, ""
        return (self.title, f"Project{self.title}[str]") if self.other else (f"{self.title}[Id]", f"{self.title}[Id]")


def group(name: str) -> Group:
    """A namespace by its name; "" has the calls of `r` itself."""
    newer, names = sdk_commands.OLDER_GROUPS.get(name, (name, {}))
    summary, sources = NAMESPACES[newer]
    methods = [method for source in sources for method in _methods(newer, source)]
    assert len({method.name for method in methods}) == len(methods), f"{newer}: two methods have one name"
    if names:
        summary = f"The older name of some calls of `{newer}`."
        methods = [method for method in methods if method.name in names.values()]
    return Group(name, summary, methods)


def _methods(group: str, source: Source) -> Iterator[Method]:
    """The methods that one module gives to a namespace, by the names of their commands."""
    newer = {f"{new.rpartition('.')[0]}.{old}": new for new, old in sdk_commands.OLDER_NAMES.items()}
    module = parse(source.module)
    for name, function in module.functions.items():
        kind = "plain" if name in source.plain else _kind(function)
        chosen = name in source.only if source.only else not name.startswith("_") and name not in source.omit
        if chosen and kind:
            word = source.rename.get(name, name)
            full = f"{group}.{word}".removeprefix(".")
            new = newer.get(full, full)
            older = None if new == full else word
            yield Method(module, function, new.rpartition(".")[2], kind, older, sdk_commands.summary(new))


def _kind(function: ast.FunctionDef) -> str | None:
    """What comes first; None for a helper."""
    first = function.args.args[0] if function.args.args else None
    if first is None or first.annotation is None:
        return None
    return first.arg if _SUPPLIED.get(first.arg) == ast.unparse(first.annotation) else None
