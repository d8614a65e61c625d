"""Which answers prove that a service is there, and which do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.lan.proofs import (
    DATAGRAM_QUESTIONS,
    LEAST_PATTERN,
    MOST_LINE,
    STREAM_QUESTIONS,
    Question,
    chat_hello,
    is_text,
    number_of,
)
from sockd.formats import ports
from sockd.formats.chargen import PATTERN
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.hello import HELLO_BYTES, Hello, Welcome
from sockd.formats.factors import factors
from sockd.formats.quotes import builtin_quotes
from sockd.formats.said import MOST_QUOTE
from sockd.formats.time import time_since_1900
from sockd.services.reverse import reverse_datagram

TOKEN = b"sock0123456789ab"
QUESTIONS = {(one.service, one.transport.value): one for one in DATAGRAM_QUESTIONS}
QUESTIONS |= {(one.service, one.transport.value): one for one in STREAM_QUESTIONS}
CTIME = b"Sat Nov 28 19:54:12 2026\r\n"
NIST = b"\n61372 26-11-28 19:54:12 00 0 0 421.4 UTC(NIST) * \n"
FACTORS = factors(int(number_of(TOKEN)))
BACKWARDS = b"ba9876543210kcos"

HELLO = Hello.read(chat_hello(TOKEN)[2:])
assert HELLO is not None
WELCOME = Welcome(HELLO.nonce, bytes(8), 1, bytes(16), ("ack",), "mail").write()

ANSWERS: dict[tuple[str, str], list[bytes]] = {
    ("echo", "udp"): [TOKEN],
    ("echo", "tcp"): [TOKEN + b"\r\n"],
    ("daytime", "udp"): [CTIME, NIST, b"02 FEB 82 07:59:01 PST\r\n", b"1:05 in the morning"],
    ("daytime", "tcp"): [CTIME, NIST],
    ("quote", "udp"): [*builtin_quotes(), "Ma\xdfnahmen\n".encode("latin-1")],
    ("quote", "tcp"): [*builtin_quotes()],
    ("time", "udp"): [time_since_1900(0), bytes(4)],
    ("time", "tcp"): [time_since_1900(1.8e9)],
    ("chargen", "udp"): [PATTERN[:74], PATTERN[:512], PATTERN[-74:], PATTERN[740:760]],
    ("chargen", "tcp"): [PATTERN[:200]],
    ("reverse", "udp"): [b"1: " + BACKWARDS],
    ("reverse", "tcp"): [BACKWARDS + b"\r\n", BACKWARDS + b"\n"],
    ("ack", "udp"): [b"OK : " + TOKEN + b"\r\n"],
    ("ack", "tcp"): [
        b"OK : " + TOKEN + b"\r\n",
        b"Hello client how are you\r\nOK : " + TOKEN + b"\r\n",
    ],
    ("factor", "udp"): [FACTORS + b"\r\n"],
    ("chat", "udp"): [WELCOME],
    ("factor", "tcp"): [FACTORS + b"\n"],
    ("said", "tcp"): [b"You said:" + TOKEN + b"\r\n"],
    ("greet", "tcp"): [b"Hello there, alpha, it's now " + CTIME],
    ("welcome", "tcp"): [b"Hello client how are you\r\n"],
    ("fortune", "tcp"): [b"Hello there, alpha, it's now " + CTIME + b"A quote\r\n"],
}
GARBAGE = (
    b"",
    b"\0",
    b"\x1b[2J\r\n",
    b"\xff" * 600,
    b"sock0000000000000\r\n",
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    b"error: not an integer\r\n",
    bytes(range(256)),
)


def test_every_question_has_answers_here() -> None:
    assert set(ANSWERS) == set(QUESTIONS)


@pytest.mark.parametrize("key", sorted(ANSWERS))
def test_a_right_answer_proves_the_service_though_it_comes_byte_by_byte(
    key: tuple[str, str],
) -> None:
    question = QUESTIONS[key]
    for answer in ANSWERS[key]:
        assert question.proof(TOKEN, answer) is True
        if question.transport == "tcp":
            verdicts = [question.proof(TOKEN, answer[:end]) for end in range(1, len(answer) + 1)]
            assert False not in verdicts[: verdicts.index(True)]


@pytest.mark.parametrize("key", sorted(ANSWERS))
def test_garbage_proves_nothing(key: tuple[str, str]) -> None:
    question = QUESTIONS[key]
    is_unasked_text = key[0] in ("greet", "welcome", "fortune", "quote")
    for answer in GARBAGE:
        if is_text(answer) and is_unasked_text:
            continue  # all that is known of it is that it is a text
        assert not question.proof(TOKEN, answer), answer


@pytest.mark.parametrize("question", DATAGRAM_QUESTIONS, ids=lambda one: f"{one.service}{one.port}")
def test_an_echo_proves_an_echo_only(question: Question) -> None:
    answer = question.request(TOKEN)
    assert bool(question.proof(TOKEN, answer)) == (question.service == "echo")


@pytest.mark.parametrize(
    "question",
    [one for one in (*DATAGRAM_QUESTIONS, *STREAM_QUESTIONS) if one.bears_token],
    ids=lambda one: f"{one.transport}{one.port}",
)
def test_the_answer_to_another_token_is_none(question: Question) -> None:
    for answer in ANSWERS[question.service, question.transport.value]:
        assert not question.proof(b"sock1123456789ab", answer)


@given(st.sampled_from([*QUESTIONS.values()]), st.binary(max_size=700))
def test_anything_may_be_answered(question: Question, answer: bytes) -> None:
    assert question.proof(TOKEN, answer) in (True, False, None)


def test_a_line_that_never_ends_is_none() -> None:
    for service in ("greet", "ack", "daytime", "reverse", "factor"):
        assert QUESTIONS[service, "tcp"].proof(TOKEN, b"a" * (MOST_LINE + 1)) is False


def test_a_quotation_has_at_most_512_bytes() -> None:
    proof = QUESTIONS["quote", "udp"].proof
    assert proof(TOKEN, b"a" * MOST_QUOTE)
    assert not proof(TOKEN, b"a" * (MOST_QUOTE + 1))


def test_a_few_characters_are_no_pattern_yet() -> None:
    proof = QUESTIONS["chargen", "udp"].proof
    assert proof(TOKEN, PATTERN[: LEAST_PATTERN - 1]) is None
    assert proof(TOKEN, PATTERN[:LEAST_PATTERN]) is True


@given(st.binary(min_size=1, max_size=20))
def test_any_token_has_a_number_that_can_be_factored(token: bytes) -> None:
    assert QUESTIONS["factor", "udp"].proof(token, factors(int(number_of(token))) + b"\r\n")


def test_a_question_is_small_and_asks_for_no_more_than_a_line() -> None:
    for question in DATAGRAM_QUESTIONS:
        # the chat's is padded, so that no answer is longer
        most = HELLO_BYTES if question.service == "chat" else 74
        assert len(question.request(TOKEN)) <= most


def test_an_old_chat_server_answers_with_an_error() -> None:
    proof = QUESTIONS["chat", "udp"].proof
    assert proof(TOKEN, pack(Code.ERROR, b"please log in"))
    assert not proof(TOKEN, pack(Code.ERROR, b"\x1b[2J"))
    assert not proof(TOKEN, pack(Code.ACK))


def test_each_port_is_asked_for_one_service() -> None:
    for questions in (DATAGRAM_QUESTIONS, STREAM_QUESTIONS):
        asked = [question.port for question in questions]
        assert len(asked) == len(set(asked))


def test_both_the_usual_port_and_the_well_known_one_are_asked() -> None:
    asked = {one.port for one in DATAGRAM_QUESTIONS if one.service == "echo"}
    assert asked == {ports.ECHO, 7}


def test_the_service_of_our_own_is_proven() -> None:
    question = QUESTIONS["reverse", "udp"]
    assert question.proof(TOKEN, reverse_datagram(question.request(TOKEN))) is True
