"""The base of services that answer HTTP: a request is a head, an answer a `Response`.

A connection stays open for as long as its client wants. What is not asked by GET or HEAD is not
answered, and no body is taken.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sockd.access.reasons import Reason
from sockd.formats.http import (
    METHODS,
    BadRequest,
    HeadBuffer,
    Request,
    Response,
    pack,
    parse_head,
    plain,
)
from sockd.net.context import Context
from sockd.net.requests import Requests

_STATUS = {"max_head": 431, "answer_timeout": 503}
"""What a client is told that has to go, by the name of the reason."""


class Http(Requests):
    """A connection of a service that answers HTTP."""

    context: Context[Any, Any]
    reads_frames = True

    # what a service overrides

    def respond(self, request: Request) -> Response | Deferred[Response]:
        """The answer to a GET; to a HEAD it is sent without its body."""
        raise NotImplementedError

    # from `Requests`

    def make_buffer(self) -> HeadBuffer:
        return HeadBuffer()

    def answer(self, request: bytes) -> bytes | Deferred[bytes]:
        try:
            asked = parse_head(request)
        except BadRequest as error:
            self.hear_no_more()
            return self._pack(plain(error.status), None)
        if not asked.keeps_open:
            self.hear_no_more()
        found = self.respond(asked) if asked.method in METHODS else plain(405)
        if isinstance(found, Deferred):
            return found.addCallback(self._pack, asked)
        return self._pack(found, asked)

    def _pack(self, response: Response, request: Request | None) -> bytes:
        return pack(response, self.context.world.wall(), request)

    def fail(self, reason: Reason) -> None:
        """Tell the client by a status what was wrong, and close."""
        if not self.is_closing:
            self.write(self._pack(plain(_STATUS.get(reason.name, 500)), None))
            self.close(reason)
