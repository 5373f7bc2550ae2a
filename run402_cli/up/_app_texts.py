"""The texts of an app manifest: which values `up` writes into them, and which into none. See docs/up.md, "App manifests"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from run402_cli.up._app_graph import App

SERVICE_KEY = "RUN402_SERVICE_KEY"
_TEMPLATE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)\}")


def templated(value: Any, values: Mapping[str, str]) -> Any:
    """`value` with ${NAME} replaced in every string; an unknown name is empty."""
    if isinstance(value, str):
        return _TEMPLATE.sub(lambda found: values.get(found[1], ""), value)
    if isinstance(value, dict):
        return {key: templated(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [templated(item, values) for item in value]
    return value


def public(variables: Mapping[str, str], input_name: str) -> dict[str, str]:
    """What texts of a release may have: the app's variables without its secrets and without the project's service key."""
    return {**{name: value for name, value in variables.items() if name != SERVICE_KEY}, "input.name": input_name}


def check(app: App) -> None:
    """ValidationError APP_SPEC_INVALID where a secret or the project's service key would be published.

    A release has neither: its files are public, and the rest is kept and exported as it is. The address of a webhook may hold
    a secret, which is between its two ends; no service key.
    """
    for field, names in (("release", {SERVICE_KEY, *app.secrets}), ("resources", {SERVICE_KEY})):
        for name in _names(app.document.get(field)):
            if name in names:
                what = "the project's service key" if name == SERVICE_KEY else f"the value of the secret {name}"
                app.invalid(
                    f"would write {what} into a text, by ${{{name}}}; functions find it as process.env.{name}", field
                )


def _names(value: Any) -> Iterator[str]:
    """The name of every ${NAME} in the strings of a value."""
    if isinstance(value, str):
        yield from _TEMPLATE.findall(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _names(item)
