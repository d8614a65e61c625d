"""What a plan does, for people: a line for each service that does not stay as it is."""

from __future__ import annotations

from sockd.daemon.plan import InstancePlan, Plan

_STEPS = {"add": "added", "change": "changed", "drain": "removed"}


def plan_text(plan: Plan) -> tuple[str, ...]:
    """A line for each service that does not stay as it is, then what only a restart changes.

    `+` is an address that is listened on from then on, `-` one that is let go of, `~` one whose
    terms change; then come the names of the settings that do.
    """
    lines = [f"sockd: changed: {', '.join(plan.changed)}"] if plan.changed else []
    lines += [_line(part) for part in plan.instances if part.step != "keep"]
    lines += [f"{name}: not changed: a restart would" for name in plan.restart]
    return tuple(lines)


def _line(part: InstancePlan) -> str:
    addresses = part.addresses
    parts = [f"+ {listen}" for listen in addresses.add.values()]
    parts += [f"~ {listen}" for listen in addresses.change.values()]
    parts += [f"- {listen}" for listen in addresses.drain.values()]
    parts += part.changed
    return f"{part.name}: {_STEPS[part.step]}: {', '.join(parts)}"
