"""What is shown: no control character of an answer, no secret that was typed, no user and password of an address."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from typing import Any

import pytest
from rich.console import Console

from run402_cli import output, progress, secrecy, text_format
from run402_cli.main import _guarded

# C0, DEL, C1 and the controls of bidirectional text; tab and line feed have a form of their own everywhere.
ABOVE_C0 = [0x7F, *range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
CONTROLS = [chr(code) for code in [*range(0x20), *ABOVE_C0] if chr(code) not in "\t\n"]
HOSTILE = "".join(f"a{char}" for char in CONTROLS)


HIDDEN = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cf", "Zl", "Zp")]
HIDDEN += [
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0)
]
FORMED = {"Arabic sign": "\u0600\u06dd", "Kaithi": "\U000110bd"}
# Joiners and selectors where scripts and emoji have them.
EMOJI = ("\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb", "\U0001f3f3\ufe0f\u200d\U0001f308", "1\ufe0f\u20e3")
SCRIPTS = ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0915\u094d\u200d\u0937")


def clean(text: str) -> bool:
    return not any(char in text for char in CONTROLS)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("compact", [True, False])
def test_json_has_them_written_out_and_means_the_same(compact: bool) -> None:
    value = {HOSTILE: [HOSTILE, "b\x9b\u202eß日本"]}
    text = output.dumps(value, compact=compact)
    assert clean(text)
    assert json.loads(text) == value
    assert "ß日本" in text


@pytest.mark.parametrize("width", [None, 80])
def test_text_has_them_written_out(width: int | None) -> None:
    document: dict[str, Any] = {HOSTILE: HOSTILE, "rows": [{HOSTILE: HOSTILE, "x": {"y": [HOSTILE]}}]}
    text, note = text_format.text(document, "", width=width)
    assert clean(text)
    assert "\\x9b" in text
    assert "\\u202e" in text
    assert note is None


@pytest.mark.parametrize("compact", [True, False])
def test_json_writes_out_what_is_invisible_and_means_the_same(compact: bool) -> None:
    value = {"a": ["".join(f"x{char}" for char in HIDDEN), *EMOJI, *SCRIPTS, "\U0001f469"]}
    text = output.dumps(value, compact=compact)
    assert not any(char in text for char in HIDDEN)
    assert json.loads(text) == value
    assert "\\udb40\\udc41" in text
    assert "\U0001f469" in text


def test_text_writes_out_what_is_invisible_and_keeps_what_scripts_need(capsys: pytest.CaptureFixture[str]) -> None:
    seen = "".join(FORMED.values())
    for char in HIDDEN:
        hidden = f"pay{char}pal"
        shown, _ = text_format.text({"a": hidden}, "")
        output.notice(hidden)
        for each in (shown, capsys.readouterr().err):
            assert (char in each) is (unicodedata.category(char) == "Cf" and char in _FORMS), ascii(each)
    for text in (*EMOJI, *SCRIPTS, seen):
        assert text in text_format.text({"a": text}, "")[0]
    # Where they join nothing they only hide.
    for text in (
        "a\u200db",
        "\u200d",
        "\u2764\ufe0f\ufe0f",
        "a\ufe0f",
        "\xe9\u200d",
        "\U0001f469\u200d\u200d\U0001f469",
    ):
        assert "\\u" in text_format.text({"a": text}, "")[0], ascii(text)


_FORMS = {*map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"}


@pytest.mark.parametrize("say", [output.notice, output.request, lambda text: output.event({"type": text})])
def test_stderr_has_them_written_out(say: Any, capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    shown = capsys.readouterr().err
    assert shown
    assert clean(shown)


def test_texts_are_written_out_at_a_terminal_and_raw_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, wanted in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stdout", stream)
        output.emit_text(HOSTILE)
        assert clean(stream.getvalue()) is wanted


def test_the_drawing_of_a_deploy_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clean(progress.clean(HOSTILE))
    stream = io.StringIO()
    Console(file=stream).print(progress.clean(HOSTILE), markup=False)
    assert clean(stream.getvalue())


KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
SECRETS = {"key": KEY, "0x": f"0x{KEY}", "capitals": KEY.upper(), "jwt": JWT, "nsec": "nsec1" + "q" * 58}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "line",
    [
        "projects get {}",
        "projects list {}",
        "projects {}",
        "{}",
        "x-{}",
        "projects list --format {}",
        "projects list --http-timeout={}",
        "projects list --service-key={}",
        "projects list --service-key {}",
        "projects list --deadbeef{}",
        "projects list --{}",
        "--{} projects list",
        "pay ftp://{}/x",
    ],
)
def test_no_error_repeats_a_key_wherever_it_was_typed(
    line: str, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _guarded(line.format(secret).split()) != 0
    said = capsys.readouterr()
    assert json.loads(said.err.splitlines()[-1])["status"] == "error"
    assert secret.lower() not in (said.out + said.err).lower()


def test_a_value_of_a_flag_that_the_command_does_not_know_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("projects list --service-key=hunter2x", "secrets list --token=hunter2x", "--api-key=hunter2x status"):
        assert _guarded(line.split()) == 1
        assert "hunter2x" not in capsys.readouterr().err


def test_a_digest_behind_its_flag_stays() -> None:
    words = ("assets", "x", "--sha256", KEY, "--body-sha256", KEY)
    assert not list(secrecy._bare_keys(words))
    assert list(secrecy._bare_keys(("assets", KEY))) == [KEY]


@pytest.mark.parametrize("variable", ["http://ann:hunter2x@127.0.0.1:9", "http://hunter2x@127.0.0.1:9/"])
@pytest.mark.parametrize("line", ["projects list", "status", "doctor", "config list", "service status"])
def test_an_api_base_is_shown_without_user_and_password(
    line: str, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", variable)
    monkeypatch.setenv("RUN402_NO_UPDATE_CHECK", "1")
    _guarded([*line.split(), "--http-timeout", "2"])
    said = capsys.readouterr()
    assert "127.0.0.1:9" in said.out + said.err
    assert "hunter2x" not in said.out + said.err


def test_an_address_that_was_typed_is_repeated_without_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["pay", "http://ann:hunter2x@127.0.0.1:9/x", "--http-timeout", "2"]) == 1
    error = capsys.readouterr().err
    assert "hunter2x" not in error
    assert "run402 pay http://127.0.0.1:9/x" in error


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("see https://a:b@h/x?y=@z and http://t@h", "see https://h/x?y=@z and http://h"),
        ("HTTPS://a:p@ss@h/", "HTTPS://h/"),
        ("postgresql://ann:pw@h:5432/n", "postgresql://h:5432/n"),
        ("postgresql://user@host:5432/name", "postgresql://user@host:5432/name"),
        ("https://h/@scope/name mail@h.example", "https://h/@scope/name mail@h.example"),
    ],
)
def test_what_is_taken_out_of_an_address(text: str, wanted: str) -> None:
    assert secrecy.without_userinfo(text) == wanted


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("see https://h/x?a=1&token=abc&b=2 there", "see https://h/x?a=1&token=<secret>&b=2 there"),
        ("https://h/?X-Amz-Signature=abc#x", "https://h/?X-Amz-Signature=<secret>#x"),
        ("https://h/?api_key=abc", "https://h/?api_key=<secret>"),
        ("https://h/hook/x?sig=abc", "https://h/hook/x?sig=<secret>"),
        ("https://h/?a=1&code=abc", "https://h/?a=1&code=<secret>"),
        ("https://h/?design=x&sign=up&decode=1", "https://h/?design=x&sign=up&decode=1"),
        ("https://h/?key=a.txt&select=token", "https://h/?key=a.txt&select=token"),
        ("token=abc is no address", "token=abc is no address"),
    ],
)
def test_what_is_taken_out_of_the_parameters_of_an_address(text: str, wanted: str) -> None:
    assert secrecy.without_parameters(text) == wanted


def test_a_token_in_an_address_that_was_typed_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["pay", "http://127.0.0.1:9/x?token=hunter2x", "--http-timeout", "2"]) == 1
    assert "hunter2x" not in capsys.readouterr().err
