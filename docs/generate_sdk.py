"""Make the namespaces of the Python API (run402_cli/sdk/namespaces) from the signatures of the services.

A namespace that `r` and a project have in common is one class, `Secrets[Id]`; where they differ, `ProjectEmail[Id]` has what
is about one project, and `Email` adds the rest to it. The methods have the parameters and types of the functions that they
call, so that editors and mypy see them, and the names and summaries of the commands (docs/sdk_commands.py), before what the
functions say of themselves. Part of `make docs`. Read from the source alone: nothing is imported. Also makes
docs/reference/python-sdk.md.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sdk_commands
from missing import Missing

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "run402_cli"
OUT = PACKAGE / "sdk" / "namespaces"
_WIDTH = 120
_PROSE = 112


@dataclass(frozen=True)
class Source:
    """Functions of one module. `only` or `omit` choose; `plain` adds functions that take no client; `rename` renames."""

    module: str
    only: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)


def _service(name: str, *, lister: str | None = None, **choice: object) -> Source:
    """A service module; `lister` becomes `list`, the word that the command has."""
    rename = {**({lister: "list"} if lister else {}), **dict(choice.pop("rename", {}))}  # type: ignore[call-overload]
    return Source(f"services.{name}", rename=rename, **choice)  # type: ignore[arg-type]


# Namespace: what it is for, and where its methods come from.
NAMESPACES: dict[str, tuple[str, tuple[Source, ...]]] = {
    "admin": ("What platform administrators may do to projects and organizations.", (_service("admin"),)),
    "agent": ("The contact record of the wallet, and messages to the developers of Run402.", (_service("agent"),)),
    "ai": ("Translation and moderation for a project.", (_service("ai"),)),
    "allowance": (
        "The wallet's money: balance, limits, ledger, promo codes.",
        (
            _service("funds", omit=("require",)),
            _service("allowance", only=("create_bare", "faucet", "lookup", "redeem"), rename={"create_bare": "create"}),
        ),
    ),
    "apps": ("Published apps: browse, fork, publish.", (_service("apps"),)),
    "archives": (
        "Portable archives of a project.",
        (
            _service("archives", omit=("download",)),
            _service("archive_import", only=("import_archive",)),
            Source(
                "sdk._files",
                only=("verify_archive", "inspect_archive"),
                plain=("verify_archive", "inspect_archive"),
                rename={"verify_archive": "verify", "inspect_archive": "inspect"},
            ),
        ),
    ),
    "assets": ("Files in content-addressed storage.", (_service("assets"), Source("sdk._files", only=("put", "get")))),
    "auth": (
        "Users of the project's own application.",
        (_service("auth", plain=("scaffold_roles",), rename={"list_passkeys": "passkeys"}),),
    ),
    "billing": ("Balance, ledger and card checkouts of an organization.", (_service("billing"),)),
    "branches": ("Copies of a project to try things on.", (_service("branches", lister="list_branches"),)),
    "cache": ("The origin cache of server-rendered pages.", (_service("cache"),)),
    "cdn": ("Freshness of public asset URLs.", (_service("cdn"),)),
    "ci": (
        "GitHub Actions workflows that deploy without a secret.",
        (_service("ci", lister="list_bindings", omit=("signed", "create_binding")),),
    ),
    "claims": ("Advisory claims on what a session is working on.", (_service("claims", lister="list_claims"),)),
    "contracts": ("Ethereum signers in a KMS, and calls through them.", (_service("contracts"),)),
    "credentials": (
        "Project credentials on the gateway, and the project keys cached here.",
        (_service("credentials", lister="list_credentials"),),
    ),
    "delegates": (
        "Scoped, revocable tokens for agents.",
        (_service("delegates", lister="list_delegates", plain=("default_scope",)),),
    ),
    "deploy": (
        "Releases: apply, plan, rehearse, promote, and what happened.",
        (
            Source("sdk._releases", only=("apply", "plan", "rehearse", "resume", "diagnose")),
            _service(
                "apply",
                only=(
                    *("operation", "operation_events", "operations", "edge_coherence", "promote", "release"),
                    *("release_active", "release_diff", "resolve"),
                ),
                rename={"operation_events": "events", "operations": "list"},
            ),
        ),
    ),
    "domains": ("Own domains for the web and e-mail of a project.", (_service("domains", lister="list_domains"),)),
    "email": (
        "A project's mailboxes and their messages.",
        (
            _service("email", lister="list_messages", plain=("message", "attachment")),
            _service(
                "mailboxes",
                omit=("find", "outbound"),
                rename={"list_mailboxes": "mailboxes", "set_footer_policy": "update", "set_defaults": "defaults"},
            ),
        ),
    ),
    "email_webhooks": ("Webhooks of a mailbox.", (_service("email_webhooks", lister="list_webhooks"),)),
    "errors": ("Errors of functions by identity.", (_service("errors"),)),
    "escalations": ("Page the humans of an organization.", (_service("escalations", lister="list_escalations"),)),
    "events": ("What happened to a project or an organization.", (_service("events"),)),
    "function_runs": ("Durable runs of functions.", (_service("function_runs", lister="list_runs"),)),
    "functions": (
        "Deploy, call and inspect serverless functions.",
        (
            Source("sdk._releases", only=("deploy_function",), rename={"deploy_function": "deploy"}),
            _service("functions", lister="list_functions", omit=("deployed",)),
        ),
    ),
    "grants": ("Single capabilities on a project for wallets that are no members.", (_service("grants"),)),
    "identity": ("Public links between the wallet and a Nostr key.", (_service("identity", lister="list_links"),)),
    "image": ("AI image generation, paid per call.", (_service("image", plain=("save",)),)),
    "jobs": ("Platform-managed jobs.", (_service("jobs"),)),
    "logs": ("Log entries of one request, across functions.", (_service("logs"),)),
    "notifications": ("What operators are told.", (_service("notifications", lister="list_notifications"),)),
    "operator": (
        "The human behind the wallets.",
        (_service("operator", plain=("whoami", "status")),),
    ),
    "org": ("Organizations, members, invites, audit.", (_service("org", lister="list_orgs"),)),
    "projects": (
        "Projects: provision, SQL, REST, usage, members' roles.",
        (
            _service("projects", lister="list_projects"),
            _service("expose", rename={"apply": "apply_expose", "get": "get_expose", "validate": "validate_expose"}),
        ),
    ),
    "rooms": (
        "Who works on the same project, and messages between them.",
        (_service("rooms", lister="list_messages", omit=("register", "with_presence")),),
    ),
    "secrets": (
        "Write-only environment variables of functions.",
        (_service("secrets", lister="list_secrets", rename={"set_secret": "set"}),),
    ),
    "service": ("Public health of the gateway.", (_service("service"),)),
    "sites": ("Static sites.", (Source("sdk._releases", only=("deploy_dir",)),)),
    "snapshots": ("Snapshots of a project's data.", (_service("snapshots", lister="list_snapshots"),)),
    "subdomains": ("Names below run402.com.", (_service("subdomains", lister="list_subdomains"),)),
    "tier": (
        "The plan that the wallet's organization pays for.",
        (_service("tiers", omit=("subscribe",), rename={"set_tier": "set"}),),
    ),
    "transfer": ("Hand a project over.", (_service("transfer", lister="list_transfers"),)),
    "wallets": (
        "Named local wallets.",
        (
            _service(
                "wallets",
                lister="list_wallets",
                omit=("set_label",),
                plain=("list_wallets", "new", "adopt", "use", "rename", "remove", "unbind"),
                rename={"current_wallet": "current"},
            ),
        ),
    ),
}
# Calls without a namespace: `r.up()`, `r.pay(url)`.
GENERAL = (
    "Calls that belong to no group.",
    (
        Source("sdk._releases", only=("up",)),
        _service("status", only=("status",)),
        _service("doctor", rename={"report": "doctor"}),
        _service("pay"),
    ),
)
# Older names of a part of a namespace, and what their modules say.
OLDER = {
    group: f"The older name of some calls of `{newer}`." for group, (newer, _) in sdk_commands.OLDER_GROUPS.items()
}
# Modules that serve other modules or one command alone.
INTERNAL = {
    *(
        "app_installs",
        "approvals",
        "deploy_errors",
        "download",
        "instants",
        "ci_session",
        "ci_workflow",
        "console",
        "content",
        "dev",
        "github",
        "setup",
        "sites",
        "skill",
        "target",
        "terminal",
    ),
    *("config", "docs", "installation", "update_check"),
}
# Functions whose project_id means something else than the project that the call is about.
FILTERS = {("services.notifications", "add_rule")}

_SUPPLIED = {"client": "Client", "profile": "Profile", "keys": "KeyCache"}
_LISTENERS = ("Say", "Tell")
_ROUTE = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE|\{METHOD\}|\{method\}) |\.\.\.")
_HEAD = '''"""{summary}

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations
'''


@dataclass(frozen=True)
class Module:
    """One parsed source module: its functions, type aliases, classes, and where imported names come from."""

    name: str
    functions: dict[str, ast.FunctionDef]
    aliases: dict[str, ast.expr]
    classes: set[str]
    imported: dict[str, tuple[str, str | None]]


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


class Types(ast.NodeTransformer):
    """Rewrites annotations of one module for the namespace that uses them, and collects the imports they need."""

    def __init__(self, imports: set[tuple[str, str]], *, shadows_list: bool) -> None:
        self.imports = imports
        self.shadows_list = shadows_list
        self.module: Module

    def text(self, module: Module, annotation: ast.expr) -> str:
        self.module = module
        return ast.unparse(self.visit(ast.parse(ast.unparse(annotation), mode="eval").body))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        module = self.module
        if node.id in module.aliases:
            found: ast.expr = self.visit(ast.parse(ast.unparse(module.aliases[node.id]), mode="eval").body)
            return found
        if node.id in module.classes:
            self.imports.add((f"run402_cli.{module.name}", node.id))
        elif node.id in module.imported:
            source, name = module.imported[node.id]
            assert name is not None
            self.imports.add((source, name))
        elif node.id == "list" and self.shadows_list:
            return ast.parse("builtins.list", mode="eval").body
        return node


@dataclass
class Method:
    """One method to write, from one function; `about` is the project that a project-scoped client puts in."""

    module: Module
    source: ast.FunctionDef
    name: str
    kind: str
    older: str | None = None
    summary: str | None = None

    @property
    def where(self) -> str:
        """The function to edit, for a message."""
        return f"run402_cli/{self.module.name.replace('.', '/')}.py: {self.source.name}"

    @property
    def positional(self) -> list[ast.arg]:
        """Its parameters that may be given by position, without what the namespace puts in."""
        return self.source.args.args if self.kind == "plain" else self.source.args.args[1:]

    @property
    def project_first(self) -> bool:
        return [arg.arg for arg in self.positional[:1]] == ["project_id"]

    @property
    def project_by_name(self) -> bool:
        names = {arg.arg for arg in (*self.positional[1:], *self.source.args.kwonlyargs)}
        return "project_id" in names and (self.module.name, self.source.name) not in FILTERS

    @property
    def takes_project(self) -> bool:
        return self.project_first or self.project_by_name


def methods(sources: tuple[Source, ...]) -> Iterator[Method]:
    for source in sources:
        module = parse(source.module)
        for name, function in module.functions.items():
            kind = "plain" if name in source.plain else _kind(function)
            chosen = name in source.only if source.only else not name.startswith("_") and name not in source.omit
            if chosen and kind:
                yield Method(module, function, source.rename.get(name, name), kind)


def named(group: str, sources: tuple[Source, ...]) -> list[Method]:
    """The methods of one namespace by the names of their commands; each knows its older name and what its command does."""
    newer = {f"{new.rpartition('.')[0]}.{old}": new for new, old in sdk_commands.OLDER_NAMES.items()}
    out = []
    for method in methods(sources):
        full = f"{group}.{method.name}" if group else method.name
        new = newer.get(full, full)
        method.older = method.name if new != full else None
        method.name = new.rpartition(".")[2]
        method.summary = sdk_commands.summary(new)
        out.append(method)
    return out


def _kind(function: ast.FunctionDef) -> str | None:
    """Which of the things that the namespace has comes first: client, profile or keys; None for a helper."""
    first = function.args.args[0] if function.args.args else None
    if first is None or first.annotation is None:
        return None
    return first.arg if _SUPPLIED.get(first.arg) == ast.unparse(first.annotation) else None


class Writer:
    """The text of one namespace module."""

    def __init__(self, found: list[Method]) -> None:
        self.found = found
        self.imports: set[tuple[str, str]] = set()
        self.shadows_list = any("list" in (method.name, method.older) for method in found)
        self.types = Types(self.imports, shadows_list=self.shadows_list)

    def of(self, method: Method, *, bound: bool) -> str:
        """One method; a `bound` one takes the project from its namespace."""
        arguments = method.source.args
        defaults = dict(
            zip(reversed([each.arg for each in arguments.args]), reversed(arguments.defaults), strict=False)
        )
        shown, call = ["self"], [f"_{method.module.name.split('.')[-1].strip('_')}.{method.source.name}"]
        for arg in method.positional:
            value = self._supplied(method, arg, bound=bound)
            shown += [] if value else [self._parameter(method, arg, defaults.get(arg.arg))]
            call.append(value or arg.arg)
        keywords = []
        for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            value = self._supplied(method, arg, bound=bound)
            keywords += [] if value else [self._parameter(method, arg, default)]
            call.append(f"{arg.arg}={value or arg.arg}")
        shown += ["*", *keywords] if keywords else []
        if arguments.kwarg is not None:
            assert arguments.kwarg.annotation is not None
            shown.append(f"**{arguments.kwarg.arg}: {self.types.text(method.module, arguments.kwarg.annotation)}")
            call.append(f"**{arguments.kwarg.arg}")
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
            return f"_{module.name.split('.')[-1].strip('_')}.{value.id}"
        return ast.unparse(value).replace("'", '"')


def _body(method: Method, call: list[str], *, verb: str) -> list[str]:
    """The call. A function with ** arguments cannot go through the typed helpers: mypy sees a clash of names there."""
    if method.source.args.kwarg is not None:
        assert method.kind == "client"
        inner = _wrapped(f"            {verb}{call[0]}(", ["self._client", *call[1:]], ")")
        return ["        with self._scope():", *inner]
    helper = "self._call" + ("" if method.kind == "client" else f"_{method.kind}")
    return _wrapped(f"        {verb}{helper}(", call, ")")


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


@dataclass(frozen=True)
class Group:
    """One namespace; an older one has some methods of a newer one."""

    name: str
    summary: str
    found: list[Method]

    @property
    def title(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("_")) or "General"

    @property
    def bound(self) -> list[Method]:
        """The methods that a project has too: it fills itself in."""
        return [method for method in self.found if method.takes_project and self.name]

    @property
    def other(self) -> list[Method]:
        """The methods that `r` has alone, or with another signature."""
        return [method for method in self.found if method not in self.bound or method.project_by_name]

    @property
    def classes(self) -> tuple[str, str]:
        """The types of `r.<name>` and of `project.<name>`, the second empty where there is none."""
        if not self.bound:
            return self.title, ""
        return (self.title, f"Project{self.title}[str]") if self.other else (f"{self.title}[Id]", f"{self.title}[Id]")


def group(name: str) -> Group:
    newer, names = sdk_commands.OLDER_GROUPS.get(name, (name, {}))
    summary, sources = NAMESPACES[newer] if name else GENERAL
    found = [method for method in named(newer, sources) if not names or method.name in names.values()]
    assert len({method.name for method in found}) == len(found), f"{name}: two methods have one name"
    return Group(name, OLDER.get(name, summary), found)


def module_text(group: Group) -> str:
    """One class for both clients, or one with what a project has and one that adds the rest."""
    writer = Writer(group.found)
    project = "`project`" if group.name == "projects" else f"`project.{group.name}`"
    classes, base = [], "Namespace[None]"
    if group.bound:
        name = ("Project" if group.other else "") + group.title
        calls = [writer.of(method, bound=method.project_by_name) for method in group.bound]
        classes.append(
            _class_text(f"{name}(Namespace[Id])", f"{group.summary} {project} fills in `project_id`.", calls)
        )
        base = f"{name}[None]"
    if group.other:
        calls = [writer.of(method, bound=False) for method in group.other]
        classes.append(_class_text(f"{group.title}({base})", group.summary, calls))
    return _module_text(group.summary, _imports(writer, "\n".join(classes)), classes)


def older_text(older: Group) -> str:
    """The module of an older group: its methods are those of the newer one."""
    newer, names = sdk_commands.OLDER_GROUPS[older.name]
    full, bound = (kind.partition("[")[0] for kind in group(newer).classes)
    sides = [(f"{older.title}(Namespace[Id])", bound)]
    if older.other:
        sides = [(f"Project{older.title}(Namespace[Id])", bound), (f"{older.title}(Namespace[None])", full)]
    helper = {method.name: "of_project" if method.project_first else "moved" for method in older.found}
    classes = []
    for head, owner in sides:
        calls = [f"    {old} = {helper[new]}({owner}.{new})" for old, new in names.items()]
        classes.append(_class_text(head, older.summary, ["\n".join(calls)]))
    source = f"from run402_cli.sdk.namespaces.{newer} import {', '.join(owner for _, owner in sides)}"
    return _module_text(older.summary, [_shared("\n".join(classes)), source], classes)


def _module_text(summary: str, imports: list[str], classes: list[str]) -> str:
    return "\n".join([_HEAD.format(summary=summary), *imports, "", "", "\n\n\n".join(classes)]) + "\n"


def _class_text(head: str, summary: str, bodies: list[str]) -> str:
    return f'class {head}:\n    """{summary}"""\n\n' + "\n\n".join(bodies)


def _imports(writer: Writer, body: str) -> list[str]:
    modules = {method.module.name for method in writer.found}
    now = []
    for name in modules:
        package, leaf = name.split(".")
        now.append(f"from run402_cli.{package} import {leaf}" + ("" if leaf[0] == "_" else f" as _{leaf}"))
    now.append(_shared(body))
    for name in modules:
        leaf = name.split(".")[1]
        if leaf[0] == "_":
            assert f"{leaf}." in body
    typed: dict[str, set[str]] = {}
    for source, name in writer.imports:
        typed.setdefault(source, set()).add(name)
    standard = {source for source in typed if not source.startswith("run402_cli")}
    lines = [f"from {source} import {', '.join(sorted(typed[source]))}" for source in standard]
    ours = sorted(
        (
            f"from {source} import {', '.join(sorted(names))}"
            for source, names in typed.items()
            if source not in standard
        ),
        key=_import_key,
    )
    checked = [*sorted(lines, key=_import_key), *([""] if lines and ours else []), *ours]
    library = ["import builtins"] if "builtins.list" in body else []
    library += ["from typing import TYPE_CHECKING"] if checked else []
    head = [*library, *([""] if library else []), *sorted(now, key=_import_key)]
    if checked:
        head += ["", "if TYPE_CHECKING:", *(f"    {line}" if line else "" for line in checked)]
    return head


def _shared(body: str) -> str:
    """The import of what a module uses of run402_cli/sdk/_namespace.py."""
    names = {"Id": "[Id]", "Namespace": "Namespace[", "moved": " moved(", "of_project": "of_project"}
    return f"from run402_cli.sdk._namespace import {', '.join(name for name, used in names.items() if used in body)}"


def _import_key(line: str) -> tuple[str, str]:
    _, module, _, names = line.split(" ", 3)
    return module, names


def index_text() -> str:
    """namespaces/__init__.py: the attributes of the clients, each imported when it is first used."""
    groups = [group(name) for name in sorted({**NAMESPACES, **OLDER})]
    imports = [
        *("from functools import cached_property", "from typing import TYPE_CHECKING", ""),
        *("from run402_cli.sdk._namespace import Id, Namespace", "", "if TYPE_CHECKING:"),
    ]
    both: dict[str, str] = {}
    full: dict[str, str] = {}
    bound: dict[str, str] = {}
    for each in groups:
        here, there = each.classes
        if here == there:
            both[each.name] = _attribute(each, here)
            continue
        full[each.name] = _attribute(each, here)
        if there and each.name != "projects":  # its calls are those of the project itself
            bound[each.name] = _attribute(each, there)
    for each in groups:
        used = sorted({kind.partition("[")[0] for kind in each.classes if kind} - {"ProjectProjects"})
        imports.append(f"    from run402_cli.sdk.namespaces.{each.name} import {', '.join(used)}")
    classes = [
        _class_text("SharedNamespaces(Namespace[Id])", "The attributes of both.", [*both.values()]),
        _class_text("Namespaces(SharedNamespaces[None])", "The attributes of Run402.", [*full.values()]),
        _class_text("ProjectNamespaces(SharedNamespaces[str])", "The attributes of a project.", [*bound.values()]),
    ]
    summary = "The namespaces as attributes; each module is imported when its attribute is first used."
    return _module_text(summary, imports, classes)


def _attribute(group: Group, kind: str) -> str:
    made = kind.partition("[")[0]
    return f'''    @cached_property
    def {group.name}(self) -> {kind}:
        """{group.summary}"""
        from run402_cli.sdk.namespaces.{group.name} import {made}

        return {made}(self._client, self._say, self._project_id)'''


def reference_text() -> str:
    """docs/reference/python-sdk.md: every method with its parameters and the first paragraph of its docstring."""
    lines = [
        "# The Python API",
        "",
        "`r` is `Run402(...)`, `project` is `r.project(project_id)`; see [how to use them](../how-to/python-sdk.md). A method",
        "marked with * is also one of `project.<group>`, without `project_id`; those of `projects` are on `project` itself.",
        "",
    ]
    for name, (summary, sources) in (("", GENERAL), *NAMESPACES.items()):
        prefix = f"r.{name}" if name else "r"
        found = named(name, sources)
        writer = Writer(found)
        lines += [f"## {prefix}", "", summary, ""]
        for method in found:
            tree = ast.parse(textwrap.dedent(writer.of(method, bound=False))).body[0]
            assert isinstance(tree, ast.FunctionDef)
            del tree.args.args[0]
            star = "*" if name and method.takes_project else ""
            older = f" (older name: `{method.older}`)" if method.older else ""
            lines += [f"`{prefix}.{method.name}({_plain(tree.args)})`{star}{older}", ""]
            for paragraph in (ast.get_docstring(tree) or "").split("\n\n")[: 2 if method.summary else 1]:
                lines += [" ".join(paragraph.split()).replace("<", "&lt;"), ""]
    for group, (newer, names) in sdk_commands.OLDER_GROUPS.items():
        lines += [f"## r.{group}", "", f"{OLDER[group]} They stay, also on a project.", ""]
        lines += [f"`r.{group}.{old}` is `r.{newer}.{new}`.\n" for old, new in names.items()]
    return "\n".join(lines).rstrip() + "\n"


def _plain(arguments: ast.arguments) -> str:
    text = ast.unparse(arguments).replace("'", '"').replace("builtins.list", "list")
    return re.sub(r"\b_(\w+)\.([A-Z])", r"\1.\2", text)


def _check_complete() -> None:
    """Every service module has a namespace or is known to need none."""
    used = {source.module for _, sources in (*NAMESPACES.values(), GENERAL) for source in sources}
    services = {path.stem for path in (PACKAGE / "services").glob("[a-z]*.py")}
    missing = sorted(name for name in services if f"services.{name}" not in used and name not in INTERNAL)
    if missing:
        raise Missing(f"docs/generate_sdk.py: neither NAMESPACES nor INTERNAL has the services {', '.join(missing)}")


def pages() -> dict[Path, str]:
    """Every generated module and its text."""
    _check_complete()
    out = {OUT / "__init__.py": index_text(), OUT / "_general.py": module_text(group(""))}
    out |= {OUT / f"{name}.py": module_text(group(name)) for name in NAMESPACES}
    out |= {OUT / f"{name}.py": older_text(group(name)) for name in OLDER}
    out[ROOT / "docs" / "reference" / "python-sdk.md"] = reference_text()
    return out


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")
