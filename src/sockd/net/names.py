"""Host names of addresses, found without blocking and never waited for long.

A resolver that does not answer holds a thread for as long as it likes, so the threads are few, they
are daemons (a stop does not wait for them), and what waits for them is bounded.
"""

from __future__ import annotations

import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from queue import Empty, Full, Queue

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure

DEADLINE = 0.5
"""Seconds until the address itself is the answer: a greeting starts within one second."""
THREADS = 4
"""Look-ups at once: enough for a LAN, and a dead resolver holds no more than these."""
WAITING = 64
"""Look-ups that may wait for a thread; what comes then is answered with its address."""
KEPT = 1024
"""Names remembered."""
KEPT_SECONDS = 300.0
"""How long a name (or that there is none) is remembered."""
IDLE_SECONDS = 10.0
"""A thread without work ends after this."""


def system_lookup(address: str) -> str:
    """The name of an address as the system knows it. Raises OSError where there is none."""
    name = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    return name.split("%", 1)[0]


class Names:
    """Names of addresses, from the system's resolver, with a deadline and a memory."""

    def __init__(
        self,
        clock: IReactorTime,
        threads: IReactorFromThreads,
        lookup: Callable[[str], str] = system_lookup,
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._lookup = lookup
        self._queue: Queue[str] = Queue(WAITING)
        self._running = 0
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Deferred[str]]] = {}
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def name(self, address: str) -> Deferred[str]:
        """The host name of an address, or the address itself after at most `DEADLINE` seconds."""
        if address in self._known:
            until, name = self._known[address]
            if self._clock.seconds() < until:
                return succeed(name)
        is_new = address not in self._waiting
        if is_new:
            try:
                self._queue.put_nowait(address)
            except Full:
                return succeed(address)
            self._waiting[address] = []
        answer: Deferred[str] = Deferred(partial(self._wait_no_more, address))
        self._waiting[address].append(answer)
        deadline = self._clock.callLater(DEADLINE, self._give_up, address, answer)

        def in_time(name: str | Failure) -> str | Failure:
            if deadline.active():
                deadline.cancel()
            return name

        answer.addBoth(in_time)
        if is_new:
            self._start_thread()
        return answer

    def _give_up(self, address: str, answer: Deferred[str]) -> None:
        self._wait_no_more(address, answer)
        answer.callback(address)

    def _wait_no_more(self, address: str, answer: Deferred[str]) -> None:
        waiting = self._waiting.get(address, [])
        if answer in waiting:
            waiting.remove(answer)

    def _found(self, address: str, name: str) -> None:
        self._known[address] = (self._clock.seconds() + KEPT_SECONDS, name)
        self._known.move_to_end(address)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        for answer in self._waiting.pop(address, []):
            answer.callback(name)

    def _start_thread(self) -> None:
        with self._lock:
            if self._running >= THREADS:
                return
            self._running += 1
        try:
            threading.Thread(target=self._work, name="sockd names", daemon=True).start()
        except RuntimeError:  # the host has no room for one more: the address is the answer
            with self._lock:
                self._running -= 1
                if self._running:
                    return  # those that there are will look
            self._forget()

    def _forget(self) -> None:
        """Nobody looks: who waits gets the address in time, and is looked up if it asks again."""
        while True:
            try:
                self._waiting.pop(self._queue.get_nowait(), None)
            except Empty:
                return

    def _work(self) -> None:
        while True:
            try:
                address = self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._queue.empty():
                        self._running -= 1
                        return
                continue
            try:
                name = self._lookup(address)
            except Exception:  # noqa: BLE001 - none, or bytes that are no name: nothing may end the thread
                name = address
            self._threads.callFromThread(self._found, address, name)
