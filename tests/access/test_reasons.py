"""Reasons: stable names with sentences and fields."""

from __future__ import annotations

import re

import pytest

from sockd.access.peer import Peer
from sockd.access.reasons import SENTENCES, Reason, because
from sockd.formats.template import names_in


def test_a_reason_reads_as_its_sentence() -> None:
    assert str(because("max_connections", limit=20)) == "max_connections = 20"
    assert str(because("done")) == "done"


def test_a_log_of_fields_has_the_name_and_the_values() -> None:
    reason = because("deny", prefix="192.0.2.0/24")
    assert reason.fields("reason") == {"reason": "deny", "prefix": "192.0.2.0/24"}


def test_there_is_no_reason_that_the_table_has_not() -> None:
    with pytest.raises(ValueError, match="there is no reason 'whim'"):
        because("whim")


@pytest.mark.parametrize("values", [{}, {"limit": 1, "more": 2}, {"other": 1}])
def test_a_reason_has_all_of_its_fields_and_no_others(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="max_connections has the fields"):
        Reason("max_connections", values)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_name_is_one_word_that_a_program_can_match(name: str) -> None:
    assert re.fullmatch("[a-z]+(_[a-z]+)*", name)
    assert not names_in(SENTENCES[name]) & {"service", "peer", "reason", "event", "message"}


def test_equal_reasons_are_equal() -> None:
    assert because("deny", prefix="::1") == because("deny", prefix="::1")
    assert len({because("done"), because("done")}) == 1


def test_a_peer_has_its_address_and_port_apart_and_its_proxy_in_via() -> None:
    proxied = Peer("192.0.2.7", 5, via=Peer("::1", 80))
    assert proxied.fields("peer") == {
        "peer_address": "192.0.2.7",
        "peer_port": 5,
        "via": "[::1]:80",
    }
    assert Peer("", 0, 12, 34).fields("peer") == {"peer_pid": 12, "peer_uid": 34}
    assert Peer("", 0).fields("peer") == {}
