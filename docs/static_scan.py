"""What the source says about each command without running it: error codes, exit codes, environment, kinds of values.

A command reaches a function when a chain of references leads to it. Methods are followed by name, but only on classes
that are themselves reached, so that the answer stays small. Text constants count where they are used as error codes
somewhere in the package; comparisons do not count, since they only read a code.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from run402_cli.environment import INTERNAL, VARIABLES

PACKAGE = "run402_cli"
ROOT = Path(__file__).resolve().parent.parent / PACKAGE
_CODE = re.compile(r"[A-Z][A-Z0-9_]{3,}")
_GATEWAY_CODE = re.compile(r"[A-Za-z]+[A-Za-z0-9]*(_[A-Za-z0-9]+)+|PGRST[0-9]+")
_ENVIRONMENT = re.compile(r"(RUN402|CORE|GITHUB|GH|ACTIONS)_[A-Z_]+")
# Two other ways in, which no command goes.
_OTHER_PROCESS = ("mcp", "sdk")
# Names every variable, and reads none.
_TABLE_OF_VARIABLES = f"{PACKAGE}.environment"
# It has tables of the codes that others raise.
_READS_CODES = f"{PACKAGE}.guidance"
# The gateway runs in a process of its own; these of its modules start and find it.
_GATEWAY_CONTROL = ("core.daemon.launcher", "core.daemon.datadir", "core.errors")
# Methods that a library calls, besides dunder methods.
_CALLED_BY_LIBRARIES = ("auth_flow", "handle_request")
# Checks of commands/_options.py and what they say about a flag.
_CHECKS = {
    "integer": {"type": "integer"},
    "one_of": {"type": "string"},
    "micros": {"type": "string", "format": "usd"},
    "parse_json_flag": {"type": "string", "format": "json"},
    "regular_file": {"type": "string", "format": "path"},
    "read_text_file": {"type": "string", "format": "path"},
    "webhook_url": {"type": "string", "format": "uri"},
}
# What runs around every command, and what runs in every call of the gateway.
_EDGE = (
    "main:_guarded",
    "main:_dispatch",
    "commands._command:Command",
    "commands._command:Command._checked",
    "commands._command:run",
    "commands._command:unknown_flag",
    "global_options:take",
    "projection:render",
    "errors:Interrupted",
    "errors:Interrupted.envelope",
)
_GATEWAY = ("client._client:Client.send", "client._client:Client.stream", "client._client:Client.request")
_ANSWERS = (
    "services.terminal:TerminalClient",
    "errors:ApiError",
    "errors:ApiError.envelope",
    "errors:ApiError._defaults",
    "errors:NetworkError",
    "errors:NetworkError.envelope",
)
# Set for child processes, not by people.
_PRIVATE = {"RUN402_ACTIVE_WALLET_JSON"}


@dataclass
class Unit:
    """A function, a method, a class body or a module variable: what it mentions."""

    module: str
    name: str
    node: ast.AST
    names: dict[str, str] = field(default_factory=dict)  # imports inside the function

    @property
    def key(self) -> str:
        return f"{self.module}:{self.name}"

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.node))

    @cached_property
    def body(self) -> tuple[ast.AST, ...]:
        return tuple(_body(self.node))


@dataclass
class Reached:
    """Everything that one command can come to."""

    units: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    verdicts: set[int] = field(default_factory=set)  # exit codes after a document on stdout
    exits: set[int] = field(default_factory=set)  # exit codes of error envelopes
    environment: set[str] = field(default_factory=set)

    def add(self, other: Reached) -> None:
        self.codes |= other.codes
        self.verdicts |= other.verdicts
        self.exits |= other.exits
        self.environment |= other.environment


class Source:
    """The package as a graph of references."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self.imports: dict[str, dict[str, str]] = {}
        self.methods: dict[str, list[str]] = {}
        self.members: dict[str, list[tuple[str, str]]] = {}
        self._prefixed: dict[int, set[str]] = {}  # arguments that become a code behind a fixed prefix
        for path in sorted(ROOT.rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[0] not in _OTHER_PROCESS and (parts[0] != "core" or ".".join(parts) in _GATEWAY_CONTROL):
                self._read(".".join((PACKAGE, *(part for part in parts if part != "__init__"))), path)
        self.edges = {key: self._mentions(unit) for key, unit in self.units.items()}

    def _read(self, module: str, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.imports[module] = _imports(tree.body)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._add(Unit(module, node.name, node))
            elif isinstance(node, ast.ClassDef):
                self._add_class(module, node)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._add(Unit(module, target.id, node.value))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                self._add(Unit(module, node.target.id, node.value))

    def _add(self, unit: Unit) -> None:
        body = [node for node in unit.nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        unit.names = _imports(body)
        self.units[unit.key] = unit

    def _add_class(self, module: str, node: ast.ClassDef) -> None:
        attributes: list[ast.stmt] = []
        for item in node.body:
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                self._add(Unit(module, f"{node.name}.{item.name}", item))
                method = f"{module}:{node.name}.{item.name}"
                self.methods.setdefault(item.name, []).append(method)
                self.members.setdefault(f"{module}:{node.name}", []).append((item.name, method))
            else:
                attributes.append(item)
        shell = ast.ClassDef(node.name, node.bases, node.keywords, attributes, node.decorator_list)
        self._add(Unit(module, node.name, shell))

    def resolve(self, module: str, name: str, local: dict[str, str]) -> str | None:
        """The unit or module that a name in a module stands for."""
        target = local.get(name) or (
            f"{module}:{name}" if f"{module}:{name}" in self.units else self.imports[module].get(name)
        )
        for _ in range(5):  # a name may be imported through packages that only pass it on
            if target is None or target in self.units or target in self.imports:
                return target
            where, _, last = target.rpartition(":")
            if f"{where}.{last}" in self.imports:
                return f"{where}.{last}"
            target = self.imports.get(where, {}).get(last)
        return None

    def _mentions(self, unit: Unit) -> tuple[set[str], set[str]]:
        """Units that are named, and attribute names that may be methods."""
        named: set[str] = set()
        attributes: set[str] = set()
        for node in unit.body:
            if isinstance(node, ast.Name):
                target = self.resolve(unit.module, node.id, unit.names)
                if target in self.units:
                    named.add(str(target))
            elif isinstance(node, ast.Attribute):
                owner = (
                    self.resolve(unit.module, node.value.id, unit.names) if isinstance(node.value, ast.Name) else None
                )
                if owner in self.imports:
                    target = self.resolve(str(owner), node.attr, {})
                    named |= {target} if target in self.units else set()
                else:
                    attributes.add(node.attr)
        return named, attributes

    def reach(self, start: list[str]) -> Reached:
        """What the units lead to."""
        out = Reached()
        waiting = [key for key in start if key in self.units]
        attributes: set[str] = set()
        classes: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key in out.units:
                continue
            out.units.add(key)
            named, mentioned = self.edges[key]
            waiting += named
            if isinstance(self.units[key].node, ast.ClassDef):
                classes.add(key)
                waiting += [
                    method for name, method in self.members.get(key, ()) if name in attributes or _implicit(name)
                ]
            for attribute in mentioned - attributes:
                attributes.add(attribute)
                waiting += [key for key in self.methods.get(attribute, ()) if key.rpartition(".")[0] in classes]
        for key in out.units:
            out.add(self.own[key])
        return out

    @cached_property
    def own(self) -> dict[str, Reached]:
        """What each unit holds by itself."""
        assert self.codes  # fills _prefixed too
        return {key: self._own(unit) for key, unit in self.units.items()}

    def _own(self, unit: Unit) -> Reached:
        out = Reached()
        compared = {id(inner) for node in unit.nodes if isinstance(node, ast.Compare) for inner in ast.walk(node)}
        for node in unit.body:
            if id(node) in self._prefixed:
                out.codes |= self._prefixed[id(node)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node.value in self.codes and id(node) not in compared and unit.module != _READS_CODES:
                    out.codes.add(node.value)
                if node.value in self.variables and unit.module != _TABLE_OF_VARIABLES:
                    out.environment.add(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Verdict":
                out.verdicts |= {int(str(arg.value)) for arg in node.args[:1] if isinstance(arg, ast.Constant)}
            elif isinstance(node, ast.keyword) and node.arg == "exit_code" and isinstance(node.value, ast.Constant):
                out.exits.add(int(str(node.value.value)))
        return out

    @cached_property
    def codes(self) -> set[str]:
        """Every text that is an error code somewhere: code="X", {"code": "X"}, a class's `code`, a parameter `code`."""
        found: set[str] = set()
        for unit in self.units.values():
            for node in unit.nodes:
                found |= self._code_texts(unit, node)
        documented = (ROOT.parent / "docs" / "protocol" / "errors.md").read_text(encoding="utf-8")
        found |= set(re.findall(r"`([A-Z][A-Z0-9_]{7,})`", documented))
        # Pages name environment variables in the same way.
        return found - self.variables - set(VARIABLES) - INTERNAL

    def _code_texts(self, unit: Unit, node: ast.AST) -> set[str]:
        if isinstance(node, ast.keyword) and node.arg == "code":
            return _texts(node.value) | self._constant(unit, node.value)
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            is_envelope = any(key is not None and _is(key, "status") for key in node.keys)
            return {text for key, value in pairs if is_envelope and key and _is(key, "code") for text in _texts(value)}
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = any(isinstance(target, ast.Name) and target.id == "code" for target in targets)
            return _texts(node.value) if named else set()
        if isinstance(node, ast.FunctionDef):
            return _default_codes(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._positional_codes(unit, node)
        return set()

    def _constant(self, unit: Unit, node: ast.expr) -> set[str]:
        """The text of a module constant."""
        target = self.resolve(unit.module, node.id, unit.names) if isinstance(node, ast.Name) else None
        return _texts(self.units[target].node) if target in self.units else set()

    def _positional_codes(self, unit: Unit, call: ast.Call) -> set[str]:
        """Texts that stand where a function of ours has its parameter `code`."""
        assert isinstance(call.func, ast.Name)
        target = self.units.get(self.resolve(unit.module, call.func.id, unit.names) or "")
        if target is not None and isinstance(target.node, ast.ClassDef):
            target = self.units.get(f"{target.key}.__init__")
        if target is None or not isinstance(target.node, ast.FunctionDef):
            return set()
        names = [argument.arg for argument in target.node.args.args if argument.arg != "self"]
        place = names.index("code") if "code" in names else len(call.args)
        found = _texts(call.args[place]) if place < len(call.args) else set()
        prefix = _prefix(target.node)
        if prefix and found:
            self._prefixed[id(call.args[place])] = {prefix + text for text in found}
            return set()
        return found

    @cached_property
    def variables(self) -> set[str]:
        """Environment variables: the documented ones, and what is read from os.environ by name."""
        documented = (ROOT.parent / "docs" / "protocol" / "conventions.md").read_text(encoding="utf-8")
        found = set(re.findall(r"`(RUN402_[A-Z_]+)`", documented))
        for unit in self.units.values():
            for node in unit.nodes:
                if isinstance(node, ast.Call | ast.Subscript):
                    where = node.func if isinstance(node, ast.Call) else node.value
                    if any(isinstance(part, ast.Attribute) and part.attr == "environ" for part in ast.walk(where)):
                        found |= {text for text in _texts(node) if _ENVIRONMENT.fullmatch(text)}
        return found - _PRIVATE

    def kinds(self, unit_key: str) -> dict[str, dict[str, Any]]:
        """flag -> {type, format?, minimum?, maximum?, values?}, from the checks that the command makes of it."""
        module = unit_key.partition(":")[0]
        found: dict[str, dict[str, Any]] = {}
        for key in sorted(self._near(unit_key, module)):
            for node in self.units[key].body:
                if isinstance(node, ast.Call) and node.args and _flag(node.args[0]):
                    kind = self._kind(self.units[key], node)
                    if kind:
                        found.setdefault(str(_flag(node.args[0])), kind)
        return found

    def _near(self, start: str, module: str) -> set[str]:
        """The unit and the functions of its own module that it reaches."""
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            key = waiting.pop()
            if key not in seen and key.startswith(f"{module}:"):
                seen.add(key)
                waiting += self.edges[key][0]
        return seen

    def _kind(self, unit: Unit, call: ast.Call) -> dict[str, Any] | None:
        target = self.resolve(unit.module, call.func.id, unit.names) if isinstance(call.func, ast.Name) else None
        if target not in self.units:
            return None
        name = str(target).partition(":")[2]
        if name in _CHECKS:
            return {**_CHECKS[name], **self._limits(unit.module, name, call)}
        function = self.units[str(target)]
        if not isinstance(function.node, ast.FunctionDef) or not function.node.args.args:
            return None
        first = function.node.args.args[0].arg
        for node in function.body:  # a helper that hands the flag's name on to a check
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
                inner = node.func.id if isinstance(node.func, ast.Name) else ""
                if node.args[0].id == first and inner in _CHECKS:
                    return {**_CHECKS[inner], **self._limits(function.module, inner, node)}
        return None

    def _limits(self, module: str, name: str, call: ast.Call) -> dict[str, Any]:
        given = {word.arg: self._value(module, word.value) for word in call.keywords}
        if name == "integer":
            low, high = given.get("low", 1), given.get("high")
            return {key: value for key, value in (("minimum", low), ("maximum", high)) if isinstance(value, int)}
        if name == "one_of":
            allowed = given.get("allowed") or (self._value(module, call.args[2]) if len(call.args) > 2 else None)
            return {"values": [str(value) for value in allowed]} if allowed else {}
        return {}

    @staticmethod
    def _value(module: str, node: ast.expr) -> Any:
        """The value of a constant expression; None when it depends on the run."""
        scope = vars(importlib.import_module(module))
        try:
            return eval(compile(ast.Expression(node), module, "eval"), dict(scope))
        except Exception:
            return None


def facts(functions: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Command -> {error_codes, exit_codes, verdict_exits, environment, calls_gateway, options}, only what is not empty.

    `functions` maps full command names to units ("run402_cli.commands.secrets:set_"). Codes and variables that every
    command has stand under "every_command"; those that every call of the gateway may add, under "calls_gateway".
    """
    source = Source()
    edge = source.reach([f"{PACKAGE}.{name}" for name in _EDGE])
    gateway = source.reach(
        [f"{PACKAGE}.client._client:Client", *(f"{PACKAGE}.{name}" for name in (*_GATEWAY, *_ANSWERS))]
    )
    out = {"every_command": _fact(edge, Reached()), "calls_gateway": _fact(gateway, edge)}
    shared = Reached(codes=edge.codes | gateway.codes, environment=edge.environment | gateway.environment)
    for name, unit in functions.items():
        reached = source.reach([unit])
        calls = any(f"{PACKAGE}.{item}" in reached.units for item in _GATEWAY)
        out[name] = _fact(reached, shared if calls else edge)
        out[name] |= {"calls_gateway": True} if calls else {}
        out[name] |= {"options": kinds} if (kinds := source.kinds(unit)) else {}
    return out


def _fact(reached: Reached, known: Reached) -> dict[str, Any]:
    rows = {
        "error_codes": sorted(reached.codes - known.codes),
        "environment": sorted(reached.environment - known.environment),
        "verdict_exits": sorted(reached.verdicts),
        "exit_codes": sorted({0, 1} | reached.verdicts | reached.exits),
    }
    return {key: value for key, value in rows.items() if value and value != [0, 1]}


def _imports(body: list[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}:{alias.name}"
    return found


def _body(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that run: without annotations, and without the parameters' metadata."""
    stack: list[ast.AST] = [node]
    while stack:
        item = stack.pop()
        yield item
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            stack += [*item.body, *item.args.defaults, *(d for d in item.args.kw_defaults if d is not None)]
        elif isinstance(item, ast.AnnAssign):
            stack += [item.value] if item.value is not None else []
        else:
            stack += ast.iter_child_nodes(item)


def _texts(node: ast.AST) -> set[str]:
    return {
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str) and _CODE.fullmatch(item.value)
        if not item.value.endswith("_")
    }


def _prefix(node: ast.FunctionDef) -> str | None:
    """PREFIX_ of a function that makes its code as f"PREFIX_{code}"."""
    for item in ast.walk(node):
        if isinstance(item, ast.JoinedStr) and len(item.values) == 2 and isinstance(item.values[0], ast.Constant):
            last = item.values[1]
            if isinstance(last, ast.FormattedValue) and isinstance(last.value, ast.Name) and last.value.id == "code":
                return str(item.values[0].value)
    return None


def _default_codes(node: ast.FunctionDef) -> set[str]:
    arguments = node.args
    pairs = [
        *zip(arguments.args[len(arguments.args) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {text for arg, default in pairs if arg.arg == "code" and default is not None for text in _texts(default)}


def _implicit(method: str) -> bool:
    return method.startswith("__") or method in _CALLED_BY_LIBRARIES


def _is(node: ast.AST, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _flag(node: ast.expr) -> str | None:
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and (text.startswith("--") or text.isupper()) else None


def gateway_codes() -> set[str]:
    """The codes of the local gateway's answers, in capitals.

    A code is the keyword `code` of a call, else what stands where the called function has its parameter `code` or
    `error`, or is the default of that. Constants only: what is put together at run time (`R402_AUTH_...`) counts by the
    constants it is made of.
    """
    found: set[str] = set()
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "core").rglob("*.py"))]
    shared = _code_places([node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)])
    for tree in trees:
        places = shared | _code_places(list(ast.walk(tree)))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for word, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
                if word.arg in ("code", "error") and value is not None:
                    found |= {text.upper() for text in _constants(value) if _GATEWAY_CODE.fullmatch(text)}
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            given = [word.value for word in call.keywords if word.arg == "code" and ast.unparse(word.value) != "None"]
            place = places.get(call.func.id) if isinstance(call.func, ast.Name) else None
            if not given and place is not None and place < len(call.args):
                given = [call.args[place]]
            found |= {text.upper() for value in given for text in _constants(value) if _GATEWAY_CODE.fullmatch(text)}
        for answer in (node.elts for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) > 2):
            if isinstance(answer[0], ast.Constant) and answer[0].value in range(400, 600):  # (status, error, message)
                found |= {text.upper() for text in _constants(answer[1]) if _GATEWAY_CODE.fullmatch(text)}
    return found


def _code_places(nodes: list[ast.AST]) -> dict[str, int]:
    """Function, or class of an error -> which argument is its code."""
    found: dict[str, int] = {}
    for node in nodes:
        makers = (
            [m for m in node.body if getattr(m, "name", "") == "__init__"] if isinstance(node, ast.ClassDef) else []
        )
        for function in [*makers, node]:
            if isinstance(function, ast.FunctionDef) and isinstance(node, ast.ClassDef | ast.FunctionDef):
                names = [argument.arg for argument in function.args.args if argument.arg != "self"]
                places = [names.index(word) for word in ("code", "error") if word in names]
                found |= {node.name: places[0]} if places and node.name != "__init__" else {}
    return found


def _constants(node: ast.expr) -> set[str]:
    """The texts that an expression may be as a whole."""
    parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
