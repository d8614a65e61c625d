"""What decides on an address at a service, and where that stands: for a daemon and without one."""

from __future__ import annotations

from typing import Any

from sockd.access.bans import Ban
from sockd.access.verdict import Verdict, judge, judge_user
from sockd.config.settings import InstanceSettings
from sockd.options.user import User

USER = "user:"
"""What stands before a user of this host, in place of an address."""


def judged(settings: InstanceSettings, who: str, ban: Ban | None = None) -> dict[str, Any]:
    """What decides on an address, or on `user:NAME`. Raises ValueError for what is neither."""
    if who.startswith(USER):
        verdict = judge_user(settings.limits, User.parse(who.removeprefix(USER)))
    else:
        verdict = judge(settings.limits, who, ban)
    return {
        "service": settings.name,
        "who": who,
        "is_allowed": verdict.is_allowed,
        "decided_by": verdict.setting or None,
        "rule": verdict.rule,
        "place": _place(settings, verdict),
        "others": list(verdict.others),
        "is_trusted": verdict.is_trusted,
        "transports": list(dict.fromkeys(one.transport for one in settings.listen)),
    }


def _place(settings: InstanceSettings, verdict: Verdict) -> str | None:
    """Where the setting stands that has decided; None where it is no setting."""
    source = settings.sources.get(verdict.setting)
    return None if source is None or not source.table else str(source)
