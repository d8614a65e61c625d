"""An address and a port as one text."""

from sockd.formats.hostport import host_port


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert host_port("127.0.0.1", 7) == "127.0.0.1:7"
    assert host_port("::1", 7) == "[::1]:7"
