"""The cache key of a URL, against any text that a user may pass."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from run402_cli.services.cache import page

HOST = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,5}){1,2}", fullmatch=True)
PATH = st.text(st.characters(codec="utf-8", exclude_characters="?#\t\r\n"), max_size=20)


@given(text=st.text(max_size=40), scheme=st.sampled_from(["http://", "https://", ""]))
@example(text="a b", scheme="https://")
@example(text="\ud800", scheme="https://")
@example(text="a@b:c", scheme="http://")
def test_any_text_is_a_page_in_ascii_or_refused(text: str, scheme: str) -> None:
    try:
        host, path = page(scheme + text)
    except ValueError:
        return
    assert path.startswith("/")
    for part in (host, path):
        assert part.isascii()
        assert part.isprintable()
        assert " " not in part


@given(host=HOST, path=PATH)
def test_the_key_of_a_key_is_the_same_key(host: str, path: str) -> None:
    first = page(f"https://{host.upper()}/{path}")
    assert first.host == host
    assert page(f"https://{first.host}{first.path}") == first
