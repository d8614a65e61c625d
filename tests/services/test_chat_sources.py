"""From which of the host's addresses the chat answers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from sockd.access.entrance import Entrance
from sockd.formats.chat.events import Code, pack
from tests.helpers import make_context, open_port

ASKED = (socket.IPPROTO_IP, 8, bytes(12))
"""An `in_pktinfo`, which is message 8 on Linux."""


@pytest.mark.parametrize(("host", "source"), [("0.0.0.0", ASKED), ("192.0.2.9", None)])
def test_answers_name_the_address_that_was_asked_where_there_are_several(
    host: str, source: Any, tmp_path: Path
) -> None:
    context = make_context("chat", legacy="everywhere", state=str(tmp_path / "state"))
    port = open_port("chat", context)
    door: Any = port.protocol
    door.entrance = Entrance("udp", host, 2027, is_wildcard=source is not None)
    for name, peer in (("ada", ("192.0.2.7", 50_007)), ("bob", ("192.0.2.8", 50_008))):
        port.ask(pack(Code.LOGIN_REQ, name.encode()), peer, asked=ASKED)
    port.ask(pack(Code.SEND_PRIVATE, b"ada hello"), ("192.0.2.8", 50_008), asked=ASKED)
    assert [sent.to[0] for sent in port.sent] == ["192.0.2.7", "192.0.2.8", "192.0.2.7"]
    assert {sent.source for sent in port.sent} == {source}
