"""The model of a text: what it learns, and what it makes up."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice

from attrs import define, field

from sockd.travesty.chain import Chain, index
from sockd.travesty.filling import Filler
from sockd.travesty.walk import Chances, walk

BYTES_A_WORD = 48
"""What a word of the text takes while pairs are sorted; afterwards it is four to twelve."""
BYTES_A_UNIQUE_WORD = 184
"""What a word that was not there before takes beside its own bytes, until all is finished."""
BYTES_A_KEPT_WORD = 48
"""And what it takes from then on."""


class _Numbers(dict[bytes, int]):
    """Words in the order in which they came, and the number of each."""

    def __missing__(self, word: bytes) -> int:
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
    _words: list[bytes] = field(factory=list, init=False)
    """By pair: its second word."""
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
        self._words, self._chain, self._kept = [], None, 0
        self.unique, self.is_full = 0, False

    @property
    def memory(self) -> int:
        """Bytes that it takes; while a text is learnt, what it will take to finish it, too."""
        learning = len(self._text) * BYTES_A_WORD + len(self._numbers) * BYTES_A_UNIQUE_WORD
        return learning + self._word_bytes + self._kept

    def add(self, text: bytes) -> None:
        """Learn whole words, some thousands at most. Those for which there is no room are not."""
        words = text.split()
        room = self.max_words - len(self._text)
        most = len(words) * (BYTES_A_WORD + BYTES_A_UNIQUE_WORD) + len(text)
        if self.memory + most > self.max_bytes:
            room = 0
        if len(words) > room:
            del words[room:]
            self.is_full = True
        known = self.unique
        self._text.extend(map(self._numbers.__getitem__, words))
        self.unique = len(self._numbers)
        if self.unique > known:
            new = islice(reversed(self._numbers), self.unique - known)
            self._word_bytes += sum(map(len, new))

    def finish(self) -> None:
        """Sort what was learnt; nothing can be added any more. It takes long (see `index`), and may
        be called in a thread of its own."""
        if not self._text:
            return
        chain, second = index(self._text)
        words = [*self._numbers]
        self._words = [*map(words.__getitem__, second)]
        self._chain = chain
        kept_words = len(words) * BYTES_A_KEPT_WORD + self._word_bytes
        self._kept = chain.memory + len(self._words) * 8 + kept_words
        self._forget_text()

    def generate(self, count: int, random: Chances) -> Iterator[bytes]:
        """So many words of a new text in paragraphs, some lines at a time, or none for now.

        Raises ValueError where no words are known.
        """
        if self._chain is None:
            raise ValueError("no words are known")
        return self._generate(self._chain, count, random)

    def _generate(self, chain: Chain, count: int, random: Chances) -> Iterator[bytes]:
        filler = Filler(random)
        word = self._words.__getitem__
        for pairs in walk(chain, random):
            if len(pairs) > count:
                del pairs[count:]
            count -= len(pairs)
            yield filler.fill(b" ".join(map(word, pairs))) if pairs else b""
            if not count:
                break
        yield filler.end()

    def _forget_text(self) -> None:
        self._numbers, self._text, self._word_bytes = _Numbers(), array("I"), 0
