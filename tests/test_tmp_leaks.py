import os, subprocess, socket
from hypothesis import given, strategies as st
from twisted.internet import reactor
from twisted.internet.defer import fail
from tests.helpers import make_context, connect, Kind
import pytest_twisted
def test_leak_fd(): os.open("/dev/zero", os.O_RDONLY)
def test_leak_call(): reactor.callLater(100, print)
def test_leak_child(): 
    global x
    x=subprocess.Popen(["sleep","8"])
def test_leak_deferred(): fail(ValueError("x"))
def test_log_tb():
    from twisted.logger import Logger
    Logger().info("Traceback (most recent")
def test_clock():
    c = make_context("echo"); c.clock.callLater(5, print)
@given(st.integers())
def test_prop(x): assert x < 100
@pytest_twisted.ensureDeferred
async def test_async_fail(): assert False
def test_ok(): pass
