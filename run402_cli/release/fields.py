"""Shape checks shared by the layers: the manifest as written, the ReleaseSpec made of it, the spec that a gateway is sent.

All ask the same questions and answer with different codes; a `Fields` holds the code and asks.
See docs/protocol/releases.md, "Two layers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from run402_cli.release.errors import INVALID_SPEC, LOCAL_ERROR, ReleaseError

MAX_SAFE_INTEGER: Final = 2**53 - 1

# ReleaseSpec name -> the names that documents use for it, best first.
Spellings = Mapping[str, tuple[str, ...]]
ROLE_SPELLINGS: Final[Spellings] = {
    "table": ("table",),
    "idColumn": ("idColumn", "id_column"),
    "roleColumn": ("roleColumn", "role_column"),
    "allowed": ("allowed",),
    "cacheTtl": ("cacheTtl", "cache_ttl"),
    "onDeny": ("onDeny", "on_deny"),
    "signInPath": ("signInPath", "sign_in_path"),
}


@dataclass(frozen=True, slots=True)
class Fields:
    """The checks of one layer. Every method raises this layer's ReleaseError and returns the value it checked."""

    code: str
    phase: str | None

    def error(self, message: str, resource: str, **extra: Any) -> ReleaseError:
        # The manifest layer's envelope has no resource; its message names the field instead.
        return ReleaseError(
            message,
            code=extra.pop("code", self.code),
            phase=self.phase,
            resource=resource if self.phase else None,
            **extra,
        )

    def mapping(self, value: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.error(f"{where} must be an object, not {kind_of(value)}.", where)
        return value

    def known(
        self, value: Any, allowed: Sequence[str], where: str, hints: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        """`value` as an object that has no other keys than `allowed`."""
        document = self.mapping(value, where)
        for key in document:
            if key not in allowed:
                hint = (hints or {}).get(key)
                listed = ", ".join(allowed)
                message = f"{where} has the unknown field {key!r}. {hint or f'Use: {listed}.'}"
                raise self.error(message, f"{where}.{key}", hint=hint)
        return document

    def array(self, value: Any, where: str) -> Sequence[Any]:
        if not isinstance(value, list):
            raise self.error(f"{where} must be an array, not {kind_of(value)}.", where)
        return value

    def strings(self, value: Any, where: str) -> Sequence[str]:
        for index, item in enumerate(self.array(value, where)):
            if not isinstance(item, str):
                raise self.error(f"{where}[{index}] must be a string, not {kind_of(item)}.", f"{where}[{index}]")
        return list(value)

    def text(self, value: Any, where: str) -> str:
        """`value` as a string that is more than white space."""
        if not isinstance(value, str):
            raise self.error(f"{where} must be a string, not {kind_of(value)}.", where)
        if not value.strip():
            raise self.error(f"{where} must not be empty.", where)
        return value

    def one_of(self, value: Any, allowed: Iterable[Any], where: str) -> None:
        choices = list(allowed)
        if not any(value is choice or (value == choice and type(value) is type(choice)) for choice in choices):
            listed = ", ".join(str(choice) for choice in choices)
            raise self.error(f"{where} is {shown(value)}. Use: {listed}.", where)

    def positive_integer(self, value: Any, where: str) -> None:
        if not is_integer(value) or not 0 < value <= MAX_SAFE_INTEGER:
            raise self.error(f"{where} is {shown(value)}. Use a whole number of 1 or more.", where)

    def each(self, value: Any, where: str, check: Callable[[Any, str], None]) -> None:
        """Run `check(item, place)` on every value of an object."""
        for key, item in self.mapping(value, where).items():
            check(item, f"{where}.{key}")


MANIFEST: Final = Fields(LOCAL_ERROR, None)
SPEC: Final = Fields(INVALID_SPEC, "validate")
WIRE: Final = Fields(INVALID_SPEC, "plan")  # a gateway's, of what arrives


def aliased(value: Mapping[str, Any], table: Spellings) -> dict[str, Any]:
    """The fields of `table` that are there; of two spellings the first that is not null wins."""
    found: dict[str, Any] = {}
    for name, spellings in table.items():
        for spelling in spellings:
            if spelling in value and found.get(name) is None:
                found[name] = value[spelling]
    return found


def spellings(table: Spellings) -> list[str]:
    """Every name of the fields of `table`, in its order."""
    return [spelling for names in table.values() for spelling in names]


def spelled(value: Mapping[str, Any], camel: str, snake: str) -> Any:
    """The field under its camelCase name, else under its snake_case one, else None."""
    found = value.get(camel)
    return value.get(snake) if found is None else found


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether JSON's `value` is a whole number as JavaScript sees it (5 and 5.0 are; true is not)."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether `value` is a JSON number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """The JSON name of a value's type, for messages."""
    names = {bool: "a boolean", str: "a string", list: "an array", bytes: "bytes", type(None): "null"}
    if isinstance(value, Mapping):
        return "an object"
    return names.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value for a message: short, on one line."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
