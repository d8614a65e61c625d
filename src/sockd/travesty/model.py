"""The model of a text: what it learns, and what it makes up."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from attrs import define, field

from sockd.travesty.chain import Chain, index
from sockd.travesty.filling import Filler
from sockd.travesty.uploads import letters_end
from sockd.travesty.walk import PLENTY, Chances, Room, walk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES_A_WORD = 48
"""What a word of the text takes while pairs are sorted; afterwards it is four to twelve."""
BYTES_A_UNIQUE_WORD = 184
"""What a word that was not there before takes beside its own bytes, until all is finished."""
BYTES_A_KEPT_WORD = 48
"""And what it takes from then on."""

MAX_WORD = 256
"""Bytes of a word. A longer one becomes several: what is made up goes out in pieces of 500 words,
and each must have an end."""


class _TooLong(Exception):
    """A word is longer than `MAX_WORD`."""


class _Numbers(dict[bytes, int]):
    """Words in the order in which they came, and the number of each."""

    def __missing__(self, word: bytes) -> int:
        if len(word) > MAX_WORD:
            raise _TooLong  # to look at each word of a text before would take a tenth of the time
        number = self[word] = len(self)
        return number


@define(eq=False)
class Travesty:
    """The words of a text, and which follow each pair of them how often.

    Words are what stands between ASCII white space: bytes, punctuation with them. A text is added
    in pieces and finished; then others like it are generated. `reset` begins anew.
    """

    max_words: int
    """Words of a text."""
    max_bytes: int
    """Memory that a text may take while it is learnt."""
    _numbers: _Numbers = field(factory=_Numbers, init=False)
    _text: array[int] = field(factory=lambda: array("I"), init=False)
    _word_bytes: int = field(default=0, init=False)
    _words: NDArray[np.object_] | None = field(default=None, init=False)
    """By pair: its second word. An array, for many are taken out of it at once."""
    _chain: Chain | None = field(default=None, init=False)
    _kept: int = field(default=0, init=False)
    """Bytes of what was finished."""
    unique: int = field(default=0, init=False)
    """Words that differ."""
    is_full: bool = field(default=False, init=False)
    """Whether the text had more words than there is room for; they were left out."""

    def reset(self) -> None:
        """Forget the text."""
        self._forget_text()
        self._words, self._chain, self._kept = None, None, 0
        self.unique, self.is_full = 0, False

    @property
    def words(self) -> int:
        """Words of the text while it is learnt."""
        return len(self._text)

    @property
    def pairs(self) -> int:
        """Pairs of words that differ, once it is finished."""
        return 0 if self._words is None else len(self._words)

    @property
    def memory(self) -> int:
        """Bytes that it takes; while a text is learnt, what it will take to finish it, too."""
        learning = len(self._text) * BYTES_A_WORD + len(self._numbers) * BYTES_A_UNIQUE_WORD
        return learning + self._word_bytes + self._kept

    def add(self, text: bytes) -> None:
        """Learn whole words, some thousands at most. Those for which there is no room are not."""
        words = text.split()
        most = len(words) * (BYTES_A_WORD + BYTES_A_UNIQUE_WORD) + len(text)
        size, known = len(self._text), self.unique
        room = self.max_words - size if self.memory + most <= self.max_bytes else 0
        if len(words) > room:
            del words[room:]
            self.is_full = True
        try:
            self._text.extend(map(self._numbers.__getitem__, words))
        except _TooLong:
            del self._text[size:]
            self._text.extend(map(self._numbers.__getitem__, _shortened(words)))
        self.unique = len(self._numbers)
        if self.unique > known:
            new = islice(reversed(self._numbers), self.unique - known)
            self._word_bytes += sum(map(len, new))

    def finish(self) -> None:
        """Sort what was learnt; nothing can be added any more. It takes long (see `index`), and may
        be called in a thread of its own."""
        import numpy as np  # as in `index`
        import numpy.random  # for those who walk: they would be kept waiting for 20 ms

        if not self._text:
            return
        chain, second = index(self._text)
        words = np.empty(self.unique, np.object_)
        words[:] = [*self._numbers]
        self._words = words[second]
        self._chain = chain
        kept_words = self.unique * BYTES_A_KEPT_WORD + self._word_bytes
        self._kept = chain.memory + self._words.nbytes + kept_words
        self._forget_text()

    def generate(self, count: int, random: Chances, room: Room = PLENTY) -> Iterator[bytes]:
        """So many words of a new text in paragraphs, some lines at a time, or none for now.

        Raises ValueError where no words are known.
        """
        if self._chain is None or self._words is None:
            raise ValueError("no words are known")
        return _made_up(walk(self._chain, random, room), self._words, count, Filler(random))

    def _forget_text(self) -> None:
        self._numbers, self._text, self._word_bytes = _Numbers(), array("I"), 0


def _made_up(
    way: Iterator[list[int] | NDArray[np.uint32]],
    words: NDArray[np.object_],
    count: int,
    filler: Filler,
) -> Iterator[bytes]:
    for pairs in way:
        chosen = pairs[:count]
        count -= len(chosen)
        yield filler.fill(b" ".join(words.take(chosen).tolist())) if len(chosen) else b""
        if not count:
            break
    yield filler.end()


def _shortened(words: list[bytes]) -> Iterator[bytes]:
    """The words, those that are too long in pieces, no letter of UTF-8 cut."""
    for word in words:
        while len(word) > MAX_WORD:
            end = letters_end(word[:MAX_WORD])
            yield word[:end]
            word = word[end:]
        yield word
