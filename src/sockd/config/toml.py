"""Values of settings as TOML and JSON have them, such that they read back as the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """A value in numbers, texts, lists and tables. One with a unit is its text."""
    if value is None:
        return ""  # what TOML has no word for
    if type(value) in (bool, int, float):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    text = str(value)
    return int(text) if isinstance(value, int) and text.isdecimal() else text


def toml(value: Any) -> str:
    """A value as TOML, in one line."""
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(name)} = {toml(item)}' for name, item in value.items())}}}"
    # JSON's texts are TOML's; what shows nothing is escaped too, for the sake of terminals
    return "".join(map(_shown, json.dumps(value, ensure_ascii=False)))


def _shown(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else toml(name)
