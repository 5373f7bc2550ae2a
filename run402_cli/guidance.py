"""The last touch on a local error before it is shown: what to run next, from the error and from the command as typed.

An error that brings next_actions of its own keeps them. For the others the first action is, in this order: the command with
the wrong word mended or left blank; the command with what the hint's command has on top; the commands of the hint or the
message, on the project and wallet that were typed; the command with the wrong value left blank; the same command once more
where that may help; its help. Answers of a gateway keep what the gateway
said. An action that agrees to something has `confirms`. See docs/protocol/errors.md, "Next actions".
"""

from __future__ import annotations

import re
from typing import Any

from run402_cli import advice, as_typed, secrecy
from run402_cli.advice import Blank

Envelope = dict[str, Any]


def finished(envelope: Envelope) -> Envelope:
    """The envelope as it is shown: with a next step, and without secrets."""
    told = secrecy.CommandLine(as_typed.words())
    guided = envelope if "http" in envelope else _guided(envelope, told)
    actions = guided.get("next_actions")
    if told.words and isinstance(actions, list):
        guided = {**guided, "next_actions": [_placed(action, told) for action in actions]}
    return secrecy.masked(guided)


def _placed(action: Any, told: secrecy.CommandLine) -> Any:
    """An action of any origin: on the project and wallet that were typed, and marked where running it agrees to something."""
    wanted = as_typed.line_of(action)
    if wanted is None:
        return action
    action = as_typed.extended(action, wanted, _same_place(wanted, told))
    agrees = {flag for flag in wanted.given if flag in _AGREE and flag not in told.given}
    return {**action, "confirms": True} if agrees or wanted.path[:2] == ["allowance", "limits"] else action


# Who runs a command with one of these, and did not type it before, decides something.
_AGREE = ("--confirm", "--yes", "-y", "--allow-warning", "--allow-warnings")


def _guided(envelope: Envelope, told: secrecy.CommandLine) -> Envelope:
    if actions := envelope.get("next_actions"):
        own = _with_project(told) if envelope.get("code") == "PROJECT_REQUIRED" else []
        return {**envelope, "next_actions": [*own, *actions]}
    details = envelope.get("details")
    known = details if isinstance(details, dict) else {}
    actions = _mended(envelope, known, told) or _hinted(envelope, told) or _blanked(known, told)
    if not actions and envelope.get("retryable") and told.words:
        actions = [advice.action("retry", *told.words)]
    hint = envelope.get("hint") or envelope.get("fix")
    if not actions:
        shown = (*told.path, "--help")
        actions = [advice.action("show_help", *shown, why="It shows the arguments, the flags and an example.")]
        envelope = (
            envelope if hint else {**envelope, "hint": f"What it takes, with an example: {advice.command(*shown)}"}
        )
    return {**envelope, "next_actions": actions} if actions else envelope


def _with_project(told: secrecy.CommandLine) -> list[Envelope]:
    if not told.flags.get("--project") or "--project" in told.given:
        return []
    return [advice.run(*as_typed.again("--project", Blank("project_id")), why="Ids: run402 projects list")]


def _mended(envelope: Envelope, details: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """The command as typed, with the word that the error is about replaced by what it should be, or left blank."""
    near = details.get("closest")
    wrong, right = None, None
    switch = str(details.get("flag"))
    if near == [] and re.fullmatch("-[A-Za-z]", switch) and switch in told.words and set(told.bare) - {switch}:
        return [advice.run(*(word for word in told.words if word != switch))]  # of another tool
    if isinstance(near, list) and near:
        wrong = next(
            (details[key] for key in ("flag", "subcommand", "command") if details.get(key) in told.words), None
        )
        right = str(near[0])
    elif (flag := envelope.get("field") or details.get("flag") or details.get("field")) in told.given:
        wrong, right = told.given[flag], _value(str(flag), details)
        if wrong is None and told.flags[flag]:
            return [advice.run(*as_typed.again(right))] if told.words[-1] == flag else []
    elif envelope.get("code") == "BAD_PROJECT_ID" and details.get("value") in told.words:
        wrong, right = details["value"], Blank("project_id")
    if wrong is None or right is None:
        return []
    words = told.with_word(wrong, right)
    return [advice.run(*words)] if words else []


def _blanked(details: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """The command as typed with the word that the error repeats left blank."""
    key = next((key for key in _VALUES if details.get(key) in told.bare), None)
    return [advice.run(*told.with_word(details[key], Blank(key)))] if key is not None else []


# Members of `details` that repeat the word which is wrong, where it is a word of its own.
_VALUES = ("value", "name", "wallet", "path", "file", "url", "page")


def _value(flag: str, details: Envelope) -> str:
    for bound in ("min", "max"):
        if isinstance(details.get(bound), int):
            return str(details[bound])
    allowed = details.get("allowed")
    if isinstance(allowed, list) and allowed:
        return str(allowed[0]) if len(allowed) == 1 else Blank("|".join(map(str, allowed)))
    return Blank(flag.lstrip("-").replace("-", "_"))


def _hinted(envelope: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    found = next((each for text in _texts(envelope, told) if (each := advice.commands_in(text))), [])
    merged = _usage_with_flags if envelope.get("code") == "UNKNOWN_FLAG" else _whole
    return [advice.run(*merged(words, told)) for words in found if words]


def _texts(envelope: Envelope, told: secrecy.CommandLine) -> list[str]:
    """Where the error may name a command. A message repeats what was typed: a command that was typed is no advice."""
    texts = [envelope.get("hint"), envelope.get("fix")]
    if not any("run402 " in word for word in told.words):
        texts.append(envelope.get("message"))
    return [text for text in texts if isinstance(text, str)]


def _usage_with_flags(usage: list[str], told: secrecy.CommandLine) -> list[str]:
    """The usage and the known flags that were typed: which word stands in the wrong place is the error itself."""
    wanted = secrecy.CommandLine(usage)
    more = [
        (flag, value) for flag, value in told.given.items() if flag not in wanted.given and flag not in secrecy.FLAGS
    ]
    return [*usage, *(word for pair in more for word in pair if word is not None)]


def _whole(usage: list[str], told: secrecy.CommandLine) -> list[str]:
    """The usage of a command, merged into the command as typed: with what it has on top of that."""
    wanted = secrecy.CommandLine(_plain(usage))
    if wanted.path != told.path or len(told.words) <= len(told.path) or "--help" in wanted.words:
        return list(wanted.words)
    more = [*wanted.bare[len(told.bare) :]]
    # A word too many is the value of the flag that is missing.
    loose = told.bare[len(wanted.bare) :]
    used: list[str] = []
    for flag, value in wanted.given.items():
        if flag not in told.given and value not in told.bare:
            if isinstance(value, Blank) and len(loose) == 1 and not used:
                used, value = loose, loose[0]
            more += [flag] if value is None else [flag, value]
    return list(as_typed.again(*more, without=used)) if more else list(wanted.words)


def _same_place(wanted: secrecy.CommandLine, told: secrecy.CommandLine) -> list[str]:
    """The project and the wallet that were typed, for another command that takes them: it must act on the same thing."""
    if wanted.path[:1] == ["wallets"] or wanted.path == told.path or "--help" in wanted.words:
        return []  # the same command without its project: that was what is wrong
    typed = [(flag, told.given.get(flag)) for flag in ("--project", "--wallet") if wanted.flags.get(flag)]
    known = [*wanted.given, *wanted.bare, *wanted.given.values()]
    return [word for flag, value in typed if value and not {flag, value} & {*known} for word in (flag, value)]


def _plain(usage: list[str]) -> list[str]:
    """A usage without what is optional; a word in capitals stands for a value."""
    kept = [word for word in usage if not word.startswith("[") and not word.endswith("]")]
    return [Blank(word.lower()) if word.isupper() and len(word) > 1 and word.isidentifier() else word for word in kept]
