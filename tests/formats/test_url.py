"""URLs as users and servers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.url import MOST_URL, Url, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a", Url("http", "a", 80, "/")),
        ("a:8080/b?c=d#e", Url("http", "a", 8080, "/b?c=d")),
        ("HTTPS://A.Example/", Url("https", "a.example", 443, "/")),
        ("https://[::1]:8/x", Url("https", "::1", 8, "/x")),
        ("http://a/ä?ö", Url("http", "a", 80, "/%C3%A4?%C3%B6")),
        ("http://a/%20%zz", Url("http", "a", 80, "/%20%zz")),
        ("http://bücher.example/", Url("http", "xn--bcher-kva.example", 80, "/")),
    ],
)
def test_a_url_is_read(text: str, url: Url) -> None:
    assert parse_url(text) == url
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no host"),
        ("http://", "there is no host"),
        ("http:///x", "there is no host"),
        ("ftp://a/", "a URL of http or https"),
        ("http://a:b/", "a port of 1 to 65535"),
        ("http://a:0/", "a port of 1 to 65535"),
        ("http://a:65536/", "a port of 1 to 65535"),
        ("http://me:secret@a/", "user's name"),
        ("http://a/b c", "no spaces"),
        ("http://a/\r\nHost: b", "no control characters"),
        ("http://a\t/", "no control characters"),
        ("http://[::1/", "a URL"),
        ("http://[x]/", "a URL"),
        ("http://a%0d%0ab/", "no name of a host"),
        (f"http://{'ä' * 64}/", "no name of a host"),
        ("http://ä..b/", "no name of a host"),
        ("http://a/" + "x" * MOST_URL, "at most 8000 characters"),
    ],
)
def test_what_is_no_url_is_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_url(text)


def test_a_url_has_at_most_so_many_characters() -> None:
    assert parse_url("http://a/" + "x" * (MOST_URL - 9)).host == "a"


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("/b", "http://a:81/b"),
        ("c", "http://a:81/x/c"),
        ("?q", "http://a:81/x/y?q"),
        ("//b/c", "http://b/c"),
        ("https://b/", "https://b/"),
    ],
)
def test_a_reference_leads_on(reference: str, url: str) -> None:
    assert str(parse_url("http://a:81/x/y").joined(reference)) == url


@pytest.mark.parametrize(
    "reference", ["file:///etc/passwd", "javascript:x", "mailto:80", "/a\r\nb"]
)
def test_a_reference_to_what_is_no_url_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match=r"URL|host"):
        parse_url("http://a/").joined(reference)


PIECES = st.sampled_from(
    ["http://", "https://", "[", "]", "::1", ":", "80", "/", "?", "#", "@", "a"]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_whatever_is_read_can_be_sent_as_it_is(text: str) -> None:
    try:
        url = parse_url(text)
    except ValueError:
        return
    assert str(url).isascii()
    assert not set(str(url)) & set(" \r\n\t\0\x7f")
    assert parse_url(str(url)) == url
