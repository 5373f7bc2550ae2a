"""The command kernel: one argument parser for every command, on top of Typer.

Rules (docs/protocol/conventions.md, "Arguments"): `--flag=value` and `--flag value`; a value may not start with `--`; an
unknown flag is UNKNOWN_FLAG with the closest match; the first occurrence of a value flag wins unless it is repeatable;
flags and positionals mix freely; `--json` is known to every command; `--help` wins over everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import typer
from typer.core import TyperCommand
from typer.main import get_command_from_info

from run402_cli import invocation
from run402_cli.errors import CommandError, FlagError, UsageError
from run402_cli.suggest import closest, did_you_mean

_HELP = ("--help", "-h")
_CONTEXT = {"help_option_names": ["--help", "-h"], "max_content_width": 110, "terminal_width": 110}
F = TypeVar("F", bound=Callable[..., Any])


class CommandGroup(typer.Typer):
    """A group's commands. Registered with `@app.command("name", example="run402 group name ...")`."""

    def __init__(self) -> None:
        super().__init__(rich_markup_mode=None, add_completion=False)

    def command(  # type: ignore[override]
        self, name: str, *, example: str | Sequence[str], hidden: bool = False, cls: type[Command] | None = None
    ) -> Callable[[F], F]:
        examples = [example] if isinstance(example, str) else list(example)
        epilog = "\b\n" + "\n".join(("Example:" if len(examples) == 1 else "Examples:", *(f"  {e}" for e in examples)))
        return super().command(name, cls=cls or Command, epilog=epilog, hidden=hidden, context_settings=_CONTEXT)

    def find(self, name: str) -> click.Command:
        """The click command of one subcommand; the others are not built."""
        info = next(info for info in self.registered_commands if info.name == name)
        return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


class Command(TyperCommand):
    """A Typer command whose argument errors are error envelopes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        tokens = [part for token in args for part in _split(token)]
        if any(token in _HELP for token in tokens):
            tokens = ["--help"]
        else:
            tokens = self._checked(ctx, tokens)
        return super().parse_args(ctx, tokens)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line without hidden arguments, which only older forms have."""
        shown = [param for param in self.get_params(ctx) if not getattr(param, "hidden", False)]
        return ["[OPTIONS]", *(piece for param in shown for piece in param.get_usage_pieces(ctx))]

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
            if not token.startswith("-") or token == "-":
                positionals.append(token)
                continue
            option = known.get(token)
            if option is None:
                if token in invocation.OPTIONS:
                    invocation.take(token, _value(token, rest) if invocation.OPTIONS[token][0] else None)
                elif token != "--json":
                    raise unknown_flag(token, known)
                continue
            value = None if option.is_flag else _value(token, rest)
            if option.name in seen and not option.multiple:
                continue
            seen.add(option.name)
            flags.append(token if value is None else f"{_long(option, token)}={value}")
        self._check_count(ctx, positionals)
        return [*flags, "--", *positionals]

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


def _split(token: str) -> list[str]:
    if token.startswith("--") and "=" in token:
        name, value = token.split("=", 1)
        return [name, value]
    return [token]


def _long(option: click.Option, token: str) -> str:
    return next((name for name in option.opts if name.startswith("--")), token)


def _value(flag: str, rest: Any) -> str:
    value: str | None = next(rest, None)
    if value is None or value.startswith("--"):
        raise FlagError(f"{flag} needs a value.", hint=f"Write {flag} <value>.", details={"flag": flag})
    return value


def unknown_flag(flag: str, known: Sequence[str] | dict[str, Any]) -> CommandError:
    candidates = [*known, *(name for name in ("--json", *_HELP) if name not in known)]
    near = closest(flag, candidates) or closest(flag, invocation.OPTIONS)
    return CommandError(
        f"Unknown flag {flag}.{did_you_mean(near)}",
        code="UNKNOWN_FLAG",
        hint="Add --help to the command to see its flags.",
        details={"flag": flag, "closest": near},
    )


def run(command: click.Command, args: list[str], *, prog: str) -> None:
    """Parse and run one command; click's own complaints become error envelopes."""
    try:
        command.main(args=args, prog_name=prog, standalone_mode=False)
    except click.BadParameter as exc:
        flag = exc.param.opts[0] if exc.param is not None else None
        raise FlagError(exc.format_message(), details={"flag": flag}) from exc
    except click.ClickException as exc:
        raise UsageError(exc.format_message(), hint=f"{prog} --help") from exc
