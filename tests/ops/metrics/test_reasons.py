"""Which reasons a door has series for before anything happens."""

from __future__ import annotations

import pytest

from sockd.access.reasons import SENTENCES
from sockd.net.stream import Stream
from sockd.ops.metrics.reasons import REFUSALS, ends, refusals
from sockd.service import Kind
from tests.helpers import FOUND

ELSEWHERE = {
    # no peer is turned away or sent away for these
    *("bans_broken", "bans_unkept", "bans_unread", "cannot_send", "capabilities_of_root"),
    *("certificate_changed", "certificate_kept", "configuration", "file_left", "listen_error"),
    *("log_error", "log_unwritten", "mode_left", "no_log_file", "no_program", "no_urgent_data"),
    *("no_worker", "processes_of_root", "receive_buffer", "runaways", "sends_again"),
    *("shared_left", "state_unwritten", "suppressed", "switch_fault", "long_answer"),
    # users of a chat are no connections
    *("connection_over", "door_closed", "logged_off", "renamed", "sent_away", "silent"),
    # after these the series are gone, or nobody asks for them any more
    *("daemon_stops", "service_removed"),
    # a service has to say itself that it has it
    "rejected",
}


def test_each_reason_has_its_series_or_is_known_to_need_none() -> None:
    found = set()
    for kind in FOUND.kinds.values():
        for door in kind.all_doors:
            for transport in door.transports:
                found |= {*refusals(kind, transport, door, is_proxied=True)}
                found |= {*ends(kind, transport, door)}
    assert not found & ELSEWHERE
    assert SENTENCES.keys() - ELSEWHERE == found


class Rude(Stream):
    """Has reasons of its own."""


RUDE = Kind(name="rude", doc="Rude.", stream=Rude, refuses=["forged"], ends=["rejected"])


def test_a_kind_adds_its_own() -> None:
    [door] = RUDE.all_doors
    assert "rejected" in [*ends(RUDE, "tls", door)]
    assert [*ends(RUDE, "udp", door)] == []
    assert [*refusals(RUDE, "unix", door, is_proxied=False)] == [*REFUSALS["unix"], "forged"]


@pytest.mark.parametrize("key", ["refuses", "ends"])
def test_a_kind_names_only_reasons_that_there_are(key: str) -> None:
    with pytest.raises(TypeError, match="names of sockd"):
        Kind(name="rude", doc="Rude.", stream=Rude, **{key: ["of_no_name"]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "transport", "has", "has_not"),
    [
        ("reverse", "tcp", {"max_line", "line_timeout"}, {"max_text", "handshake_ended"}),
        ("wrap", "tls", {"max_text", "handshake_ended"}, {"max_line", "max_frame"}),
        ("chat", "tcp", {"max_frame", "frame_timeout"}, {"max_line"}),
        ("exec", "tcp", {"program_ended", "max_children"}, {"max_line"}),
    ],
)
def test_a_door_has_those_that_its_protocol_can_have(
    kind: str, transport: str, has: set[str], has_not: set[str]
) -> None:
    found = {*ends(FOUND.kinds[kind], transport, FOUND.kinds[kind].all_doors[0])}
    assert has <= found
    assert not has_not & found
