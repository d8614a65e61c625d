"""How a service's protocol gets onto a transport that speaks TLS itself, or does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from sockd.listen.strings import parse
from sockd.net import tls
from sockd.net.tls_socket import OnSocket


class Transport(StringTransport):
    """One that can speak TLS, cannot, or fails to begin."""

    protocol: object = None

    def __init__(self, can: bool | Exception) -> None:
        super().__init__()
        self._can = can

    def secure(self, factory: object) -> bool:
        if isinstance(self._can, Exception):
            raise self._can
        return self._can


@pytest.fixture
def factory(tls_files: tuple[Path, ...]) -> tls.TLSFactory:
    certificate, key, _ = tls_files
    listen = parse(f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}")
    return tls.TLSFactory(tls.Connections(tls.load(listen.terms)), Clock())


def test_the_service_is_the_protocol_of_a_transport_that_speaks_tls(
    factory: tls.TLSFactory,
) -> None:
    service, transport = Protocol(), Transport(can=True)
    OnSocket(factory, service).makeConnection(transport)
    assert transport.protocol is service
    assert service.transport is transport


def test_it_is_wrapped_where_the_transport_does_not(factory: tls.TLSFactory) -> None:
    service, transport = Protocol(), Transport(can=False)
    OnSocket(factory, service).makeConnection(transport)
    assert transport.protocol is service.transport
    assert service.transport is not transport


def test_where_tls_cannot_begin_nothing_is_said_in_the_clear(factory: tls.TLSFactory) -> None:
    service, transport = Protocol(), Transport(can=ValueError("no such key"))
    with pytest.raises(ValueError, match="no such key"):
        OnSocket(factory, service).makeConnection(transport)
    assert transport.disconnected
    assert service.transport is None
    assert transport.value() == b""
