"""The last touch on a local error before it is shown: what to run next, from the error and from the command as typed.

An error that brings next_actions of its own keeps them. For the others the first action is, in this order: the command with
the wrong word mended or left blank; the command with what the hint's command has on top; the commands of the hint or the
message, on the project and wallet that were typed; the command with the wrong value left blank; the same command once more
where that may help; the command that reads the corrected text again; its help. A command that has written and must not be
repeated is in none of these. Answers of a gateway keep what the gateway said; a bare refusal gets a look at the request.
An action that agrees to something has `confirms`. See docs/protocol/errors.md, "Next actions".
"""

from __future__ import annotations

import re
from typing import Any

from run402_cli import advice, as_typed, global_options, secrecy
from run402_cli.advice import Blank

Envelope = dict[str, Any]


def finished(envelope: Envelope) -> Envelope:
    """The envelope as it is shown: with a next step, and without secrets."""
    told = secrecy.CommandLine(as_typed.words())
    guided = _refused(envelope, told) if "http" in envelope else _guided(envelope, told)
    actions = guided.get("next_actions")
    if told.words and isinstance(actions, list):
        guided = {**guided, "next_actions": [_placed(action, told) for action in actions]}
    return secrecy.masked(guided)


def _placed(action: Any, told: secrecy.CommandLine) -> Any:
    """An action of any origin: on the project and wallet that were typed, and marked where running it agrees to something."""
    if isinstance(action, dict) and action.get("type") == "retry" and "command" not in action:
        return {**action, **advice.shown(advice.command(*told.words))}
    wanted = as_typed.line_of(action)
    if wanted is None:
        return action
    action = as_typed.extended(action, wanted, _same_place(wanted, told))
    added = {flag for flag in wanted.given if agrees(flag) and flag not in told.given}
    return {**action, "confirms": True} if added or wanted.path[:2] == ["allowance", "limits"] else action


def agrees(flag: str) -> bool:
    """Whether who adds this flag to a command decides something: a loss, a cost, or what is let in or out.

    By its name, as flags of all commands are named; a test compares that with what their help says.
    """
    return flag in _AGREE or flag.startswith(_AGREEING)


_AGREEING = ("--confirm", "--allow-")
_AGREE = ("--yes", "-y", "--force", "--overwrite", "--reveal", "--insecure-http", "--max-usd", "--max-spend-usd")


def _refused(envelope: Envelope, told: secrecy.CommandLine) -> Envelope:
    """A refusal of a gateway as it said it. One that says nothing of itself is looked at: a repetition must be safe."""
    if envelope.get("next_actions") or envelope.get("hint") or envelope.get("code") != "API_ERROR" or not told.words:
        return envelope
    seen = advice.run(*as_typed.again("--verbose"), why="It shows the request and the answer.")
    checked = advice.run("doctor", why="It checks the wallet, the gateway and the versions.")
    later = advice.action("retry", *told.words, why="After the time that the gateway asks for.")
    action = later if envelope["http"] == 429 else checked if envelope["http"] >= 500 else seen
    return {**envelope, "next_actions": [action]}


def _guided(envelope: Envelope, told: secrecy.CommandLine) -> Envelope:
    if actions := envelope.get("next_actions"):
        own = _with_project(told) if envelope.get("code") == "PROJECT_REQUIRED" else []
        return {**envelope, "next_actions": [*own, *actions]}
    details = envelope.get("details")
    known = details if isinstance(details, dict) else {}
    actions = _mended(envelope, known, told) or _hinted(envelope, told) or _blanked(known, told)
    actions = _left_out(envelope, told) or actions or _flagged(envelope, told)
    if not actions and envelope.get("retryable") and told.words:
        actions = [advice.action("retry", *told.words)]
    actions = actions or _corrected(envelope, known, told) or _looked_at(envelope, told)
    if _has_written(envelope):
        actions = [action for action in actions if not _repeats(action, told)] or _shape_of(known, told)
    hint = envelope.get("hint") or envelope.get("fix")
    if isinstance(hint, str) and "--dry-run" in told.given:
        envelope = {**envelope, ("hint" if envelope.get("hint") else "fix"): _still_dry(hint, told)}
    if not actions:
        shown = (*told.path, "--help")
        actions = [advice.action("show_help", *shown, why="It shows the arguments, the flags and an example.")]
        envelope = (
            envelope if hint else {**envelope, "hint": f"What it takes, with an example: {advice.command(*shown)}"}
        )
    return {**envelope, "next_actions": actions} if actions else envelope


def _still_dry(hint: str, told: secrecy.CommandLine) -> str:
    """The hint of a dry run: where it names the same command with more words, that is a dry run as well."""
    for words in advice.commands_in(hint):
        text = str(advice.command(*words))
        if secrecy.CommandLine(words).path == told.path and not {"--help", "--dry-run"} & {*words}:
            hint = hint.replace(text, f"{text} --dry-run")
    return hint


def _has_written(envelope: Envelope) -> bool:
    """Whether the command did something before it failed that a second run would do again."""
    done = global_options.current.wrote or bool(global_options.current.payments)
    return done and envelope.get("safe_to_retry") is False


def _repeats(action: Envelope, told: secrecy.CommandLine) -> bool:
    words = as_typed.line_of(action)
    return words is not None and words.path == told.path and not {"--help", "--check", "--dry-run"} & {*words.given}


def _shape_of(details: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """For a result that could not be shown as asked for, and stands in the details: what its fields are."""
    if "result" not in details or not told.path:
        return []
    why = "The result is in details.result; this lists its fields. Nothing has to be sent again."
    return [advice.action("show_schema", "schema", *told.path, why=why)]


def _with_project(told: secrecy.CommandLine) -> list[Envelope]:
    if not told.flags.get("--project") or "--project" in told.given:
        return []
    return [advice.run(*as_typed.again("--project", Blank("project_id")), why="Ids: run402 projects list")]


def _mended(envelope: Envelope, details: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """The command as typed, with the word that the error is about replaced by what it should be, or left blank."""
    if (code := envelope.get("code")) in _LEFT_OUT:
        gone = _LEFT_OUT[str(code)] or str(details.get("flag") or f"--{envelope.get('field')}")
        return [advice.run(*told.without_flag(gone))] if gone in told.given else []
    both = details.get("flags")
    if isinstance(both, list) and len(both) > 1 and all(flag in told.given for flag in both):
        return [advice.run(*told.without_flag(str(both[0])))]
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
    elif (flag := _flag_of(envelope, details, told)) in told.given:
        wrong, right = told.given[flag], _value(str(flag), details)
        if wrong is None and told.flags[flag]:
            return [advice.run(*as_typed.again(right))] if told.words[-1] == flag else []
    elif envelope.get("code") == "BAD_PROJECT_ID" and details.get("value") in told.words:
        wrong, right = details["value"], Blank("project_id")
    elif envelope.get("code") in _ANOTHER_FILE:
        wrong, right = told.given.get("--manifest"), Blank("manifest")
    if wrong is None or right is None:
        return []
    words = told.with_word(wrong, right)
    return [advice.run(*words)] if words else []


def _flag_of(envelope: Envelope, details: Envelope, told: secrecy.CommandLine) -> Any:
    """The flag that the error is about; where it names a field, the one that gave it its value (`run_at`: --run-at)."""
    field = envelope.get("field") or details.get("flag") or details.get("field")
    named = f"--{field}".replace("_", "-")
    value = told.given.get(named)
    return named if value is not None and value == details.get("value") else field


# Flags that this program does not have any more, or only beside another one.
_LEFT_OUT = {"UNSUPPORTED_OPTION": "", "BUZZ_MODE_REQUIRED": "", "MERCHANT_RECEIPT_REQUIRED": "--require-receipt"}


# Errors that no change of the named manifest cures: it is of the wrong kind.
_ANOTHER_FILE = ("UNSUPPORTED_DEPLOY_MANIFEST_EXTENSION", "UNSUPPORTED_EXECUTABLE_CONFIG_EXTENSION")


def _corrected(envelope: Envelope, details: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """For a text that its writer corrects first: the command that only reads it again, else the command itself."""
    unread = "parse_error" in details
    if not told.words or (envelope.get("code") in _OF_THE_WORDS and not unread):
        return []
    of_a_manifest = envelope.get("code") in _OF_A_MANIFEST
    if told.flags.get("--check") is False and (unread or of_a_manifest or envelope.get("code") == "LOCAL_ERROR"):
        why = "Once the manifest is corrected: this reads it and sends nothing."
        words = [*as_typed.again("--check")]
        if typed := told.given.get("--spec"):  # the text stands on the line, and may hold what it should not
            words = secrecy.CommandLine(words).with_word(typed, Blank("json"))
        return [advice.action("edit_manifest", *words, why=why)]
    if unread or of_a_manifest or any(told.given.get(flag) for flag in _TEXTS):
        return [advice.action("edit_request", *told.words, why="Once the text that the message names is corrected.")]
    return []


# Errors about the words themselves, for which the help is the next thing to read.
_OF_THE_WORDS = ("BAD_USAGE", "BAD_FLAG", "UNKNOWN_FLAG", "UNKNOWN_COMMAND", "UNKNOWN_SUBCOMMAND", "INTERNAL_ERROR")
# Errors about what a manifest or a source that it names says.
_OF_A_MANIFEST = frozenset(
    {"MANIFEST_EMPTY", "INVALID_SPEC", "BAD_FIELD", "APP_SPEC_INVALID", "INVALID_VERIFY_SPEC"}
    | {"VERIFY_CHECKS_REQUIRED"}
    | {"UNSAFE_SECRET_MANIFEST", "INVALID_ASSET_METADATA", "INVALID_EXIF_POLICY", "ASSET_DUPLICATE_KEY_IN_PUT"}
    | {"ASSET_KEY_IN_PUT_AND_DELETE", "BINARY_CONTENT_REQUIRES_BYTES", "SUBDOMAIN_MULTI_NOT_SUPPORTED"}
    | {"ASTRO_ADAPTER_TREE_IN_SITE", "CONFIG_ENV_REQUIRED", "EXECUTABLE_CONFIG_LOAD_FAILED"}
    | {"EXECUTABLE_CONFIG_TIMEOUT", "EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE", "TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE"}
    | {"R402_AUTH_PREFLIGHT_FAILED", "PLAN_REQUIRES_INLINE_SPEC", "DRY_RUN_REQUIRES_INLINE_SPEC"}
)
# Flags that name a file of text.
_TEXTS = ("--file", "--manifest", "--event-file", "--body-file", "--env-file", "--key")


def _blanked(details: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """The command as typed with the word that the error repeats left blank."""
    words = [*told.bare, *(value for flag, value in told.given.items() if flag == "--output")]
    key = next((key for key in _VALUES if details.get(key) in words), None)
    return [advice.run(*told.with_word(details[key], Blank(key)))] if key is not None else []


# Members of `details` that repeat the word which is wrong, where it is a word of its own.
_VALUES = ("value", "name", "wallet", "path", "file", "url", "page")


def _left_out(envelope: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """The command as typed without the flags that the hint says to leave out: `Leave --return out`."""
    said = re.match(r"Leave (--[a-z][a-z-]+) out\b", str(envelope.get("hint") or ""))
    if said is None or said[1] not in told.given:
        return []
    return [advice.run(*as_typed.less(said[1]))]


def _flagged(envelope: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """The command as typed with the flag that the hint asks for: `Pass --branch <name>`. None that agrees to something."""
    asked = re.search(r"(--[a-z][a-z-]+) ([^\s,;]+)", str(envelope.get("hint") or "")) if told.words else None
    if asked is None or not told.flags.get(asked[1]) or asked[1] in told.given:
        return []
    value = asked[2].removesuffix(".")
    if value[0] in "'\"":  # an example of a text, which may go on behind a space
        value = f"<{asked[1].removeprefix('--')}>"
    blank = Blank(re.sub("[<>]", "", value)) if "<" in value else value
    return [advice.run(*as_typed.again(asked[1], blank))]


def _looked_at(envelope: Envelope, told: secrecy.CommandLine) -> list[Envelope]:
    """For a read whose answer made no sense or could not be shaped: once more, to see it."""
    from run402_cli.effects import READ, SURFACE

    known = SURFACE.get(" ".join(told.path))
    if known is None or known.effect != READ:
        return []
    if envelope.get("code") == "JQ_FAILED":
        return [advice.run(*told.without_flag("--jq"), "--jq", Blank("filter"))]
    return [advice.run(*as_typed.again("--verbose"))] if envelope.get("code") == "INTERNAL_ERROR" else []


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
    return list(as_typed.again(*more, without=used)) if more else _refilled(wanted, told, loose)


def _refilled(wanted: secrecy.CommandLine, told: secrecy.CommandLine, loose: list[str]) -> list[str]:
    """The command as typed, of which nothing is missing: without the words too many, blank where the usage is."""
    words = [word for word in told.words if word not in loose] if loose else list(told.words)
    typed = [*zip(wanted.bare, told.bare, strict=False)]
    typed += [(value or "", told.given.get(flag) or "") for flag, value in wanted.given.items() if flag in told.given]
    if not loose:
        for blank, word in typed:
            if isinstance(blank, Blank):
                words = secrecy.CommandLine(words).with_word(word, blank) or words
    return words if words != list(told.words) else list(wanted.words)


def _same_place(wanted: secrecy.CommandLine, told: secrecy.CommandLine) -> list[str]:
    """Project, wallet and data directory as typed, for another command that takes them: it must act on the same thing."""
    if wanted.path[:1] == ["wallets"] or wanted.path == told.path or "--help" in wanted.words:
        return []  # the same command without its project: that was what is wrong
    typed = [(flag, told.given.get(flag)) for flag in ("--project", "--wallet", "--data-dir") if wanted.flags.get(flag)]
    known = [*wanted.given, *wanted.bare, *wanted.given.values()]
    return [word for flag, value in typed if value and not {flag, value} & {*known} for word in (flag, value)]


def _plain(usage: list[str]) -> list[str]:
    """A usage without what is optional; a word in capitals stands for a value."""
    kept = [word for word in usage if not word.startswith("[") and not word.endswith("]")]
    return [Blank(word.lower()) if word.isupper() and len(word) > 1 and word.isidentifier() else word for word in kept]
