"""A connection that has ended is dialled again, for as long as the chat goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sockd.client.chat.driver import Chat
from sockd.client.chat.links import Link
from sockd.client.chat.told import Level
from sockd.client.errors import ClientError
from sockd.client.waiting import sleep

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each try, the last of them again and again; by chance up to twice as long, as all
who were connected to a server that has gone dial it again."""


@define(eq=False)
class Redial:
    """What keeps one chat connected."""

    chat: Chat
    dial: Callable[[], Coroutine[Deferred[Any], Any, Link]]
    """Raises ClientError."""
    chance: Callable[[], float] = random.random
    _dialling: Deferred[None] | None = field(default=None, init=False)
    _said: str = field(default="", init=False)

    def lost(self, why: str) -> None:
        """The connection has ended, and not by us."""
        self.chat.disconnected(why)
        if self._dialling is None and not self.chat.is_over:
            self._dialling = Deferred.fromCoroutine(self._dial())
            self._dialling.addErrback(self._failed)

    def stop(self) -> None:
        """Dial no more."""
        if self._dialling is not None:
            self._dialling.cancel()

    async def _dial(self) -> None:
        tries = 0
        while True:
            wait = WAITS[min(tries, len(WAITS) - 1)]
            await sleep(self.chat.reactor, wait * (1 + self.chance()))
            tries += 1
            try:
                link = await self.dial()
            except ClientError as error:
                self._tell(str(error))
                continue
            self._dialling, self._said = None, ""
            if self.chat.is_over:
                link.close()
            else:
                self.chat.connected(link)
            return

    def _tell(self, why: str) -> None:
        """Why it does not succeed, each time that it is something else."""
        if why != self._said and not self.chat.is_over:
            self._said = why
            self.chat.tell(why, Level.WARNING)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError) and not self.chat.ended.called:
            self.chat.ended.errback(failure)
