"""The text of a mail that is written as HTML alone."""

from __future__ import annotations

import time

import pytest

from run402_cli.core.mail.letters import plain


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<p>Hello <b>Ada</b></p>", "Hello Ada"),
        ("a<script>x < y</script >b<STYLE\n>p {}</Style>c", "a b c"),
        ("<script>never ended <b>here", "never ended here"),
        ("<script><style>a</script>b</style>c", "b c"),
        ("<scripty>a</scripty>", "a"),
        ("1 < 2 &lt; 3", "1 < 2 < 3"),
        ("1 < 2 > 3", "1 3"),
        ("one\n\n  two<br>three", "one\ntwo three"),
        ("&#65;&#x42;&#" + "9" * 5000 + ";", "AB\ufffd"),
    ],
)
def test_html_without_its_tags(content: str, text: str) -> None:
    assert plain(content) == text


@pytest.mark.parametrize("piece", ["<script>", "<style><script>", "<", "<script></script ", "<>", "&#1", "&"])
def test_a_long_mail_is_read_in_little_time(piece: str) -> None:
    began = time.monotonic()
    plain(piece * (1_000_000 // len(piece)))
    # It was minutes: each tag was followed to the end of the mail.
    assert time.monotonic() - began < 5
