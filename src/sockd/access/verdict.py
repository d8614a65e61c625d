"""What decides on an address, for people who ask: the ban, or the rule, and what it stands above.

A guard asks for less, and often; both say the same.
"""

from __future__ import annotations

from attrs import frozen

from sockd.access.bans import Ban
from sockd.access.guard import unanswerable
from sockd.access.limits import Limits
from sockd.access.prefixes import matches, parse_address
from sockd.access.reasons import because

_ANY_PORT = 50_000
"""One that nothing is wrong with: it is asked about the address."""


@frozen
class Verdict:
    """Whether somebody may come, and why."""

    is_allowed: bool
    setting: str
    """What has decided: `allow`, `deny` or `allow_users`, `ban`, `source`, or nothing: no rule."""
    rule: str
    """The rule in words: `deny 10.0.0.0/8`."""
    others: tuple[str, ...] = ()
    """Rules that have the address too, and did not decide."""
    is_trusted: bool = False
    """Whether limits that count per source are not for it."""


def judge(limits: Limits, host: str, ban: Ban | None = None) -> Verdict:
    """What decides on an address. Raises ValueError where it is none."""
    address = parse_address(host)
    trusted = matches(limits.trusted, address)
    rules = limits.rules
    found = rules.deciding(address)
    matching = [
        f"{setting} {prefix}"
        for setting, prefixes in (("allow", limits.allow), ("deny", limits.deny))
        for prefix in dict.fromkeys(prefixes)
        if address in prefix
    ]
    if ban is not None:
        return Verdict(False, "ban", str(ban.reason), tuple(matching), trusted)
    if (reason := unanswerable(str(address), _ANY_PORT, ())) is not None:
        return Verdict(False, "source", str(reason), tuple(matching), trusted)
    if found is None:
        if limits.allow:
            return Verdict(False, "allow", str(because("allow")), (), trusted)
        return Verdict(True, "", "no rule has it: everybody may come", (), trusted)
    setting, prefix = found
    rule = f"{setting} {prefix}"
    others = tuple(other for other in matching if other != rule)
    return Verdict(setting == "allow", setting, rule, others, trusted)


def judge_user(limits: Limits, uid: int) -> Verdict:
    """What decides on a user of this host, over a Unix socket."""
    trusted = uid in limits.trusted_users
    if not limits.allow_users:
        return Verdict(True, "", "no allow_users: the mode of the socket decides", (), trusted)
    if uid in limits.allow_users:
        return Verdict(True, "allow_users", f"allow_users has user {uid}", (), trusted)
    return Verdict(False, "allow_users", str(because("allow_users", uid=uid)), (), trusted)
