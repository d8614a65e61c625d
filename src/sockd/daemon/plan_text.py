"""What a plan does, for people: a line for each service that does not stay as it is."""

from __future__ import annotations

from collections.abc import Mapping

from sockd.config.toml import toml
from sockd.daemon.plan import InstancePlan, Plan, Values

LONGEST_VALUE = 40
"""Characters of a value that is told; of a list that is longer the name says enough."""
_STEPS = {"add": "added", "change": "changed", "drain": "removed"}


def plan_text(plan: Plan) -> tuple[str, ...]:
    """A line for each service that does not stay as it is, then what only a restart changes.

    `+` is an address that is listened on from then on, `-` one that is let go of, `~` one whose
    terms change; then come the settings that do, with what they were and what they are.
    """
    lines = [f"sockd: changed: {', '.join(_settings(plan.changed))}"] if plan.changed else []
    lines += [_line(part) for part in plan.instances if part.step != "keep"]
    lines += [f"{name}: not changed: a restart would" for name in plan.restart]
    return tuple(lines)


def _line(part: InstancePlan) -> str:
    addresses = part.addresses
    parts = [f"+ {listen}" for listen in addresses.add.values()]
    parts += [f"~ {listen}" for listen in addresses.change.values()]
    parts += [f"- {listen}" for listen in addresses.drain.values()]
    parts += _settings(part.changed)
    return f"{part.name}: {_STEPS[part.step]}: {', '.join(parts)}"


def _settings(changed: Mapping[str, Values]) -> list[str]:
    return [_setting(name, toml(before), toml(after)) for name, (before, after) in changed.items()]


def _setting(name: str, before: str, after: str) -> str:
    is_short = max(len(before), len(after)) <= LONGEST_VALUE
    return f"{name} {before} -> {after}" if is_short else name
