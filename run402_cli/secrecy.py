"""What may be shown: the names and shapes of secrets, and the functions that take them out.

`public` for what a gateway answers, `redacted` for what is sent (--verbose, --dry-run), `masked` for error envelopes, which
also repeat no word of a command that takes a secret. See docs/protocol/errors.md, "Secrets", and docs/credentials.md.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from run402_cli import advice, global_options
from run402_cli.advice import Blank

HIDDEN = "<secret>"
REDACTED = "[redacted]"
PROJECT_KEYS = frozenset({"anon_key", "service_key"})
# Members of an answer that are secrets whatever they hold: only a call made to get one lets them through.
NAMES = PROJECT_KEYS | {
    *("private_key", "privateKey", "access_token", "refresh_token", "delegate_token"),
    *("operator_session_token", "control_plane_session_token", "write_auth_token"),
    *("client_secret", "signing_secret", "webhook_secret", "webhook_signing_secret"),
}
# Names of what is sent, of which one cannot know what they hold.
_SOUNDS_SECRET = re.compile(
    r"secret|password|token|private|signature|signed_delegation|credential|(?:api|anon|service)_?key|code|^key$", re.I
)
_PROJECT_KEY = re.compile(r"(?<![A-Za-z0-9])r402_(?:anon|service)_[A-Za-z0-9_-]{8,}")
_KEY = r"0x[0-9a-fA-F]{64}(?![0-9a-fA-F])"
SHAPE = re.compile(
    rf"{_KEY}|(?<![A-Za-z0-9])r402_[A-Za-z0-9_-]{{2,}}[A-Za-z0-9._-]*"
    r"|-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)"
    r"|eyJ[A-Za-z0-9_-]{8,8000}+\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|nsec1[02-9ac-hj-np-z]{20,}",
    re.DOTALL,
)
# A key that is typed without its 0x, also as a flag. Digests look the same, so only words of the command line count.
_BARE_KEY = re.compile(r"(?<!0x)[0-9a-fA-F]{64,}")
_VARIED = 6  # different digits; no key has fewer, and a long name of one letter may
# User and password in an address; those of a connection string for a database have a colon.
_USERINFO = re.compile(r"""(?<=://)(?:(?<=http://)|(?<=https://)|(?=[^\s/?#@"'<>]*:))[^\s/?#"'<>\\]*@""", re.I)
# Parameters of an address that are keys to it.
_PARAMETER = re.compile(
    r"""([?&](?:[a-z_-]*(?:token|secret|password|signature)|passwd|pwd?|pass|auth|sig|hmac|jwt|otp|code|ticket|(?:api|access)[_-]?key)=)[^\s&#"'<>\\]+""",
    re.I,
)
# Hashes of the chain, which a report needs and which open nothing.
_PUBLIC = re.compile(r"(?:.*_)?(?:hash|transaction|tx|nonce|digest|sha256)")
# Flags whose values look like a key and are none: their own kinds of digests and public keys.
_PUBLIC_FLAG = re.compile(r"--(?:.*-)?(?:hash|transaction|tx|nonce|digest|sha256|sha|pubkey|fingerprint|require-plan)")
# Commands that take a secret, by the first words of their path, and the flags that hold one.
COMMANDS = (
    "secrets",
    "wallets import",
    "credentials project-keys import",
    "core projects import",
    "redeem",
    "auth verify",
    "auth set-password",
    "auth passkey-register-options",
    "auth passkey-register-verify",
    "auth passkey-login-verify",
    "auth passkeys",
    "auth delete-passkey",
)
FLAGS = frozenset(
    {"--value", "--secret", "--key", "--token", "--new", "--code", "--challenge", "--challenge-id", "--response"}
    | {"--voucher", "--password"}
)
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def public(answer: Any) -> Any:
    """A JSON value without the secrets that a gateway happens to send: members of NAMES, and project keys in texts.

    An object that names its project and loses the project's keys gets `keys_command`, the command that prints them.
    """
    # Without recursion: an answer may be nested deeper than the interpreter's stack.
    root = [answer]
    places: list[tuple[Any, Any]] = [(root, 0)]
    while places:
        holder, key = places.pop()
        value = holder[key]
        if isinstance(value, str):
            holder[key] = _without_project_keys(value)
        elif isinstance(value, list):
            holder[key] = copy = list(value)
            places += [(copy, place) for place in range(len(copy))]
        elif isinstance(value, dict):
            holder[key] = shown = _members(value)
            places += [(shown, name) for name in shown]
    return root[0]


def _members(found: dict[Any, Any]) -> dict[Any, Any]:
    if NAMES.isdisjoint(found):
        return dict(found)
    shown = {name: item for name, item in found.items() if name not in NAMES}
    project_id = found.get("project_id") or found.get("id")
    if isinstance(project_id, str) and not PROJECT_KEYS.isdisjoint(found):
        words = ("credentials", "project-keys", "export", "--project", project_id, "--reveal")
        shown["keys_command"] = advice.command(*words)
    return shown


def _without_project_keys(text: str) -> str:
    return _PROJECT_KEY.sub(REDACTED, text) if "r402_" in text else text


def redacted(value: Any) -> Any:
    """What is sent, as it may be shown: texts under a name that sounds secret are taken out, and secrets by their shape."""
    from run402_cli import nesting

    return _redacted(nesting.cut(value))


def _redacted(value: Any, name: str = "") -> Any:
    if isinstance(value, str):
        public = _PUBLIC.fullmatch(name) and re.fullmatch(_KEY, value)
        return value if public else without_shapes(_without_project_keys(value))
    if isinstance(value, dict):
        shown = _open(value)
        return {
            key: REDACTED if isinstance(item, str) and sounds_secret(key) and key not in shown else _redacted(item, key)
            for key, item in value.items()
        }
    return [_redacted(item, name) for item in value] if isinstance(value, list) else value


def _open(value: dict[Any, Any]) -> tuple[str, ...]:
    """Names that sound secret and are none here: the key of an asset, beside its digest, is its path."""
    return ("key",) if "sha256" in value else ()


def sounds_secret(name: str) -> bool:
    """Whether a header, parameter or member of that name may hold a secret."""
    return name in NAMES or _SOUNDS_SECRET.search(name) is not None


def masked(envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope without secrets: by shape everywhere, and by the words typed where the command takes a secret."""
    from run402_cli import nesting

    words, envelope = global_options.typed(), nesting.cut(envelope)
    told = CommandLine(words)
    strict = told.pattern(told.values()) if told.takes_secret else None
    actions = told.pattern(told.secrets()) if told.takes_secret else None
    bare = set(_bare_keys(words))
    return {
        key: _mask(without(value, bare), key, actions if key == "next_actions" else strict, words)
        if key not in _FIXED
        else value
        for key, value in envelope.items()
    }


_FIXED = frozenset({"status", "code", "retryable", "safe_to_retry", "http", "category"})


def without_shapes(text: str) -> str:
    """A text without words that look like a private key, a token or a PEM block, and without users and keys in addresses."""
    return SHAPE.sub(HIDDEN, without_parameters(without_userinfo(text)))


def without_userinfo(text: str) -> str:
    """A text whose addresses have no user and password."""
    return _USERINFO.sub("", text) if "@" in text else text


def without_parameters(text: str) -> str:
    """A text whose addresses have no values of parameters such as `token`."""
    return _PARAMETER.sub(rf"\1{HIDDEN}", text) if "?" in text and "=" in text else text


def without(value: Any, words: set[str]) -> Any:
    """A JSON value whose texts hold none of the words."""
    if not words:
        return value
    if isinstance(value, str):
        for word in words:
            value = value.replace(word, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: without(item, words) for key, item in value.items()}
    return [without(item, words) for item in value] if isinstance(value, list | tuple) else value


def _bare_keys(words: Sequence[str]) -> Iterator[str]:
    """What may be a private key among the words, unless it stands behind a flag for something public."""
    for before, word in zip(("", *words), words, strict=False):
        flag = word.partition("=")[0] if "=" in word else before
        if not _PUBLIC_FLAG.fullmatch(flag):
            yield from (found for found in _BARE_KEY.findall(word) if len(set(found)) >= _VARIED)


def repeatable(words: Sequence[str]) -> Iterator[str]:
    """The words as typed, each that may be a secret as `Blank("secret")`."""
    told = CommandLine(words)
    hidden = set(told.secret_places()) if told.takes_secret else set()
    bare = set(_bare_keys(words))
    words = [without_parameters(without_userinfo(without(word, bare))) for word in words]
    for place, word in enumerate(words):
        flag, equals, _value = word.partition("=")
        if place in hidden and equals and flag in told.flags:
            yield f"{flag}={HIDDEN}"
        elif place in hidden or word == HIDDEN:
            yield Blank("secret")
        elif SHAPE.search(word):
            yield Blank("secret") if SHAPE.fullmatch(word) else without_shapes(word)
        else:
            yield word


class CommandLine:
    """A command line read by the program's own table: its name, its flags and their values, its other words."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self.path = _path(words)
        self.takes_secret = " ".join(self.path).startswith(COMMANDS) or any(
            word.partition("=")[0] in ("--secret", "--voucher") for word in words
        )

    @cached_property
    def flags(self) -> dict[str, bool]:
        """Every flag that the command knows: whether it takes a value."""
        return _flags(" ".join(self.path))

    def places(self) -> Iterator[tuple[int, str | None, str | None]]:
        """(place, flag or None, value or None) of all words but the command's name; a flag's value has its own place."""
        path, flag, plain = list(self.path), None, False
        for place, word in enumerate(self.words):
            name, equals, value = word.partition("=")
            if flag is not None:
                yield place, flag, word
                flag = None
            elif plain or name not in self.flags:
                if not plain and path and word == path[0]:
                    path.pop(0)
                elif word == "--" and not plain:
                    plain = True
                else:
                    yield place, None, word
            elif equals:
                yield place, name, value
            elif self.flags[name] and place + 1 < len(self.words):
                flag = name
            else:
                yield place, name, None

    @cached_property
    def given(self) -> dict[str, str | None]:
        """The flags that stand on the line, with their values."""
        return {flag: value for _place, flag, value in self.places() if flag is not None}

    @cached_property
    def bare(self) -> list[str]:
        """The words that are neither the command's name nor flags nor their values."""
        return [value for _place, flag, value in self.places() if flag is None and value is not None]

    def with_word(self, wrong: str, right: str) -> list[str]:
        """The line with one word replaced, also behind a `--flag=`; empty where the word does not stand on it."""
        for place, word in reversed(list(enumerate(self.words))):
            name, equals, value = word.partition("=")
            if word == wrong:
                return [*self.words[:place], right, *self.words[place + 1 :]]
            if equals and wrong in (name, value):
                new = [right, value] if wrong == name else [name, right]
                return [*self.words[:place], *new, *self.words[place + 1 :]]
        return []

    def without_flag(self, flag: str) -> list[str]:
        """The line without a flag and its value."""
        gone: set[int] = set()
        for place, name, value in self.places():
            if name == flag:
                gone |= {place, place if value is None or self.words[place].startswith(f"{flag}=") else place - 1}
        return [word for place, word in enumerate(self.words) if place not in gone]

    def secret_places(self) -> Iterator[int]:
        """Where a word may be a secret; a name in capitals that comes first among the secrets commands is none."""
        bare = 0
        for place, flag, value in self.places():
            if value is None or _harmless(value):
                continue
            if flag is not None:
                if flag in FLAGS:
                    yield place
                continue
            bare += 1
            if not (bare == 1 and self.path[:1] == ["secrets"] and _NAME.fullmatch(value)):
                yield place

    def secrets(self) -> list[str]:
        """The words that may be a secret."""
        hidden = set(self.secret_places())
        return [value for place, _flag, value in self.places() if place in hidden and value]

    def values(self) -> list[str]:
        """Every value on the line but the ones that cannot be a secret."""
        free = ("--project", "--wallet", "--profile", "--format", "--http-timeout", "--env-file")
        return [value for _place, flag, value in self.places() if value and flag not in free and not _harmless(value)]

    def pattern(self, values: list[str]) -> re.Pattern[str] | None:
        """Finds the values as they are, and as Python, JSON and a shell write them."""
        forms = set()
        for value in values:
            parts = {value, value.partition("=")[2], *(x for x in value.splitlines() if len(x) > 5)} - {""}
            for part in parts - {*self.path}:
                forms |= {part, repr(part)[1:-1], json.dumps(part)[1:-1], shlex.quote(part)}
        if not forms:
            return None
        longest = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        return re.compile(rf"(?<![\w-])(?:{longest})(?![\w-])")


def _harmless(value: str) -> bool:
    plain = value in ("-", "--") or re.fullmatch(r"prj_\w+", value) is not None
    return plain or (bool(value) and _is_file(value)) or _is_a_flag(value) or _is_a_verb(value)


def _is_a_verb(value: str) -> bool:
    """A word that other tools use for commands: `get`, `show`."""
    from run402_cli import suggest

    return value in suggest.WORDS


def _is_a_flag(value: str) -> bool:
    """Of any command: a word of ours, on the wrong command, and no secret."""
    if not re.fullmatch(r"--[a-z][a-z0-9-]+", value):
        return False
    from run402_cli import completion

    return value in completion.every_flag()


def _is_file(value: str) -> bool:
    try:
        return os.path.lexists(value)
    except (OSError, ValueError):
        return False


def _path(words: Sequence[str]) -> list[str]:
    """The words that name the command, wherever flags stand between them."""
    from run402_cli.registry import GROUPS

    rest = iter(words)
    bare = []
    for word in rest:
        if word in ("--wallet", "--profile"):
            next(rest, None)
        elif not word.startswith("-"):
            bare.append(word)
    if not bare or bare[0] not in GROUPS:
        return []
    group = GROUPS[bare[0]]
    paths = [*group.commands, *group.aliases, *group.words]
    for length in (3, 2, 1):
        if " ".join(bare[1 : 1 + length]) in paths and len(bare) > length:
            return bare[: 1 + length]
    return bare[:1]


def _flags(path: str) -> dict[str, bool]:
    """Flag: whether it takes a value; of the command and of all commands."""
    from run402_cli import completion
    from run402_cli.global_options import OPTIONS, SHORT

    known = {flag: value is not None for flag, (value, _text) in OPTIONS.items()}
    known |= {short: known[flag] for short, flag in SHORT.items()}
    known |= {"--wallet": True, "--profile": True, "--json": False, "--help": False, "-h": False}
    return known | completion.own_flags(path)


def _mask(value: Any, key: str, pattern: re.Pattern[str] | None, words: Sequence[str]) -> Any:
    if isinstance(value, str):
        if _PUBLIC.fullmatch(key) and re.fullmatch(_KEY, value) and not any(value in word for word in words):
            return value
        shown = without_shapes(value)
        return pattern.sub(HIDDEN, shown) if pattern is not None else shown
    if isinstance(value, dict):
        return {
            without_shapes(str(name)): HIDDEN
            if name in NAMES and isinstance(item, str)
            else _mask(item, str(name), pattern, words)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mask(item, key, pattern, words) for item in value]
    return value
