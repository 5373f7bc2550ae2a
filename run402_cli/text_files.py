"""The one decoder of text that somebody wrote into a file: UTF-8, whatever mark it has, or refused with the place."""

from __future__ import annotations

from run402_cli.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class FileText(str):
    """A text that knows its file, as the user wrote it: for an error that comes back about a line of it."""

    __slots__ = ("file",)
    file: str

    def __new__(cls, text: str, file: str) -> FileText:
        made = super().__new__(cls, text)
        made.file = file
        return made


def decoded(data: bytes, name: str, *, flag: str | None = None, mark: bool = False) -> str:
    """The text of a file without its mark, which `mark` keeps. CommandError BAD_FILE with the byte that is no UTF-8.

    `name` is the file as the user wrote it; `flag` the option that named it.
    """
    said = f"{flag}: " if flag else ""
    try:
        return data.decode("utf-8" if mark else "utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        coding = next((coding for sign, coding in _MARKS if data.startswith(sign)), None)
        details: dict[str, Any] = {"path": name, "byte": exc.start, "line": line}
        raise CommandError(
            f"{said}{name!r} is not UTF-8 text (byte {exc.start}, line {line}{f': it is {coding}' if coding else ''}).",
            code="BAD_FILE",
            hint="Nothing was sent. Save it as UTF-8, or convert it: "
            f"iconv -f {coding or 'ISO-8859-1'} -t UTF-8 OLD > NEW{'' if coding else ' (if it is Latin-1)'}",
            field=flag,
            details=details,
        ) from exc
