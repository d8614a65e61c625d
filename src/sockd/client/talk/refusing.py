"""A service that says itself that it does not do what was asked."""

from __future__ import annotations

from sockd.client.asks import Answer, Talk
from sockd.client.errors import Refused
from sockd.client.report import Error


def tell_refusal(talk: Talk, about: str, message: bytes) -> Refused:
    """Tell it at once; `about` is what was asked, as a message shows it, or nothing."""
    said = message.decode("utf-8", "surrogateescape")
    refused = Refused(f"{talk.target} said{f' to {about}' if about else ''}: {said}")
    talk.run.report(
        Error(
            target=talk.target.name, reason=refused.reason, message=str(refused), exit=refused.exit
        )
    )
    return refused


def refused(talk: Talk, about: str, message: bytes) -> Answer:
    """Tell it, and what it comes to: the service has answered, but the exit code says no."""
    return Answer(text="", refusal=tell_refusal(talk, about, message))
