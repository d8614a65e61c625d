"""The conversations of `golden`: what is done in each. `python -m tests.chat.transcripts` writes
them anew, where the wire was changed on purpose."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

from sockd.chat.members import Place
from sockd.formats.chat.events import Code
from tests.chat.transcribe import Event, Table, Transcript, note
from tests.chat.world import MULTICAST
from tests.client.chat.old import OldServer

GOLDEN = Path(__file__).parent / "golden"


def unicast() -> Transcript:
    """An old client and ours, by the door that sends each member its own."""
    table = Table(burst=100)
    table.note("A program looks for servers, as old ones do: any answer is one.")
    table.sit("somebody")
    table.old("somebody", Code.NOTHING)
    table.note("rufus, who has an old client, logs in.")
    table.sit("rufus")
    table.old("rufus", Code.LOGIN_REQ, b"rufus")
    table.note("anna, who has ours, says hello, and opens a session with the cookie of the answer.")
    anna, now = table.new("anna"), table.server.now
    table.note("Both join Weather. Who is there already is told.")
    table.old("rufus", Code.JOIN_REQ, b"weather")
    table.do("anna", anna.join("Weather", now))
    table.note("Both speak. It is one datagram for all; what is behind the newline is for ours.")
    table.old("rufus", Code.SEND_PUBLIC, b"hello")
    table.do("anna", anna.say("hello rufus", now))
    table.note("What a terminal would act on is escaped.")
    table.old("rufus", Code.SEND_PUBLIC, b"one\ntwo\x1b[2J")
    table.note("To one alone. That it has come is confirmed to ours.")
    table.old("rufus", Code.SEND_PRIVATE, b"anna psst")
    table.do("anna", anna.whisper("rufus", "yes?", now))
    table.note("Lists are an event an entry.")
    table.old("rufus", Code.LIST_CHANNELS)
    table.old("rufus", Code.LIST_USERS)
    table.do("anna", anna.list_channels(now))
    table.do("anna", anna.list_users(now))
    _leave_and_err(table)
    return table.transcript


def _leave_and_err(table: Table) -> None:
    anna, now = table.talks["anna"], table.server.now
    table.note("anna joins another, and leaves it: the one before is the current one again.")
    table.do("anna", anna.join("pets", now))
    table.do("anna", anna.part("", now))
    table.note("rufus does the same.")
    table.old("rufus", Code.JOIN_REQ, b"PETS")
    table.old("rufus", Code.PART_REQ)
    table.note("What cannot be done is refused; to ours with the number of what was asked.")
    table.old("rufus", Code.JOIN_REQ, b"Nowhere")
    table.old("rufus", Code.SEND_PRIVATE, b"nobody hi")
    table.old("rufus", 4711)
    table.do("anna", anna.join("Nowhere", now))
    table.note("A nickname is taken, in whatever case.")
    table.old("somebody", Code.LOGIN_REQ, b"Anna")
    table.note("An answer to anna is lost, so she asks again: a double is confirmed, and no more.")
    sent = [line for line in table.transcript.lines if isinstance(line, Event)]
    asked = [line for line in sent if line.who == "anna" and not line.is_heard]
    table.send("anna", asked[-1].data)
    table.note("Signs of life. Ours are confirmed.")
    table.old("rufus", Code.STILL_HERE)
    table.wait(30.1)
    table.note("Both leave.")
    table.old("rufus", Code.LOGOFF, b"rufus")
    table.do("anna", anna.quit(table.server.now))


def multicast() -> Transcript:
    """An old client and ours at the door of groups, and an old one at the other door."""
    table = Table(burst=100, heartbeat=IPv4Address("225.1.0.6"))
    table.note("rufus, who has an old client, logs in at the door of groups; the port comes next.")
    table.sit("rufus", MULTICAST)
    table.old("rufus", Code.LOGIN_REQ, b"rufus")
    table.note("anna, who has ours, logs in there. She is told of heartbeats, too.")
    anna, now = table.new("anna", MULTICAST), table.server.now
    table.note("otto, who has an old client without groups, logs in at the other door.")
    table.sit("otto")
    table.old("otto", Code.LOGIN_REQ, b"otto")
    table.note("All join. What is sent to the group is sent once, whoever hears it.")
    table.old("rufus", Code.JOIN_REQ, b"weather")
    table.do("anna", anna.join("weather", now))
    table.old("otto", Code.JOIN_REQ, b"weather")
    table.note("All speak.")
    table.old("rufus", Code.SEND_PUBLIC, b"hello")
    table.do("anna", anna.say("hello rufus", now))
    table.old("otto", Code.SEND_PUBLIC, b"hello both")
    table.note("What one asks is answered to that one alone.")
    table.old("rufus", Code.LIST_CHANNELS)
    table.do("anna", anna.list_channels(now))
    table.old("rufus", Code.PART_REQ)
    table.note("Every ten seconds something comes to the group of heartbeats.")
    server = table.server
    beat = server.rooms.heartbeat.beat(server.moment)
    table.transcript.lines.append(Event("group 225.1.0.6 port 2028", True, beat))
    table.do("anna", anna.received(beat, now))
    table.note("anna hears no more of them, and asks for her own.")
    table.wait(36)
    table.note("From now on she is sent what is said there as otto is, and groups are for others.")
    table.old("otto", Code.SEND_PUBLIC, b"still there?")
    return table.transcript


def restart() -> Transcript:
    """A server that is killed and started again, with an old client and ours."""
    table = Table(burst=100)
    table.sit("rufus")
    table.note("Both log in, and join Pets.")
    table.old("rufus", Code.LOGIN_REQ, b"rufus")
    anna = table.new("anna")
    table.old("rufus", Code.JOIN_REQ, b"Pets")
    table.do("anna", anna.join("Pets", table.server.now))
    table.wait(10)
    table.server.restart()
    table.note("The server has started anew. An old client is asked to log in.")
    table.old("rufus", Code.SEND_PUBLIC, b"hello")
    table.old("rufus", Code.LOGIN_REQ, b"rufus")
    table.old("rufus", Code.JOIN_REQ, b"Pets")
    table.note(
        "Ours is, too. As anybody may say that, it looks into it with a sign of life; then it "
        "takes up its session, which the server knows by its secret, and joins its channels "
        "again. rufus is not told of it."
    )
    table.do("anna", anna.say("hello", table.server.now))
    table.wait(9)
    table.note("Somebody looks after the server, and sends both away.")
    server = table.server
    for name in ("rufus", "anna"):
        server.carry_out(server.moderation.kick(name, server.moment, "be kind"))
        table.deliver()
    return table.transcript


def strict() -> Transcript:
    """An old client where the server is strict."""
    table = Table(is_strict=True)
    table.sit("rufus")
    table.note("A number is asked for that only this address is told.")
    table.old("rufus", Code.LOGIN_REQ, b"rufus")
    [*_, asked] = [line for line in table.transcript.lines if isinstance(line, Event)]
    name = asked.data.rpartition(b" ")[2]
    table.old("rufus", Code.LOGIN_REQ, name)
    table.note("It is no part of the nickname. To log off it is needed, and nothing else is heard.")
    table.old("rufus", Code.JOIN_REQ, b"Pets")
    table.old("rufus", Code.LOGOFF, b"rufus")
    table.old("rufus", Code.SEND_PUBLIC, b"hi")
    table.old("rufus", Code.LOGOFF, name)
    return table.transcript


class OldTable(Table):
    """The server is an old one."""

    def __init__(self, group: str) -> None:
        super().__init__()
        self._old = OldServer(group=group)

    def serve(self, place: Place, data: bytes) -> None:
        for answer in self._old.answers(data):
            self.server.put(place, answer)


def old_server(group: str = "") -> Transcript:
    """Our client at an old server."""
    table = OldTable(group)
    table.note("It takes a hello for an event like any other, and so it is known as an old one.")
    anna, now = table.new("anna"), table.server.now
    table.note("anna joins, speaks, asks, and leaves.")
    for dones in (
        anna.join("weather", now),
        anna.say("hello", now),
        anna.list_channels(now),
        anna.list_users(now),
        anna.part("", now),
    ):
        table.do("anna", dones)
    table.wait(2)
    table.note("Every 30 s she sends a sign of life.")
    table.wait(30.1)
    table.do("anna", anna.quit(table.server.now))
    return table.transcript


def old_server_groups() -> Transcript:
    """Our client at an old server with groups."""
    return old_server("225.1.0.2")


ALL: list[Callable[[], Transcript]] = [
    unicast,
    multicast,
    restart,
    strict,
    old_server,
    old_server_groups,
]


def written(make: Callable[[], Transcript]) -> str:
    """The file of one."""
    return f"{note(make.__doc__ or '')}\n\n{make().write()}"


def main() -> None:
    """Write all of them."""
    GOLDEN.mkdir(exist_ok=True)
    for make in ALL:
        (GOLDEN / f"{make.__name__}.txt").write_text(written(make), "utf-8")


if __name__ == "__main__":
    main()
