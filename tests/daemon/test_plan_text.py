"""What a plan does, in words."""

from __future__ import annotations

from pathlib import Path

from sockd.daemon.plan import plan
from sockd.daemon.plan_text import LONGEST_VALUE, plan_text
from sockd.options.units import Duration
from tests.daemon.running import says, settings

ONE, EVERY = "tcp:7:interface=127.0.0.1", "tcp:7"


def test_each_service_that_does_not_stay_as_it_is_has_a_line(tmp_path: Path) -> None:
    file, stays = f"unix:{tmp_path}/file", says("tcp:9", name="stays")
    before = settings(says(ONE, file), says("tcp:8", name="goes"), stays)
    after = settings(
        says(EVERY, f"{file}:mode=600", word="two", drain="1s"),
        stays,
        says("tcp:10", name="comes"),
        certificate_check=Duration(5),
        log_format="json",
    )
    assert plan_text(plan(before, after)) == (
        'sockd: changed: certificate_check "10s" -> "5s"',
        f"says: changed: + tcp 0.0.0.0:7, ~ unix {tmp_path}/file, - tcp 127.0.0.1:7, "
        'drain "3s" -> "1s", word "one" -> "two"',
        "comes: added: + tcp 0.0.0.0:10",
        "goes: removed: - tcp 0.0.0.0:8",
        "sockd.log_format: not changed: a restart would",
    )


def test_where_all_stays_there_is_no_line() -> None:
    assert plan_text(plan(settings(says(ONE)), settings(says(ONE)))) == ()


def test_of_a_long_value_the_name_is_told() -> None:
    longest = "x" * (LONGEST_VALUE - 2)  # beside its quotes
    values = {longest: f'word "one" -> "{longest}"', f"{longest}x": "word"}
    for word, told in values.items():
        lines = plan_text(plan(settings(says(ONE)), settings(says(ONE, word=word))))
        assert lines == (f"says: changed: {told}",)
