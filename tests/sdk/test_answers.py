"""A call that returns a part of what the gateway answers says so: `-> its `x`` stands in its help, and nowhere else.

Read from the source of every function behind the Python API: what its `return` takes out of an answer, through the helpers
of its own module and of other services.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from sdk_methods import Method, Module, group, parse, told
from sdk_namespaces import NAMESPACES

METHODS = {f"{name}.{method.name}": method for name in NAMESPACES for method in group(name).methods}


def own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from own(child)


class Returned:
    """The members that a function's result is, instead of the document that holds them."""

    def __init__(self, module: Module, function: ast.FunctionDef, callers: tuple[str, ...] = ()) -> None:
        self.module = module
        self.callers = (*callers, function.name)
        self.values: dict[str, list[ast.expr]] = {}
        self.returns: list[ast.expr] = []
        for node in own(function):
            if isinstance(node, ast.Return) and node.value is not None:
                self.returns.append(node.value)
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self.values.setdefault(ast.unparse(target), []).append(node.value)

    def members(self) -> set[str]:
        return set().union(*map(self.of, self.returns))

    def of(self, value: ast.expr) -> set[str]:
        if isinstance(value, ast.Name):
            return set().union(*map(self.of, self.values.pop(value.id, [])))
        if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
            return {value.slice.value} if isinstance(value.slice.value, str) else set()
        if isinstance(value, ast.IfExp):
            return self.of(value.body) | self.of(value.orelse)
        if isinstance(value, ast.BoolOp):
            return set().union(*map(self.of, value.values))
        if isinstance(value, ast.ListComp):
            return self.of(value.generators[0].iter)
        if isinstance(value, ast.Tuple):
            return set().union(*map(self.of, value.elts[:1]))
        return self.of_call(value) if isinstance(value, ast.Call) else set()

    def of_call(self, call: ast.Call) -> set[str]:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get" and isinstance(call.args[0], ast.Constant):
            return {str(call.args[0].value)}
        name = ast.unparse(call.func)
        if name in ("list", "dict", "str"):
            return self.of(call.args[0])
        module = self.module
        if name in module.imported and module.imported[name][0].startswith("run402_cli.services."):
            module = parse(module.imported[name][0].removeprefix("run402_cli."))
        function = module.functions.get(name)
        if function is None or name in self.callers:
            return set()
        return Returned(module, function, self.callers).members()


def members(source: str) -> set[str]:
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    return Returned(Module("services.none", functions, {}, set(), {}), functions["f"]).members()


def said(method: Method) -> set[str]:
    return {*re.findall(r"-> its `(\w+)`", " ".join(told(method).split()))}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_part_of_an_answer_is_told_as_one(name: str) -> None:
    method = METHODS[name]
    assert said(method) == Returned(method.module, method.source).members()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_list_or_a_pair_is_told_as_one(name: str) -> None:
    method = METHODS[name]
    assert method.source.returns is not None
    returns, text = ast.unparse(method.source.returns), told(method)
    if returns.startswith("list["):
        assert "[{" in text
    else:
        assert "-> [" not in text
    if returns.startswith("tuple["):
        assert re.search(r"\([^()]+, [^()]+\)|the last page and the number of reads", " ".join(text.split()))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return answer", set()),
        ("return {'x': answer['x']}", set()),
        ("return answer['x']", {"x"}),
        ("found = answer.get('x') if ok else answer\n    return [row for row in found]", {"x"}),
        ("return g(answer)\ndef g(a):\n    return a.get('y') or a['z'], 1", {"y", "z"}),
    ],
)
def test_the_reading_of_the_source_sees_parts(body: str, found: set[str]) -> None:
    assert members(f"def f(answer):\n    {body}\n") == found
