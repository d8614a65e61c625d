import ast
from pathlib import Path

import pytest

import sockd.pure

ROOT = Path(sockd.pure.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
IMPURE = {"twisted", "socket", "time", "random", "os", "asyncio", "threading"}


def imported(tree: ast.AST) -> set[str]:
    """Every module that the source imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_pure(name: str) -> bool:
    package, _, rest = name.partition(".")
    if package == "sockd":
        return f"{rest}.".startswith("pure.")
    return package not in IMPURE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pure_module_imports_nothing_that_acts_on_the_world(path: Path) -> None:
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    assert {name for name in names if not is_pure(name)} == set()


def test_an_impure_import_is_seen_wherever_it_stands() -> None:
    source = """
import os.path
from sockd import net, pure
from sockd.pure import text
def late():
    from time import monotonic
    import sockd.purely
"""
    assert {name for name in imported(ast.parse(source)) if not is_pure(name)} == {
        "os.path",
        "sockd.net",
        "time.monotonic",
        "sockd.purely",
    }
