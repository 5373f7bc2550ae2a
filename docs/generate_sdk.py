"""Make the namespaces of the Python API (run402_cli/sdk/namespaces) and docs/reference/python-sdk.md. Part of `make docs`.

The methods have the parameters and types of the functions that they call, so that editors and mypy see them, and the names and
summaries of the commands (docs/sdk_commands.py), before what the functions say of themselves. A namespace that `r` and a
project have in common is one class, `Secrets[Id]`; where they differ, `ProjectEmail[Id]` has what is about one project, and
`Email` adds the rest to it.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import sdk_commands
from missing import Missing
from sdk_methods import PACKAGE, Group, Method, Module, group, told
from sdk_namespaces import INTERNAL, NAMESPACES

OUT = PACKAGE / "sdk" / "namespaces"
_WIDTH = 120
_PROSE = 112
_LISTENERS = ("Say", "Tell")
# Names of run402_cli/sdk/_namespace.py, and how a text looks that uses them.
_SHARED = {"Id": "[Id]", "Namespace": "Namespace[", "moved": " moved(", "of_project": "of_project"}


class Types(ast.NodeTransformer):
    """Rewrites annotations of one module for the namespace that uses them, and collects the imports they need."""

    def __init__(self, imports: set[tuple[str, str]], *, shadows_list: bool) -> None:
        self.imports = imports
        self.shadows_list = shadows_list
        self.module: Module

    def text(self, module: Module, annotation: ast.expr) -> str:
        self.module = module
        return ast.unparse(self.visit(deepcopy(annotation)))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        module = self.module
        if node.id in module.aliases:
            found: ast.expr = self.visit(deepcopy(module.aliases[node.id]))
            return found
        if node.id in module.classes:
            self.imports.add((f"run402_cli.{module.name}", node.id))
        elif node.id in module.imported:
            source, name = module.imported[node.id]
            assert name is not None
            self.imports.add((source, name))
        elif node.id == "list" and self.shadows_list:
            return ast.Name("builtins.list")
        return node


class Writer:
    """Writes methods of one namespace, and collects the imports that their signatures need."""

    def __init__(self, methods: list[Method]) -> None:
        self.imports: set[tuple[str, str]] = set()
        self.types = Types(self.imports, shadows_list=any("list" in (each.name, each.older) for each in methods))

    def of(self, method: Method, *, bound: bool) -> str:
        """One method; a `bound` one has no parameter for the project, which is its namespace's."""
        shown, call = ["self"], [f"{_alias(method.module.name)}.{method.source.name}"]
        for arg, default, by_name in method.parameters:
            value = self._supplied(method, arg, bound=bound)
            if value is None:
                shown += ["*"] if by_name and "*" not in shown else []
                shown.append(self._parameter(method, arg, default))
            call.append((f"{arg.arg}=" if by_name else "") + (value or arg.arg))
        more = method.source.args.kwarg
        if more is not None:
            shown.append("**" + self._parameter(method, more, None))
            call.append(f"**{more.arg}")
        assert method.source.returns is not None
        returns = self.types.text(method.module, method.source.returns)
        lines = [
            *(["    @of_project"] if method.project_first else []),
            *_wrapped(f"    def {method.name}(", shown, f") -> {returns}:"),
            *_docstring(told(method)),
            *_body(method, call, verb="" if returns == "None" else "return "),
        ]
        if method.older:
            lines += ["", f"    {method.older} = {method.name}  # the older name"]
        return "\n".join(lines)

    def _supplied(self, method: Method, arg: ast.arg, *, bound: bool) -> str | None:
        """What the namespace gives for a parameter."""
        annotation = ast.unparse(arg.annotation) if arg.annotation else ""
        if annotation in _LISTENERS:
            return "self._say"
        if (method.source.name, arg.arg) == ("list_wallets", "selection"):
            return "self._client.profile.selection"
        return "self._project_id" if bound and arg.arg == "project_id" and method.takes_project else None

    def _parameter(self, method: Method, arg: ast.arg, default: ast.expr | None) -> str:
        if arg.annotation is None:
            raise Missing(f"{method.where}: its parameter {arg.arg} has no type")
        text = f"{arg.arg}: {self.types.text(method.module, arg.annotation)}"
        return text if default is None else f"{text} = {self._default(method.module, default)}"

    def _default(self, module: Module, value: ast.expr) -> str:
        if isinstance(value, ast.Constant):
            return _quoted(value.value)
        if isinstance(value, ast.Name):
            known = module.aliases.get(value.id)
            if isinstance(known, ast.Constant):
                return _quoted(known.value)
            return f"{_alias(module.name)}.{value.id}"
        return ast.unparse(value).replace("'", '"')


def _body(method: Method, call: list[str], *, verb: str) -> list[str]:
    """The call. A function with ** arguments cannot go through the typed helpers: mypy sees a clash of names there."""
    if method.source.args.kwarg is not None:
        assert method.kind == "client"
        inner = _wrapped(f"            {verb}{call[0]}(", ["self._client", *call[1:]], ")")
        return ["        with self._scope():", *inner]
    helper = "self._call" + ("" if method.kind == "client" else f"_{method.kind}")
    return _wrapped(f"        {verb}{helper}(", call, ")")


def _alias(module: str) -> str:
    """The private name under which a namespace imports a module."""
    return f"_{module.rpartition('.')[2].removeprefix('_')}"


def _quoted(value: object) -> str:
    return '"' + value.replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)


def _wrapped(head: str, items: list[str], tail: str) -> list[str]:
    """A call or signature as the formatter writes it: one line, else its items on one, else an item per line."""
    one = f"{head}{', '.join(items)}{tail}"
    if len(one) <= _WIDTH:
        return [one]
    indent = " " * (len(head) - len(head.lstrip()))
    middle = f"{indent}    {', '.join(items)}"
    if len(middle) <= _WIDTH:
        return [head, middle, indent + tail]
    return [head, *(f"{indent}    {item}" + ("" if item.startswith("**") else ",") for item in items), indent + tail]


def _docstring(text: str) -> list[str]:
    paragraphs = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        if any(len(line) > _PROSE for line in lines) and not any(line.startswith(" ") for line in lines):
            lines = textwrap.wrap(" ".join(lines), _PROSE, break_long_words=False, break_on_hyphens=False)
        paragraphs.append("\n".join(lines))
    body = "\n\n".join(paragraphs).splitlines()
    if len(body) == 1 and len(body[0]) + 14 <= _WIDTH:
        return [f'        """{body[0]}"""']
    if len(body) == 1:
        body = textwrap.wrap(body[0], _PROSE - 8, break_long_words=False, break_on_hyphens=False)
    return [f'        """{body[0]}', *(f"        {line}" if line else "" for line in body[1:]), '        """']


def module_text(group: Group) -> str:
    """The module of a namespace."""
    writer = Writer(group.methods)
    project = "`project`" if group.name == "projects" else f"`project.{group.name}`"
    classes, base = [], "Namespace[None]"
    if group.bound:
        name = ("Project" if group.other else "") + group.title
        calls = [writer.of(method, bound=method.project_by_name) for method in group.bound]
        about = f"{group.summary} {project} fills in `project_id`."
        classes.append(_class(f"{name}(Namespace[Id])", about, calls))
        base = f"{name}[None]"
    if group.other:
        calls = [writer.of(method, bound=False) for method in group.other]
        classes.append(_class(f"{group.title}({base})", group.summary, calls))
    text = "\n".join(classes)
    imports = _shared(text)
    for package, _, leaf in {method.module.name.rpartition(".") for method in group.methods}:
        alias = _alias(leaf)
        imports.add((f"run402_cli.{package}", leaf if leaf == alias else f"{leaf} as {alias}"))
    library = ["import builtins"] if "builtins.list" in text else []
    library += ["from typing import TYPE_CHECKING"] if writer.imports else []
    library += [""] if library else []
    return _module(group.summary, [*library, *_imports(imports), *_checked(writer.imports)], classes)


def older_text(older: Group) -> str:
    """The module of an older group: its methods are those of the newer one."""
    newer, names = sdk_commands.OLDER_GROUPS[older.name]
    full, bound = (kind.partition("[")[0] for kind in group(newer).types)
    sides = [(f"{older.title}(Namespace[Id])", bound)]
    if older.other:
        sides = [(f"Project{older.title}(Namespace[Id])", bound), (f"{older.title}(Namespace[None])", full)]
    helper = {method.name: "of_project" if method.project_first else "moved" for method in older.methods}
    classes = []
    for head, owner in sides:
        calls = [f"    {old} = {helper[new]}({owner}.{new})" for old, new in names.items()]
        classes.append(_class(head, older.summary, ["\n".join(calls)]))
    imports = {(f"run402_cli.sdk.namespaces.{newer}", owner) for _, owner in sides}
    return _module(older.summary, _imports(imports | _shared("\n".join(classes))), classes)


def index_text() -> str:
    """namespaces/__init__.py: the attributes of the clients, each imported when it is first used."""
    groups = [group(name) for name in sorted({*NAMESPACES, *sdk_commands.OLDER_GROUPS} - {""})]
    both, full, bound = [], [], []
    checked = set()
    for each in groups:
        here, there = each.types
        if each.name == "projects":
            there = ""  # its calls are those of the project itself
        checked |= {
            (f"run402_cli.sdk.namespaces.{each.name}", kind.partition("[")[0]) for kind in (here, there) if kind
        }
        if here == there:
            both.append(_attribute(each, here))
        else:
            full.append(_attribute(each, here))
            bound += [_attribute(each, there)] if there else []
    classes = [
        _class("SharedNamespaces(Namespace[Id])", "The attributes of both.", both),
        _class("Namespaces(SharedNamespaces[None])", "The attributes of Run402.", full),
        _class("ProjectNamespaces(SharedNamespaces[str])", "The attributes of a project.", bound),
    ]
    library = ["from functools import cached_property", "from typing import TYPE_CHECKING", ""]
    imports = [*library, *_imports(_shared("\n".join(classes))), *_checked(checked)]
    summary = "The namespaces as attributes; each module is imported when its attribute is first used."
    return _module(summary, imports, classes)


def _attribute(group: Group, kind: str) -> str:
    made = kind.partition("[")[0]
    return f'''    @cached_property
    def {group.name}(self) -> {kind}:
        """{group.summary}"""
        from run402_cli.sdk.namespaces.{group.name} import {made}

        return {made}(self._client, self._say, self._project_id)'''


def _module(summary: str, imports: Iterable[str], classes: list[str]) -> str:
    text = "\n\n\n".join(classes)
    return f'''"""{summary}

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

{chr(10).join(imports)}


{text}
'''


def _class(head: str, summary: str, bodies: list[str]) -> str:
    return f'class {head}:\n    """{summary}"""\n\n' + "\n\n".join(bodies)


def _imports(names: set[tuple[str, str]]) -> list[str]:
    """(module, name) as the linter orders and joins them: the standard library, an empty line, ours."""
    joined: dict[tuple[str, str], list[str]] = {}
    for module, name in sorted(names):
        joined.setdefault((module, name if " as " in name else ""), []).append(name)
    lines = [f"from {module} import {', '.join(words)}" for (module, _), words in joined.items()]
    ours = [line for line in lines if line.startswith("from run402_cli.")]
    standard = [line for line in lines if line not in ours]
    return [*standard, *([""] if standard and ours else []), *ours]


def _checked(names: set[tuple[str, str]]) -> list[str]:
    """Imports for the type checker alone."""
    return ["", "if TYPE_CHECKING:", *(f"    {line}".rstrip() for line in _imports(names))] if names else []


def _shared(text: str) -> set[tuple[str, str]]:
    return {("run402_cli.sdk._namespace", name) for name, used in _SHARED.items() if used in text}


def reference_text() -> str:
    """docs/reference/python-sdk.md: every method with its parameters and the first paragraph of its docstring."""
    lines = [
        "# The Python API",
        "",
        "`r` is `Run402(...)`, `project` is `r.project(project_id)`; see [how to use them](../how-to/python-sdk.md). A method",
        "marked with * is also one of `project.<group>`, without `project_id`; those of `projects` are on `project` itself.",
        "",
    ]
    for each in map(group, NAMESPACES):
        prefix = f"r.{each.name}".rstrip(".")
        writer = Writer(each.methods)
        lines += [f"## {prefix}", "", each.summary, ""]
        for method in each.methods:
            tree = ast.parse(textwrap.dedent(writer.of(method, bound=False))).body[0]
            assert isinstance(tree, ast.FunctionDef)
            del tree.args.args[0]
            star = "*" if method in each.bound else ""
            older = f" (older name: `{method.older}`)" if method.older else ""
            lines += [f"`{prefix}.{method.name}({_plain(tree.args)})`{star}{older}", ""]
            for paragraph in (ast.get_docstring(tree) or "").split("\n\n")[: 2 if method.summary else 1]:
                lines += [" ".join(paragraph.split()).replace("<", "&lt;"), ""]
    for older, (newer, names) in sdk_commands.OLDER_GROUPS.items():
        lines += [f"## r.{older}", "", f"{group(older).summary} They stay, also on a project.", ""]
        lines += [f"`r.{older}.{old}` is `r.{newer}.{new}`.\n" for old, new in names.items()]
    return "\n".join(lines).rstrip() + "\n"


def _plain(arguments: ast.arguments) -> str:
    text = ast.unparse(arguments).replace("'", '"').replace("builtins.list", "list")
    return re.sub(r"\b_(\w+)\.([A-Z])", r"\1.\2", text)


def _check_complete() -> None:
    """Every service module has a namespace or is known to need none."""
    used = {source.module for _, sources in NAMESPACES.values() for source in sources}
    services = {path.stem for path in (PACKAGE / "services").glob("[a-z]*.py")}
    missing = sorted(name for name in services if f"services.{name}" not in used and name not in INTERNAL)
    if missing:
        raise Missing(f"docs/sdk_namespaces.py: neither NAMESPACES nor INTERNAL has the services {', '.join(missing)}")


def pages() -> dict[Path, str]:
    """Every generated module and its text, and the reference."""
    _check_complete()
    out = {OUT / f"{name or '_general'}.py": module_text(group(name)) for name in NAMESPACES}
    out |= {OUT / f"{name}.py": older_text(group(name)) for name in sdk_commands.OLDER_GROUPS}
    out[OUT / "__init__.py"] = index_text()
    out[PACKAGE.parent / "docs" / "reference" / "python-sdk.md"] = reference_text()
    return out


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
