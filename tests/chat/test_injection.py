"""Whatever anybody sends, nothing that acts on a terminal, a log or a client's parser goes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.chat import trailer
from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, Code, pack
from tests.chat.world import MULTICAST, QUICK, STREAM, New, Old, World, hush, joined, new, old

ANYTHING = st.one_of(
    st.binary(max_size=1100),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(
        st.sampled_from("a \n\r\t\0\x1b[2J\x7f\x85\u202e\u2066\u200b\u2028\ufeff\\x0a/"),
        max_size=300,
    ).map(str.encode),
)
CODES = st.one_of(st.sampled_from(list(Code)).map(int), st.integers(0, 65_535))


def shown(data: bytes) -> str:
    """The text of what goes out, all of which can be shown."""
    found = trailer.stamped(data)
    text = (data if found is None else found[0])[2:]
    assert len(data) <= MAX_EVENT
    assert len(text) <= MAX_TEXT
    line = text.decode()  # it is UTF-8
    assert line.replace("\t", "").isprintable(), line
    return line


@given(st.lists(st.tuples(CODES, ANYTHING), max_size=8), st.booleans())
def test_all_that_goes_out_is_one_line_that_can_be_shown(
    events: list[tuple[int, bytes]], is_new: bool
) -> None:
    world = World(**QUICK)
    ada = joined(new(world, "ada") if is_new else old(world, "ada"), "Pets")
    bob, cyd = joined(old(world, "bob"), "Pets"), joined(new(world, "cyd", STREAM), "Pets")
    hush(ada, bob, cyd)
    for code, text in events:
        for sent in (code, Code.SEND_PUBLIC):
            if isinstance(ada, Old):
                ada.world.send(ada.place, sent.to_bytes(2, "big") + text)
            elif code != Code.LOGOFF and code != Code.OPEN:
                data = sent.to_bytes(2, "big") + text
                world.send(ada.place, ada.signed(data))
        ada.send(Code.SEND_PRIVATE, b"bob " + text[:900])
        world.list_on()
    for data in [one for box in world.boxes.values() for one in box]:
        shown(data)
    for nickname in world.rooms.users:
        assert nickname.isascii()


@given(ANYTHING)
def test_no_stranger_can_have_anything_but_plain_words(text: bytes) -> None:
    world = World(is_strict=True)
    place = world.place(MULTICAST)
    for code in (Code.LOGIN_REQ, Code.OPEN, Code.NOTHING, Code.LOGOFF, Code.SEND_PUBLIC):
        world.send(place, pack(code, text[:1000]))
    for data in world.take(place):
        shown(data)


@given(st.text(min_size=1, max_size=40))
def test_a_nickname_is_letters_digits_and_two_signs_of_ascii(name: str) -> None:
    world = World()
    client = Old(world, name.encode("utf-8", "surrogatepass"), world.place())
    [event, *_] = client.log_in()
    typed = client.name.strip()
    is_good = typed.isascii() and len(typed) <= 32 and typed != b""
    is_good = is_good and all(chr(one).isalnum() or one in b"_-" for one in typed)
    assert (event.code == Code.LOGIN_ACK) == is_good
    person = New(world, client.name, world.place())
    assert person.log_in()[0].code in (Code.ERROR, Code.OPENED)
