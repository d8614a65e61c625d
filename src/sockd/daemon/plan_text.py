"""What a plan does, for people: a line for each service that does not stay as it is."""

from __future__ import annotations

from sockd.daemon.plan import InstancePlan, Plan

_STEPS = {"add": "added", "change": "changed", "drain": "removed"}


def plan_text(plan: Plan) -> tuple[str, ...]:
    """A line for each service that does not stay as it is, then what only a restart changes."""
    lines = [_line(part) for part in plan.instances if part.step != "keep"]
    lines += [f"{name}: unchanged: only a restart changes it" for name in plan.restart]
    return tuple(lines)


def _line(part: InstancePlan) -> str:
    addresses = part.addresses
    parts = ["limits"] * part.has_new_limits + ["options"] * part.has_new_options
    parts += [f"+ {listen}" for listen in addresses.add.values()]
    parts += [f"~ {listen}" for listen in addresses.change.values()]
    parts += [f"- {listen}" for listen in addresses.drain.values()]
    detail = f": {', '.join(parts)}" if parts else ""
    return f"{part.name}: {_STEPS[part.step]}{detail}"
