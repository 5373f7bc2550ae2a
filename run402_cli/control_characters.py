"""Characters that no answer may bring to a terminal, and texts without them; `re` is imported by those who need it.

What a terminal takes for a command (DEL, C1), what it shows in another order, and what it does not show at all: format
characters (Cf), separators of lines and paragraphs, variation selectors, tags, fillers. An escape in JSON loses nothing, so
there it is all of them. Texts keep what scripts and emoji need: joiners and variation selectors behind what they change.
"""

from __future__ import annotations

_SEEN = "\\u0600-\\u0605\\u06dd\\u070f\\u0890\\u0891\\u08e2\\U000110bd\\U000110cd"  # format characters that have a form
_HIDDEN = (
    "\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u200e\\u200f"
    "\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0d\\ufeff\\uffa0\\ufff0-\\ufffb\\U00013430-\\U0001343f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
)
_JOINING = "\\u200c\\u200d\\ufe0e\\ufe0f"
IN_JSON = f"[{_HIDDEN}{_JOINING}{_SEEN}]"  # JSON escapes C0 by itself
# All but tab and line feed. A joiner stands between two characters of a script or emoji, a selector behind one or a key cap.
IN_TEXT = (
    f"[\\x00-\\x08\\x0b-\\x1f{_HIDDEN}]"
    "|(?<![^\\x00-\\x9f\\u200b-\\u200d])[\\u200c\\u200d]|[\\u200c\\u200d](?![^\\x00-\\x9f\\u200b-\\u200f\\ufe00-\\ufe0f])"
    "|(?<![^\\x00-\\x22\\x24-\\x29\\x2b-\\x2f\\x3a-\\x9f\\u200b-\\u200f\\ufe00-\\ufe0f])[\\ufe0e\\ufe0f]"
)


def escaped(text: str, controls: str = IN_TEXT) -> str:
    """A text whose control and invisible characters are written out as JSON has them: \\u and four digits, or two such."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    import re

    return re.sub(controls, lambda match: code(match[0]), text)


def code(char: str) -> str:
    """A character as JSON writes it out."""
    number = ord(char)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
