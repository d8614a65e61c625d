"""Travesty beside the same in Perl."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import travesty


def test_both_learn_the_same_words_and_pairs_of_a_text_and_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(travesty, "GENERATED", 5_000)
    text = tmp_path / "text"
    text.write_bytes(b"".join(b"so many as %d of %d.\n" % (n, n % 7) for n in range(3_000)))
    results = [travesty.measured(argv, text, core=0) for argv in (travesty.OURS, travesty.PERL)]
    assert results[0]["words"] == results[1]["words"] == 3_000 * 6
    assert results[0]["pairs"] == results[1]["pairs"]
    travesty.main(1, text)
    told = capsys.readouterr().out
    for what in ("analysis", "generation"):
        assert re.search(rf"^{what} +sockd \S+, Perl \S+ million words/s: \S+ ", told, re.M)
    assert re.search(r"^memory +\d+ bytes a pair", told, re.M)


def test_a_text_is_made_of_what_the_machine_has(tmp_path: Path) -> None:
    text = travesty.made_text()
    assert len(text) <= travesty.TEXT_BYTES
    assert b"\\f" not in text
