"""Has the state know where a chat stands, so that it can be gone on with by another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import define, evolve, field

from sockd.client.chat.conversation import Phase
from sockd.client.chat.login import Kept
from sockd.client.chat.servers import Server
from sockd.client.chat.state import Last, State
from sockd.formats.chat.hello import Welcome

KEEP_SECONDS = 600.0
"""After which a session is kept anew: how old it is says whether it is of any use."""


class Standing(Protocol):
    """What of a conversation tells where it stands."""

    @property
    def phase(self) -> Phase: ...
    @property
    def nickname(self) -> bytes: ...
    @property
    def kept(self) -> Kept | None: ...
    @property
    def welcome(self) -> Welcome | None: ...


@define(eq=False)
class Keeper:
    """Of one chat."""

    state: State
    conversation: Standing
    seconds: Callable[[], float]
    """A clock that only goes forward."""
    server: Server | None
    """Whom to ask first the next time; what it says of itself is not known yet."""
    nickname: str | None = None
    """What to know as the user's; None: the one that is logged in by."""
    _kept: Kept | None = field(default=None, init=False)
    _name: bytes = field(default=b"", init=False)
    """The nickname of that session."""
    _until: int = field(default=0, init=False)
    """The number at which it is kept anew."""
    _at: float = field(default=0.0, init=False)
    _last: Last | None = field(default=None, init=False)

    def look(self) -> None:
        """Something may be another than before."""
        conversation = self.conversation
        if conversation.phase is Phase.IN:
            self._keep_last()
            if conversation.kept is not None:
                self._keep(conversation.kept)
        elif conversation.phase in (Phase.LEAVING, Phase.OVER):
            self._leave()

    def _keep(self, kept: Kept) -> None:
        name, now = self.conversation.nickname, self.seconds()
        if name != self._name:
            self._leave()
        before = self._kept
        if (
            before is None
            or (kept.session, kept.channels) != (before.session, before.channels)
            or kept.number >= self._until
            or now >= self._at + KEEP_SECONDS
        ):
            self._kept, self._name, self._at = kept, name, now
            self._until = self.state.keep(kept, name)

    def _leave(self) -> None:
        """It has logged off: who takes it up later is in no channel."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.channels:
            self.state.keep(evolve(kept, channels=()), self._name)

    def _keep_last(self) -> None:
        welcome, server = self.conversation.welcome, self.server
        if server is not None and welcome is not None:
            server = evolve(server, name=welcome.name, is_new=True, id=welcome.server)
        nickname = self.nickname
        if nickname is None:
            nickname = self.conversation.nickname.decode("utf-8", "replace")
        last = Last(server, nickname)
        if last != self._last:
            self._last = last
            self.state.keep_last(last)
