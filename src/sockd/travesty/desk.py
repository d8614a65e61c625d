"""What the connections of a travesty service share: room for texts, and who sorts one now."""

from __future__ import annotations

from attrs import frozen, validators
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.peer import Peer
from sockd.net.context import Context
from sockd.options.files import FilePath, read_file
from sockd.options.option import option
from sockd.options.units import Size
from sockd.travesty.memory import give_back
from sockd.travesty.model import Travesty
from sockd.travesty.uploads import blocks

MAX_FILE = 64 * 1024 * 1024
"""Bytes of the longest file to begin with: it is read at once."""
LEAST_MEMORY = Size(4 * 1024 * 1024)
"""Bytes: a block of a text may take two million, before it is known what is new in it."""
REPORTS_PER_SECOND = 10
"""Transfers that were stopped and are told of in the log."""


def _learnable(_: object, __: object, name: str) -> None:
    if name:
        read_text(name)


@frozen
class TravestyOptions:
    """What the travesty service can be told."""

    preload: FilePath = option(
        FilePath(""),
        "a file with a text that every connection begins with",
        validator=_learnable,
    )
    max_words: int = option(
        2_000_000, "words of one text", validator=[validators.ge(3), validators.le(1 << 28)]
    )
    max_memory: Size = option(
        Size(128 * 1024 * 1024),
        "memory of one text, while it is learnt",
        validator=validators.ge(LEAST_MEMORY),
    )
    memory: Size = option(
        Size(512 * 1024 * 1024),
        "memory of the texts of all connections; half of it helps to make up new ones, too",
        validator=validators.ge(LEAST_MEMORY),
    )


def read_text(name: str) -> bytes:
    """A text to begin with. Raises ValueError that names the file."""
    try:
        text = read_file(name, MAX_FILE)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None
    if not text.split(None, 1):
        raise ValueError(f"{name}: it has no words")
    return text


class Desk:
    """What the connections share."""

    def __init__(self, context: Context[TravestyOptions, Desk]) -> None:
        self._context = context
        self._sorting = DeferredLock()
        self._texts: dict[Travesty, int] = {}
        """The texts that there are, and what each takes."""
        self._sorted: dict[Travesty, bool] = {}
        """Those that are sorted or wait for it, and whether somebody wants them."""
        self._taken = 0
        self._reports = Buckets(REPORTS_PER_SECOND, REPORTS_PER_SECOND, 1)
        self._unreported = 0
        self.preloaded = self._preload(context.options)

    def _preload(self, options: TravestyOptions) -> Travesty | None:
        if not options.preload:
            return None
        travesty = self.new()
        for block in blocks(read_text(options.preload)):
            travesty.add(block)
        if travesty.is_full:
            raise ValueError(f"{options.preload}: more than max_words or max_memory allow")
        travesty.finish()
        return travesty

    def new(self) -> Travesty:
        """A text of which nothing is known yet."""
        options = self._context.options
        return Travesty(options.max_words, options.max_memory)

    def learn(self, travesty: Travesty, block: bytes) -> bool:
        """Add a block to a text, if there is room: what all take is then beyond `memory` by no more
        than that one block. Whether there was."""
        if self._taken > self._context.options.memory:
            return False
        travesty.add(block)
        self._count(travesty)
        return True

    def _count(self, travesty: Travesty) -> None:
        taken = travesty.memory
        self._taken += taken - self._texts.get(travesty, 0)
        self._texts[travesty] = taken

    def lend(self, size: int) -> bool:
        """See `Room`: what a text that is made up takes. Half is left to those that come."""
        if self._taken + size > self._context.options.memory // 2:
            return False
        self._taken += size
        return True

    def take_back(self, size: int) -> None:
        """See `Room`."""
        self._taken -= size

    def forget(self, travesty: Travesty) -> None:
        """Nobody wants it any more. While it is sorted, it takes what it takes."""
        if travesty in self._sorted:
            self._sorted[travesty] = False
        else:
            self._taken -= self._texts.pop(travesty, 0)

    def finish(self, travesty: Travesty) -> Deferred[None]:
        """Sort it in a thread, one after the other. Cancelling it does not end that."""
        reactor = self._context.world.reactor
        self._sorted[travesty] = True
        done: Deferred[None] = Deferred()

        def sort() -> Deferred[None]:
            # a thread for those that nobody wants, too: a lock calls who waits from within who ends
            return deferToThreadPool(reactor, reactor.getThreadPool(), work)

        def work() -> None:
            if self._sorted[travesty]:
                travesty.finish()
                give_back()

        def tell(result: Failure | None) -> None:
            if self._sorted.pop(travesty):
                self._count(travesty)
            else:
                self.forget(travesty)
            done.callback(result)  # a Failure is one of the Deferred

        self._sorting.run(sort).addBoth(tell)
        return done

    def report(self, peer: Peer, transfer: str, how: str, dropped: int) -> None:
        """Tell the log of a transfer that was stopped."""
        if not self._context.limits.log_connections:
            return
        if not self._reports.take("", self._context.clock.seconds()):
            self._unreported += 1
            return
        untold, self._unreported = events.Untold(self._unreported), 0
        events.emit(
            "transfer-stopped",
            service=self._context.name,
            peer=peer,
            transfer=transfer,
            how=how,
            dropped=dropped,
            suppressed=untold,
        )

    def stop(self) -> None:
        """Nothing to let go of: who sorts is waited for by the reactor."""
