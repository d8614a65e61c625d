"""What is true of the whole daemon."""

from __future__ import annotations

import os

from sockd.access.state import LEFT_SECONDS, DaemonState


def test_a_port_is_ours_until_the_last_socket_there_has_closed() -> None:
    state = DaemonState()
    state.open_udp_port(7)
    state.open_udp_port(7)
    state.close_udp_port(7)
    assert 7 in state.udp_ports
    state.close_udp_port(7)
    assert 7 not in state.udp_ports


def test_a_local_name_is_ours_until_the_last_socket_by_it_has_closed() -> None:
    state = DaemonState()
    state.open_local_name("/run/x")
    state.open_local_name("/run/x")
    state.close_local_name("/run/x")
    assert "/run/x" in state.local_names
    state.close_local_name("/run/x")
    assert "/run/x" not in state.local_names


def test_this_process_is_one_of_the_daemons() -> None:
    assert DaemonState().is_own_process(os.getpid())
    assert not DaemonState().is_own_process(os.getppid())
    assert not DaemonState().is_own_process(None)


def test_a_number_is_given_once_and_so_is_a_warning() -> None:
    state = DaemonState()
    assert [state.next_session() for _ in range(3)] == [1, 2, 3]
    assert [state.warns_first("a"), state.warns_first("a"), state.warns_first("b")] == [
        *(True, False, True)
    ]


def test_a_port_of_one_family_is_none_of_the_other() -> None:
    state = DaemonState()
    state.open_udp_port(7, ipv4=False)
    assert state.may_send_from("::1", 7)
    assert not state.may_send_from("127.0.0.1", 7)
    state.open_udp_port(7)
    assert state.may_send_from("127.0.0.1", 7)
    state.close_udp_port(7)
    assert state.may_send_from("::1", 7)
    assert not state.may_send_from("127.0.0.1", 7)
    state.close_udp_port(7, ipv4=False)
    assert not state.may_send_from("::1", 7)


def test_a_port_that_others_are_to_close_as_well_is_ours_for_a_while() -> None:
    state = DaemonState()
    assert not state.has_left_udp_port(7, 100.0)
    state.leave_udp_port(7, 100.0)
    state.leave_udp_port(13, 105.0)
    assert state.has_left_udp_port(7, 100.0 + LEFT_SECONDS - 1)
    assert not state.has_left_udp_port(7, 100.0 + LEFT_SECONDS)
    assert state.has_left_udp_port(13, 100.0 + LEFT_SECONDS)
