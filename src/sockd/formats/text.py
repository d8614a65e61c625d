r"""Text from strangers made safe to show, and times as C writes them.

Escapes: ``\xNN`` is a control character below U+0080 or a byte that is not UTF-8, ``\uNNNN`` and
``\UNNNNNNNN`` are characters, ``\\`` is a backslash; so what was sent can be told from the result.
"""

import re
import unicodedata
from datetime import datetime

_CUT = "..."
_NEEDLESS = re.compile(r"\\\\(?![\\xuU])")
"""Of an escaped text: a backslash that would not be taken for the beginning of an escape."""


def escape(text: str | bytes, limit: int | None = None) -> str:
    """The text with nothing in it that a terminal or a log line would act on.

    Escaped are controls but tab, line and paragraph separators, and everything that shows nothing
    or changes the order of what is shown: format characters, surrogates, private and unassigned
    ones. Longer than `limit` characters, it ends in "...", and no escape is cut in two.
    """
    if limit is not None:
        # Each character shows as one or more, and four bytes hold at least one: no need to
        # look at more of a long text than can be shown.
        text = text[: (limit + 1) * (4 if isinstance(text, bytes) else 1)]
    from_bytes = isinstance(text, bytes)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        if limit is None or len(text) <= limit:
            return text
        shown = list(text)
    else:
        shown = [_shown(character, from_bytes) for character in text]
    if limit is None or sum(map(len, shown)) <= limit:
        return "".join(shown)
    return _cut(shown, limit)


def readable(text: str | bytes) -> str:
    r"""As `escape`, for people: a backslash is doubled only before what makes an escape of it.

    So ``C:\Windows`` stays as it is, and what was sent can still be told from the result.
    """
    return _NEEDLESS.sub(r"\\", escape(text))


def _shown(character: str, from_bytes: bool) -> str:
    if character == "\\":
        return "\\\\"
    # isprintable is false for all of Cc, Cf, Cs, Co, Cn, Zl and Zp, and for spaces but U+0020.
    if character.isprintable() or character == "\t" or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    if from_bytes and 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _cut(shown: list[str], limit: int) -> str:
    room = limit - len(_CUT)
    if room < 0:
        return _CUT[: max(limit, 0)]
    kept = ""
    for piece in shown:
        if len(kept) + len(piece) > room:
            break
        kept += piece
    return kept + _CUT


def ctime(moment: datetime) -> str:
    """C's ctime without a newline, "Sat Jun  3 18:06:14 2000": English in every locale."""
    return moment.ctime()
