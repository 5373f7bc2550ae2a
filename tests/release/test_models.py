from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from run402_cli.release import manifest as rules
from run402_cli.release.fields import Spellings
from run402_cli.release.models import (
    Asset,
    Function,
    FunctionConfig,
    I18n,
    Manifest,
    Migration,
    RoleGate,
    Route,
    release_spec_schema,
)

GOOD: list[dict[str, Any]] = [
    {
        "$schema": "https://run402.com/schemas/release-spec.v1.json",
        "project_id": "prj_demo",
        "site": {"replace": {"index.html": {"path": "a"}, "b": "text", "c": {"data": "iVBO", "encoding": "base64"}}},
    },
    {"site": {"patch": {"put": {"__source": "local-dir", "path": "dist", "ignore": ["x"]}, "delete": ["y"]}}},
    {"database": {"migrations": [{"name": "seed", "sql": "select 1"}], "expose": {"tables": []}}},
    {
        "functions": {
            "replace": {
                "f": {
                    "source": "x",
                    "class": "ssr",
                    "schedule": None,
                    "triggers": [{"id": "a", "type": "schedule", "cron": "0 * * * *", "run": {"event_type": "t"}}],
                }
            }
        }
    },
    {"routes": None, "i18n": None},
    {"routes": {"replace": [{"pattern": "/a", "target": {"type": "static", "file": "a.html"}}]}},
    {"assets": {"put": [{"key": "k", "sha256": "aa", "size_bytes": 4}], "sync": {"prefix": "p", "prune": True}}},
]
BAD: list[dict[str, Any]] = [
    {"subdomain": "x"},
    {"subdomains": {"set": ["a", "b"]}},
    {"secrets": {"require": ["lower"]}},
    {"functions": {"replace": {"f": {"config": {"timeoutSeconds": 0}}}}},
    {"routes": {"replace": [{"pattern": "/a", "target": {"function": "x"}}]}},
    {"site": {"files": {}}},
]


@pytest.mark.parametrize("document", GOOD, ids=lambda document: json.dumps(document)[:50])
def test_the_models_accept_good_manifests(document: dict[str, Any]) -> None:
    Manifest.model_validate(document)


@pytest.mark.parametrize("document", BAD, ids=lambda document: json.dumps(document)[:50])
def test_the_models_refuse_bad_manifests(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(document)


def _names(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _spellings(table: Spellings) -> set[str]:
    return {spelling for spellings in table.values() for spelling in spellings}


def test_the_schema_and_the_checks_know_the_same_fields() -> None:
    from run402_cli.release import fields, routes, sections

    assert _names(Manifest) == set(rules.TOP_KEYS)
    assert _names(Migration) == set(rules._MIGRATION_KEYS)
    assert _names(Function) == _spellings(rules._FUNCTION_FIELDS)
    assert _names(FunctionConfig) == _spellings(rules._CONFIG_FIELDS)
    assert _names(RoleGate) == _spellings(fields.ROLE_SPELLINGS)
    assert _names(I18n) == set(sections._I18N_KEYS)
    assert _names(Asset) == set(sections._ASSET_KEYS)
    assert _names(Route) == set(routes._ROUTE_KEYS)


def test_the_schema_is_a_strict_2020_12_document() -> None:
    schema = release_spec_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "https://run402.com/schemas/release-spec.v1.json"
    assert schema["additionalProperties"] is False
    assert "__source" in json.dumps(schema)
    json.dumps(schema)


def test_a_deploy_does_not_import_pydantic() -> None:
    modules = "manifest, wire, discovery, tier, ci_rules, state"
    code = f"import sys; from run402_cli.release import {modules}; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
