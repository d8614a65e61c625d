"""A file is read in one sitting, and a function at a glance."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file
    for folder in ("benchmarks", "docs", "src", "tests", "twisted")
    for file in (ROOT / folder).rglob("*.py")
)
MOST_LINES = 400
"""Of a file."""
MOST_LINES_OF_A_FUNCTION = 40
"""Its decorators not counted."""


def test_no_file_is_longer_than_one_sitting() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in FILES
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_function_is_longer_than_a_glance() -> None:
    found = {}
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    found[f"{file.relative_to(ROOT)}: {node.name}"] = lines
    assert found == {}
