"""What programs leave behind when they leave their group: it ends with them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import pytest_twisted

from sockd.net import children as children_module
from sockd.net.child import Child
from sockd.net.children import MARK, why_not
from tests.helpers import make_context, make_world, until
from tests.net.children import PEER, Heard, is_alive, program

RUN_AWAY = "setsid -f sh -c 'echo $$; exec sleep 1000 <&- >&- 2>&-'"
"""A process of its own session, of which nobody hears any more but its number."""


class Place:
    """A world in which programs run."""

    def __init__(self) -> None:
        self.context = make_context("echo", make_world())

    def shell(self, script: str) -> Heard:
        """Run a shell's script."""
        child = Heard(self.context, PEER, program("/bin/sh", "-c", script))
        child.start({})
        return child


async def runaway_of(child: Child) -> int:
    """The process that has run away, once it has lost its parent."""
    assert isinstance(child, Heard)
    await until(lambda: b"\n" in child.output)
    pid = int(child.output.split()[0])
    await until(lambda: os.getsid(pid) == pid)
    return pid


def test_this_host_can_find_runaways() -> None:
    assert why_not() == ""


@pytest_twisted.ensureDeferred
async def test_what_has_left_its_session_ends_with_its_program() -> None:
    child = Place().shell(RUN_AWAY + "; exec sleep 1000")
    runaway = await runaway_of(child)
    assert is_alive(runaway)
    child.kill()
    await until(lambda: child.status and not is_alive(runaway))


@pytest_twisted.ensureDeferred
async def test_what_has_left_its_session_ends_when_its_program_ends_by_itself() -> None:
    child = Place().shell(RUN_AWAY)
    await until(lambda: child.status)
    runaway = int(child.output)
    await until(lambda: not is_alive(runaway))


@pytest_twisted.ensureDeferred
async def test_a_program_s_runaways_are_left_alone_while_it_runs_and_others_end() -> None:
    place = Place()
    stays, leaves = (place.shell(RUN_AWAY + "; exec sleep 1000") for _ in range(2))
    kept, lost = await runaway_of(stays), await runaway_of(leaves)
    leaves.kill()
    await until(lambda: leaves.status and not is_alive(lost))
    for _ in range(3):
        other = place.shell("true")
        await until(lambda other=other: other.status)  # type: ignore[misc]
    assert is_alive(kept)
    stays.kill()
    await until(lambda: stays.status and not is_alive(kept))


@pytest_twisted.ensureDeferred
async def test_one_that_hides_whose_it_is_ends_when_none_is_left_that_ran_beside_it() -> None:
    place = Place()
    hidden = "exec env -i " + RUN_AWAY
    beside = place.shell("exec sleep 1000")
    child = place.shell(hidden)
    await until(lambda: child.status)
    runaway = int(child.output)
    later = place.shell("exec sleep 1000")
    assert is_alive(runaway)
    beside.kill()
    await until(lambda: not is_alive(runaway))
    assert later.is_running
    later.kill()
    await until(lambda: beside.status and later.status)


@pytest_twisted.ensureDeferred
async def test_runaways_of_runaways_end_too() -> None:
    nested = 'setsid -f sh -c \'setsid -f sh -c "echo \\$\\$; exec sleep 1000 <&- >&- 2>&-"; '
    nested += "exec sleep 1000 <&- >&- 2>&-'"
    child = Place().shell(nested)
    await until(lambda: child.status)
    runaway = int(child.output)
    await until(lambda: not is_alive(runaway))


@pytest_twisted.ensureDeferred
async def test_a_runaway_that_ends_by_itself_is_reaped_while_its_program_runs() -> None:
    child = Place().shell("setsid -f sh -c 'echo $$; exec true'; exec sleep 1000")
    await until(lambda: b"\n" in child.output)
    runaway = int(child.output)
    await until(lambda: not Path(f"/proc/{runaway}").exists())
    assert child.is_running
    child.kill()
    await until(lambda: child.status)


@pytest_twisted.ensureDeferred
async def test_children_that_are_no_programs_are_left_alone() -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        child = Place().shell("true")
        await until(lambda: child.status)
        assert other.poll() is None
        other.kill()
        assert other.wait() == -9


@pytest_twisted.ensureDeferred
async def test_children_in_a_session_of_their_own_from_before_the_first_program_stay() -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        child = Place().shell(RUN_AWAY)
        await until(lambda: child.status)
        runaway = int(child.output)
        await until(lambda: not is_alive(runaway))
        assert other.poll() is None
        other.kill()
        assert other.wait() == -9


@pytest_twisted.ensureDeferred
async def test_orphans_come_to_us_while_programs_run_and_no_longer() -> None:
    wanted: list[bool] = []
    adopt = children_module.adopt_orphans

    def noted(is_wanted: bool) -> None:
        wanted.append(is_wanted)
        adopt(is_wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children_module, "adopt_orphans", noted)
        place = Place()
        first, second = place.shell("true"), place.shell("true")
        await until(lambda: first.status and second.status)
        await until(lambda: len(wanted) == 2)
    assert wanted == [True, False]


@pytest_twisted.ensureDeferred
async def test_a_program_knows_whose_it_is_and_the_next_has_another_number() -> None:
    place = Place()
    marks = []
    for _ in range(2):
        child = place.shell(f"echo ${MARK}")
        await until(lambda child=child: child.status)  # type: ignore[misc]
        marks.append(child.output.decode().strip())
    assert len(set(marks)) == 2
    assert all(mark.startswith(f"{os.getpid()}.") for mark in marks)
