"""A kind says what goes over the wire: on its page, and to clients that explain."""

from __future__ import annotations

import pytest

from sockd.ops.describe import page
from sockd.service import MOST_SENTENCE, Exchange, Kind
from sockd.services.echo import EchoStream
from tests.helpers import FOUND

WORDS = {"asks": "It asks.", "answers": "It answers.", "ends": "It ends."}


@pytest.mark.parametrize("name", sorted(FOUND.kinds))
def test_every_kind_of_ours_explains_each_protocol_of_its_main_door(name: str) -> None:
    kind = FOUND.kinds[name]
    assert tuple(kind.wire) == kind.protocols


@pytest.mark.parametrize("name", sorted(FOUND.kinds))
def test_the_page_of_a_kind_has_every_sentence(name: str) -> None:
    kind = FOUND.kinds[name]
    text = page(kind)
    assert "## On the wire" in text
    for exchange in kind.wire.values():
        assert f"{exchange.asks} {exchange.answers} {exchange.ends}" in text


def test_a_kind_without_sentences_has_no_such_section() -> None:
    assert "On the wire" not in page(Kind(name="mute", doc="Mute.", stream=EchoStream))


@pytest.mark.parametrize("step", WORDS)
@pytest.mark.parametrize(
    "text", ["", "no full stop", "Two\nlines.", "\x1b[2J.", f"{'x' * MOST_SENTENCE}.", None]
)
def test_a_step_is_one_sentence_on_one_line(step: str, text: str) -> None:
    with pytest.raises(TypeError, match=f"^{step}: expected one sentence"):
        Exchange(**{**WORDS, step: text})


def test_the_longest_sentence_is_taken() -> None:
    text = f"{'x' * (MOST_SENTENCE - 1)}."
    assert Exchange(**{**WORDS, "asks": text}).asks == text


def test_a_protocol_that_the_main_door_does_not_have_cannot_be_explained() -> None:
    with pytest.raises(ValueError, match=r"^wire: deaf has no protocol 'datagram'$"):
        Kind(name="deaf", doc=None, stream=EchoStream, wire={"datagram": Exchange(**WORDS)})


@pytest.mark.parametrize("wire", [[], {"stream": "a text"}])
def test_what_is_no_mapping_to_exchanges_is_refused(wire: object) -> None:
    with pytest.raises(TypeError, match=r"^wire: expected a mapping to exchanges"):
        Kind(name="odd", doc=None, stream=EchoStream, wire=wire)  # type: ignore[arg-type]
