"""The addresses of xinetd's rules, as prefixes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.prefixes import parse_prefix
from sockd.importer.prefixes import EVERYBODY, all_prefixes, prefixes


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("128.138.12.0", ["128.138.12.0/24"]),
        ("128.138.0.0", ["128.138.0.0/16"]),
        ("128.0.12.0", ["128.0.12.0/24"]),
        ("128.138.12.5", ["128.138.12.5"]),
        ("128.138.12", ["128.138.12.0/24"]),
        ("010.0.0.1", ["10.0.0.1"]),
        ("0.0.0.0", [*EVERYBODY]),
        ("128.138.{3,4}", ["128.138.3.0/24", "128.138.4.0/24"]),
        ("128.138.12.{3,4}", ["128.138.12.3", "128.138.12.4"]),
        ("192.168.0.0/16", ["192.168.0.0/16"]),
        ("2001:db8::/32", ["2001:db8::/32"]),
        ("2001:db8::5", ["2001:db8::5"]),
        ("localhost", ["127.0.0.1", "::1"]),
    ],
)
def test_each_form_of_an_address_is_the_prefix_that_xinetd_takes_it_for(
    written: str, expected: list[str]
) -> None:
    found, unknown = all_prefixes([written])
    assert (list(found), list(unknown)) == (expected, [])


@pytest.mark.parametrize(
    "written", ["example.org", ".example.org", "our-net", "300.1.1.1", "1.2.3.4.5", "1.2.{3", ""]
)
def test_names_and_what_is_no_address_are_told_apart(written: str) -> None:
    assert all_prefixes([written, "10.1.1.1"]) == (["10.1.1.1"], [written])


@given(st.ip_addresses(v=4))
def test_an_address_is_in_its_prefix_and_its_zeros_are_any(address: ipaddress.IPv4Address) -> None:
    network = parse_prefix(prefixes(str(address))[0])
    assert address in network
    zeros = 4 - len(str(address).rstrip(".0").split("."))
    if network.prefixlen:
        assert network.prefixlen <= 32 - 8 * min(zeros, 3)


@given(st.lists(st.text("0123456789.{},/:abcdef", max_size=20)))
def test_whatever_is_written_is_prefixes_or_named(words: list[str]) -> None:
    found, unknown = all_prefixes(words)
    assert set(unknown) <= set(words)
    for text in found:
        parse_prefix(text)
