"""Characters that no answer may bring to a terminal, and texts without them; `re` is imported by those who need it."""

from __future__ import annotations

# What a terminal takes for a command or shows in another order: DEL, C1 and the controls of bidirectional text.
_ABOVE_C0 = "\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
IN_JSON = f"[{_ABOVE_C0}]"  # JSON escapes C0 by itself
IN_TEXT = f"[\\x00-\\x08\\x0b-\\x1f{_ABOVE_C0}]"  # all but tab and line feed


def escaped(text: str, controls: str = IN_TEXT) -> str:
    """A text whose control characters are written out as \\u and four digits, as JSON has them."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    import re

    return re.sub(controls, lambda match: f"\\u{ord(match[0]):04x}", text)
