"""Mutants of a file: its text with one operator, number, condition or returned value changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SWAPS: dict[type[Any], type[Any]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """The fields of a node that can be changed, each with another value."""
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
        yield "op", SWAPS[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield "ops", [SWAPS[type(node.ops[0])](), *node.ops[1:]]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        yield "value", not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.If | ast.IfExp):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Return) and not (node.value is None or ast.unparse(node.value) == "None"):
        yield "value", ast.Constant(None)


@dataclass(frozen=True)
class Mutant:
    path: Path
    lines: range  # of the statement that is changed, without the body of an `if` or a function
    what: str  # the line before and after
    text: str  # of the whole file


def mutants(path: Path) -> list[Mutant]:
    """Every change of a file. Annotations stay."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    annotations = [node.annotation for node in nodes if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation]
    unseen = {id(inner) for node in annotations for inner in ast.walk(node)}
    spans: dict[int, range] = {}
    for node in nodes:  # from the outside inwards, so that the innermost statement stays
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            span = range(node.lineno, end + 1)
            spans |= {id(inner): span for inner in ast.walk(node)}
    made = []
    for number, node in enumerate(nodes):
        for field, value in changes(node) if id(node) not in unseen else ():
            changed = copy.deepcopy(tree)
            other = list(ast.walk(changed))[number]
            before = ast.unparse(other)
            setattr(other, field, value)
            first, last = (text.splitlines()[0] for text in (before, ast.unparse(other)))
            line = getattr(node, "lineno", 0)
            made.append(Mutant(path, spans[id(node)], f"{line}: {first}  ->  {last}", ast.unparse(changed) + "\n"))
    return made
