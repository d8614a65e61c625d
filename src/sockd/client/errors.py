"""What can go wrong with a host: each error knows its exit code, and its name for programs."""

from __future__ import annotations

from typing import ClassVar

from sockd.client.exits import Exit


class ClientError(Exception):
    """Its text is one line for the user, which names what failed and where. It is not escaped."""

    exit: ClassVar[Exit] = Exit.UNREACHABLE
    reason: ClassVar[str] = "error"
    """For programs: a stable name."""


class Unreachable(ClientError):
    """Refused, reset before an answer, or no way there."""

    reason = "unreachable"


class Refused(ClientError):
    """The service itself says that it does not do what was asked: an answer, but none to have."""

    reason = "refused"


class UsageFault(ClientError):
    """What was asked for cannot be meant so."""

    exit = Exit.USAGE
    reason = "usage"


class TimedOut(ClientError):
    """No answer in time."""

    exit = Exit.TIMEOUT
    reason = "timeout"


class BadAnswer(ClientError):
    """The answer breaks the protocol."""

    exit = Exit.BAD_ANSWER
    reason = "bad_answer"


class BadCertificate(ClientError):
    """TLS could not be agreed on: a certificate that does not hold, or no TLS at all."""

    exit = Exit.CERTIFICATE
    reason = "certificate"


class NameNotFound(ClientError):
    """There is no such name."""

    exit = Exit.NAME
    reason = "name_not_found"
