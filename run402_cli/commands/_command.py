"""The command kernel: one argument parser for every command, on top of Typer.

Rules (docs/protocol/conventions.md, "Arguments"): a word that does not look like `-x` or `--flag` is a value;
`--flag=value` takes any value, `--flag value` none that looks like a `--flag`; an unknown flag is UNKNOWN_FLAG with the
closest match; the first occurrence of a value flag wins unless it is repeatable; flags and positionals mix freely;
`--json` is known to every command; `--help` wins over everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from run402_cli import advice, exits, global_options, helptext, output, suggest
from run402_cli.errors import CommandError, FlagError, UsageError, Verdict
from run402_cli.partial_imports import later
from run402_cli.suggest import did_you_mean

with later("subprocess", "shellingham"):  # typer opens pages and installs completion with them
    import click
    import typer
    from typer.core import TyperCommand
    from typer.main import get_command_from_info
    from typer.models import CommandInfo

_HELP = ("--help", "-h")
_WALLET_FLAGS = ("--wallet", "--profile")
_CONTEXT = {"help_option_names": ["--help", "-h"]}
# Positional words that name a file, and those that are text: both have a spelling that is no flag.
_PATHS = {"FILE", "PATH", "ARCHIVE_PATH", "MANIFEST", "SOURCE"}
_TEXTS = {"SQL", "TEXT", "BODY", "PROMPT", "REASON"}
F = TypeVar("F", bound=Callable[..., Any])


# The words of effects.py, which explains them.
Effect = Literal["read", "write", "destructive"]
Auth = Literal[
    "principal",
    "wallet",
    "service_key",
    "anon_key",
    "user_token",
    "operator_session",
    "control_plane_session",
    "ci_session",
    "admin",
]


class Declaration(NamedTuple):
    """What a command says of itself beside its arguments; effects.py explains the fields."""

    summary: str | None  # None: the first sentence of its description
    effect: str
    auth: tuple[str, ...]
    needed: tuple[str, ...]
    marks: tuple[str, ...]


class UndeclaredError(TypeError):
    """A command that does not say what it does: names its file, its function, and what to write."""


class CommandGroup(typer.Typer):
    """A group's commands. Registered with `@app.command("name", effect=..., auth=..., example="run402 group name ...")`.

    `make docs` writes what they declare into command_table.py, for those who may not import a command.
    """

    def __init__(self) -> None:
        super().__init__(rich_markup_mode=None, add_completion=False)
        self.declared: dict[str, Declaration] = {}  # without the hidden ones: those are older spellings
        self._built: dict[str, tuple[CommandInfo, Declaration | None, click.Command]] = {}

    def command(  # type: ignore[override]
        self,
        name: str,
        *,
        example: str | Sequence[str],
        summary: str | None = None,
        effect: Effect | None = None,
        auth: Auth | Sequence[Auth] | None = None,
        needed: str | Sequence[str] = (),
        spends: bool = False,
        reveals: bool = False,
        passes_on: bool = False,
        hidden: bool = False,
        cls: type[Command] | None = None,
    ) -> Callable[[F], F]:
        marks = {"spends": spends, "reveals": reveals, "passes_on": passes_on}
        examples = _tuple(example)
        epilog = "\b\n" + "\n".join(("Example:" if len(examples) == 1 else "Examples:", *(f"  {e}" for e in examples)))
        add = super().command(name, cls=cls or Command, epilog=epilog, hidden=hidden, context_settings=_CONTEXT)

        def declare(function: F) -> F:
            if not hidden:
                if effect is None or auth is None:
                    raise UndeclaredError(_undeclared(function, name, "auth" if effect else "effect"))
                said = tuple(mark for mark, given in marks.items() if given)
                self.declared[name] = Declaration(summary, effect, _tuple(auth), _tuple(needed), said)
            return add(function)

        return declare

    def find(self, name: str) -> click.Command:
        """The click command of one subcommand, built once; the others are not built."""
        info = next(info for info in self.registered_commands if info.name == name)
        declared = self.declared.get(name)
        made_of, said, command = self._built.get(name, (None, None, None))
        if command is None or made_of is not info or said is not declared:
            command = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
            if isinstance(command, Command) and declared is not None:
                command.needed = declared.needed
            self._built[name] = (info, declared, command)
        return command


def _tuple(words: str | Sequence[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _undeclared(function: Callable[..., Any], name: str, lacks: str) -> str:
    words = {
        "effect": 'effect="read", "write" or "destructive"',
        "auth": 'auth="principal", another class of AUTH_CLASSES in run402_cli/effects.py, or () for none',
    }
    path = f"{function.__module__.replace('.', '/')}.py"
    return f'{path}: {function.__name__} declares no {lacks}: write {words[lacks]} into @app.command("{name}", ...)'


class Command(TyperCommand):
    """A Typer command whose argument errors are error envelopes."""

    needed: tuple[str, ...] = ()  # flags without which it stops

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # `--value=--help` is a value: only a word of its own asks for help.
        if any(token in _HELP for token in args):
            global_options.current.command = ""  # help is no part of the command: it changes nothing
            output.emit_text(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, self._checked(ctx, args))

    def get_help(self, ctx: click.Context) -> str:
        """The help in the width of the terminal; its last lines tell the exit codes and name the global options."""
        ctx.terminal_width = ctx.max_content_width = helptext.width()
        flags = " ".join((*global_options.OPTIONS, _WALLET_FLAGS[0]))
        last = helptext.wrapped(f"On every command: {flags}. run402 --help explains them.")
        outcomes = helptext.wrapped(exits.sentence(ctx.command_path.removeprefix("run402 ")))
        return "\n".join((super().get_help(ctx).rstrip(), "", *outcomes, *last))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples; one that is too long for a line stays a command that can be pasted."""
        title, *examples = (self.epilog or "").replace("\b\n", "").splitlines()
        lines = [line for text in examples for line in helptext.example(text.strip())]
        formatter.write("\n" + "\n".join((title, *lines)) + "\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options; positional words stand in the usage line, and here only where they are explained."""
        params = self.get_params(ctx)
        explained = [param for param in params if not isinstance(param, click.Option) and getattr(param, "help", None)]
        options = [param for param in params if isinstance(param, click.Option)]
        for title, shown in (("Arguments", explained), ("Options", options)):
            records = [record for param in shown if (record := param.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line: `[OPTIONS]` and each positional word as the schema says it; older forms are hidden."""
        shown = [
            param for param in self.params if isinstance(param, click.Argument) and not getattr(param, "hidden", False)
        ]
        needed = [f"{flag} {self._options()[flag].metavar}" for flag in self.needed]
        return ["[OPTIONS]", *(param.metavar or param.make_metavar(ctx) for param in shown), *needed]

    def _options(self) -> dict[str, click.Option]:
        return {
            name: param
            for param in self.params
            if isinstance(param, click.Option)
            for name in (*param.opts, *param.secondary_opts)
        }

    def _checked(self, ctx: click.Context, tokens: list[str]) -> list[str]:
        """The argument list in a form that click reads without doubt; raises CommandError otherwise."""
        known = self._options()
        flags: list[str] = []
        positionals: list[str] = []
        seen: set[str | None] = set()
        rest = iter(tokens)
        for token in rest:
            if not global_options.looks_like_flag(token):
                positionals.append(token)
                continue
            name, equals, attached = token.partition("=")
            given = attached if equals else None
            option = known.get(name) or known.get(global_options.SHORT.get(name, name))
            if option is None:
                self._take_global(ctx, name, given, rest)
                continue
            value = self._value(ctx, name, given, rest, wanted=not option.is_flag)
            if option.name in seen and not option.multiple:
                continue
            seen.add(option.name)
            flags.append(option.opts[0] if value is None else f"{_long(option, name)}={value}")
        self._check_count(ctx, positionals)
        global_options.settle()
        return [*flags, "--", *positionals]

    def _take_global(self, ctx: click.Context, name: str, given: str | None, rest: Iterator[str]) -> None:
        """Set the global option that `name` spells; UNKNOWN_FLAG when it spells none."""
        option = global_options.option(name)
        if option is not None:
            wants = global_options.OPTIONS[option][0] is not None
            global_options.take(option, self._value(ctx, name, given, rest, wanted=wants))
        elif name != "--json":
            raise unknown_flag(
                name, self._options(), as_data=self._as_data(ctx, next(rest, name) if name == "--" else name)
            )

    def _value(
        self, ctx: click.Context, flag: str, given: str | None, rest: Iterator[str], *, wanted: bool
    ) -> str | None:
        """The value of a flag: what follows `=`, whatever it begins with, else the next word unless it looks like `--flag`.

        None where none is `wanted`.
        """
        if not wanted:
            if given is not None:
                raise FlagError(f"{flag} takes no value.", hint=f"Write {flag} alone.", details={"flag": flag})
            return None
        value = given if given is not None else next(rest, None)
        if value is None or (given is None and value.startswith("--") and global_options.looks_like_flag(value)):
            raise FlagError(
                f"{flag} needs a value.",
                hint=f"Where the value begins with --, join it: {advice.command(*self._start(ctx))} {flag}=<value>",
                details={"flag": flag},
            )
        return value

    def _start(self, ctx: click.Context) -> list[str]:
        """The words of the command up to its required arguments."""
        needed = [advice.Blank(word) for word, required, _ in words_of(self, ctx) if required]
        return [*ctx.command_path.split()[1:], *needed]

    def _as_data(self, ctx: click.Context, token: str) -> str:
        """How to pass a word as data that is read as a flag: a flag that takes it, a path, a blank; or that it cannot be."""
        known = self._options()
        start = self._start(ctx)
        words = [word for word, _required, _many in words_of(self, ctx)]
        kinds = {"--stdin": ["--stdin"], "--file": ["--file", advice.Blank("path")]}
        kinds["--body-file"] = ["--body-file", advice.Blank("path")]
        doors: list[str] = [advice.command(*start, *more) for flag, more in kinds.items() if flag in known]
        joined = [flag for word in words if (flag := f"--{word.lower()}") in known and word != "PROJECT"]
        doors += [f"{advice.command(*start)} {flag}=<text>" for flag in joined]
        if _PATHS.intersection(words):
            doors.append(f"for a file of that name {advice.quoted(f'./{token}')}")
        if _TEXTS.intersection(words):
            doors.append(f"as a text with a blank before it: {advice.quoted(f' {token}')}")
        if doors:
            return f" If it is data: {', or '.join(doors)}."
        if not words or len(token) > 2:
            return ""
        return f" It cannot be a {words[0]}: a word of this form is always read as a flag, and -- does not change that."

    def _check_count(self, ctx: click.Context, positionals: list[str]) -> None:
        arguments = [param for param in self.params if isinstance(param, click.Argument)]
        usage = self.get_usage(ctx)
        if all(argument.nargs != -1 for argument in arguments) and len(positionals) > len(arguments):
            extra = positionals[len(arguments)]
            raise UsageError(f"Unexpected argument {extra!r}.", hint=usage)
        required = [argument for argument in arguments if argument.required]
        if len(positionals) < len(required):
            missing = required[len(positionals)].make_metavar(ctx)
            raise UsageError(f"Missing argument {missing}.", hint=usage)


def words_of(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, bool, bool]]:
    """(name, required, repeatable) of each positional word: the one source of usage line, llms-cli.txt and schema."""
    for param in command.params:
        if not isinstance(param, click.Argument) or getattr(param, "hidden", False):
            continue
        many = param.nargs == -1 and not param.metavar
        for word in (param.metavar or param.make_metavar(ctx)).split():
            yield word.strip("[]."), not word.startswith("["), many or "..." in word


def _long(option: click.Option, token: str) -> str:
    return next((name for name in option.opts if name.startswith("--")), token)


def unknown_flag(flag: str, known: Iterable[str], *, as_data: str = "") -> CommandError:
    """UNKNOWN_FLAG with the closest of the command's own and the global flags, and how to pass the word as data."""
    near = suggest.flag(flag, [*known, *global_options.OPTIONS, *_WALLET_FLAGS, "--json", *_HELP])
    return CommandError(
        f"Unknown flag {flag}.{did_you_mean(near)}",
        code="UNKNOWN_FLAG",
        hint=f"Add --help to the command to see its flags.{as_data}",
        details={"flag": flag, "closest": near},
    )


def needs_action(context: click.Context, actions: Iterable[str], *values: str) -> Verdict:
    """No action follows the name of a group inside a group: its help, and `list` with `values` as what to run."""
    output.emit_text(context.get_help())
    name = context.command_path.removeprefix("run402 ")
    return Verdict(1, f"{name} needs an action: {', '.join(actions)}.", advice.command(*name.split(), "list", *values))


def run(command: click.Command, args: list[str], *, prog: str) -> None:
    """Parse and run one command; click's own complaints become error envelopes."""
    try:
        command.main(args=args, prog_name=prog, standalone_mode=False)
    except click.BadParameter as exc:
        flag = exc.param.opts[0] if exc.param is not None else None
        raise FlagError(exc.format_message(), details={"flag": flag}) from exc
    except click.ClickException as exc:
        raise UsageError(exc.format_message(), hint=f"{prog} --help") from exc
