"""What holds for every test; `sockd.testing.plugin` sees to it that none leaves anything behind.

Nothing here imports Twisted's reactor: the suite's is installed after this file has been read.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import trustme

pytest_plugins = ["sockd.testing.plugin", "tests.environments"]


def pytest_configure(config: pytest.Config) -> None:
    """Have the daemons that tests start run on the reactor that the suite runs on.

    An example of a property has no deadline: what else runs on the machine would decide. Examples
    are always the same, unless SOCKD_FUZZ in the environment asks to search for others.
    """
    # a suite that runs in the background has ^C switched off, and so would the daemons that it asks
    # to end
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile(
        "suite",
        deadline=None,
        derandomize="SOCKD_FUZZ" not in os.environ,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("suite")
    os.environ["SOCKD_TEST_REACTOR"] = config.getoption("reactor")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """What is still there after a test need not be looked at by the collections after the next."""
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on the other reactors, what only sockd's own promises."""
    if config.getoption("reactor") != "uvloop":
        ours = [item for item in items if item.get_closest_marker("uvloop")]
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session", autouse=True)
def state_of_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `sock` keeps for the user whose machine this is is neither read nor written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module", autouse=True)
def state_of_daemons(
    state_of_users: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Nor has what one file's daemons keep, who may become other users, a meaning for another's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def own_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a daemon of this machine keeps is neither read nor written by services in this process.
    Only where it is asked for: daemons that are started would have it in their environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNTIME_DIRECTORY", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate for localhost and 127.0.0.1, its key, and who has signed it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    files = (folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    files[0].write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(files[1]))
    authority.cert_pem.write_to_path(str(files[2]))
    return files
