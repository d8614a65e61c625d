"""What the reactor builds on and Twisted has promised to nobody: is it there, of the shape we know?

`sockd.reactor` overrides and calls private parts of Twisted; docs/engine.md says of each why.
Another Twisted may have changed them. That is found here, before anything is built, and not by a
connection that goes wrong.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FunctionType
from typing import Any

from attrs import frozen
from twisted import __version__ as twisted_version

ABSENT = "is not there"
Shape = Callable[[Any], str]
"""What is wrong with a part, as in "the part ..."; "" if it is as it was."""


@frozen
class Part:
    """Something of another package that the reactor needs as it is."""

    module: str
    path: str
    """Of the object within the module, with dots."""
    shape: Shape

    @property
    def name(self) -> str:
        """Module and path, as a person writes it."""
        return f"{self.module}.{self.path}"

    def difference(self) -> str:
        """What is wrong with it, as a sentence; "" if nothing is."""
        try:
            found: Any = import_module(self.module)
            for name in self.path.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError):
            wrong = ABSENT
        else:
            wrong = self.shape(found)
        return f"{self.name} {wrong}" if wrong else ""


class UnknownTwisted(ImportError):
    """This Twisted is not one that the reactor can build on. Its text says which, and why."""


def check() -> None:
    """Look at all parts. Raises UnknownTwisted, which names the first that is different."""
    for part in PARTS:
        if wrong := part.difference():
            raise UnknownTwisted(
                f"Twisted {twisted_version} is not as sockd's reactor knows it: {wrong}"
            )


def takes(*names: str) -> Shape:
    """A function with parameters of these names, in this order."""

    def shape(found: Any) -> str:
        function = _function(found)
        if function is None:
            return "is no function"
        code = function.__code__
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = tuple(name for name in parameters if name not in ("self", "cls"))
        if given != names:
            return f"takes ({', '.join(given)}) and not ({', '.join(names)})"
        return ""

    return shape


def uses(*names: str) -> Shape:
    """A function that reads or writes attributes, or calls functions, of these names."""

    def shape(found: Any) -> str:
        function = _function(found)
        if function is None:
            return "is no function"
        known = {*function.__code__.co_names, *function.__code__.co_varnames}
        missing = [name for name in names if name not in known]
        return f"does not use {missing[0]}" if missing else ""

    return shape


def sets(*names: str) -> Shape:
    """A function that sets these attributes, and no others."""

    def shape(found: Any) -> str:
        function = _function(found)
        if function is None:
            return "is no function"
        stored = {
            str(step.argval)
            for step in dis.get_instructions(function)
            if step.opname == "STORE_ATTR"
        }
        if stored != set(names):
            odd = min(stored ^ set(names))
            return f"sets {odd}" if odd in stored else f"does not set {odd}"
        return ""

    return shape


def stands_on(*names: str) -> Shape:
    """A class with bases of these names, in this order."""

    def shape(found: Any) -> str:
        bases = tuple(base.__name__ for base in getattr(found, "__bases__", ()))
        return "" if bases == names else f"stands on {', '.join(bases)}, not on {', '.join(names)}"

    return shape


def equals(value: object) -> Shape:
    """A value that is the same."""
    return lambda found: "" if found == value else f"is {found!r} and not {value!r}"


def has(*names: str) -> Shape:
    """An object with these attributes."""

    def shape(found: Any) -> str:
        missing = [name for name in names if not hasattr(found, name)]
        return f"has no {missing[0]}" if missing else ""

    return shape


def _function(found: Any) -> FunctionType | None:
    """The function behind a function, a method or a class."""
    if isinstance(found, type):
        found = found.__init__  # type: ignore[misc]
    found = getattr(found, "__func__", found)
    return found if isinstance(found, FunctionType) else None


def _parts() -> Iterator[Part]:
    for module, parts in _TABLE.items():
        for path, shape in parts.items():
            yield Part(module, path, shape)


_ACCEPTED = ("sock", "protocol", "client", "server", "sessionno", "reactor")
_TABLE: dict[str, dict[str, Shape]] = {
    "twisted.internet.abstract": {
        "FileDescriptor": stands_on("_ConsumerMixin", "_LogOwner"),
        "FileDescriptor.__init__": sets("reactor", "_tempDataBuffer", "_tempDataLen"),
        "FileDescriptor.bufferSize": equals(65_536),
        "FileDescriptor.connected": equals(0),
        "FileDescriptor.disconnected": equals(0),
        "FileDescriptor.disconnecting": equals(0),
        "FileDescriptor._writeDisconnecting": equals(False),
        "FileDescriptor._writeDisconnected": equals(False),
        "FileDescriptor.dataBuffer": equals(b""),
        "FileDescriptor.offset": equals(0),
        "FileDescriptor.producer": equals(None),
        "FileDescriptor.producerPaused": equals(False),
        "FileDescriptor.streamingProducer": equals(False),
        "FileDescriptor.write": uses("_tempDataBuffer", "_tempDataLen", "startWriting"),
        "FileDescriptor.writeSequence": uses("_tempDataBuffer", "_tempDataLen", "startWriting"),
        "FileDescriptor.doWrite": uses(
            "writeSomeData",
            "dataBuffer",
            "offset",
            "_tempDataBuffer",
            "_tempDataLen",
            "producerPaused",
            "stopWriting",
            "resumeProducing",
            "_postLoseConnection",
            "_closeWriteConnection",
        ),
        "FileDescriptor.loseConnection": uses("startWriting", "stopReading", "disconnecting"),
        "FileDescriptor._postLoseConnection": takes(),
        "FileDescriptor.resumeProducing": uses("disconnecting", "startReading"),
        "FileDescriptor.connectionLost": takes("reason"),
        "FileDescriptor.startReading": takes(),
        "FileDescriptor.stopReading": takes(),
        "FileDescriptor.startWriting": takes(),
        "FileDescriptor.stopWriting": takes(),
        "_ConsumerMixin.registerProducer": takes("producer", "streaming"),
        "_ConsumerMixin.unregisterProducer": takes(),
    },
    "twisted.internet._newtls": {
        "ConnectionMixin.TLS": equals(False),
        "ConnectionMixin.startTLS": takes("ctx", "normal"),
        "ConnectionMixin.write": takes("bytes"),
        "ConnectionMixin.writeSequence": takes("iovec"),
        "ConnectionMixin.registerProducer": takes("producer", "streaming"),
        "ConnectionMixin.unregisterProducer": takes(),
        "_BypassTLS": uses("_base", "_connection"),
        "ClientMixin._tlsClientDefault": equals(True),
        "ServerMixin._tlsClientDefault": equals(False),
    },
    "twisted.internet.tcp": {
        "Connection": stands_on(
            "ConnectionMixin", "FileDescriptor", "_SocketCloser", "_AbortingMixin"
        ),
        "Connection.__init__": sets("socket", "fileno", "protocol"),
        "Connection.doRead": uses("socket", "recv", "bufferSize", "_dataReceived"),
        "Connection.writeSomeData": takes("data"),
        "Connection.readConnectionLost": takes("reason"),
        "Connection.connectionLost": uses("_closeSocket", "protocol", "socket", "fileno"),
        "Connection._closeWriteConnection": takes(),
        "Connection.setTcpNoDelay": takes("enabled"),
        "Connection.logstr": equals("Uninitialized"),
        "_SocketCloser._closeSocket": takes("orderly"),
        "_SocketCloser._shouldShutdown": equals(True),
        "_AbortingMixin._aborting": equals(False),
        "_AbortingMixin.abortConnection": uses("_aborting", "doRead", "doWrite", "callLater"),
        "Server": stands_on("ServerMixin", "Connection"),
        "Server.__init__": takes(*_ACCEPTED),
        "Server.getHost": uses("_addressType", "socket"),
        "Server.getPeer": uses("_addressType", "client"),
        "BaseClient": stands_on("_BaseBaseClient", "ClientMixin", "Connection"),
        "BaseClient._connectDone": uses("protocol", "connected", "startReading", "makeConnection"),
        "Client": stands_on("_BaseTCPClient", "BaseClient"),
        "Client.__init__": takes("host", "port", "bindAddress", "connector", "reactor"),
        "Connector._makeTransport": takes(),
        "Connector.__init__": takes("host", "port", "factory", "timeout", "bindAddress", "reactor"),
        "Port.__init__": takes("port", "factory", "backlog", "interface", "reactor"),
        "Port._buildAddr": takes("address"),
        "Port._type": equals("TCP"),
        "Port._fromListeningDescriptor": takes("reactor", "fd", "addressFamily", "factory"),
        "Port._logger": has("namespace", "observer"),
        "Port._preexistingSocket": equals(None),
        "Port.startListening": uses("_preexistingSocket", "numberAccepts"),
        "Port.doRead": uses(
            "_BuffersLogs",
            "_accept",
            "_reservedFD",
            "numberAccepts",
            "sessionno",
            "transport",
            "buildProtocol",
            "_buildAddr",
            "makeConnection",
        ),
        "_BuffersLogs": takes("namespace", "observer", "logs"),
        "_accept": takes("logger", "accepts", "listener", "reservedFD"),
        "_reservedFD": has("reserve", "available", "__enter__", "__exit__"),
        "_getpeername": takes("skt"),
    },
    "twisted.protocols.tls": {
        "TLSMemoryBIOFactory": stands_on("WrappingFactory"),
        "TLSMemoryBIOFactory.__init__": sets("_creatorCallable", "_clock"),
    },
    "twisted.protocols.policies": {
        "WrappingFactory.__init__": uses("wrappedFactory"),
    },
    "twisted.internet.unix": {
        "_SendmsgMixin.__init__": sets("_sendmsgQueue"),
        "_SendmsgMixin.sendFileDescriptor": uses("_sendmsgQueue", "startWriting"),
        "_SendmsgMixin.writeSomeData": uses("_sendmsgQueue", "_writeSomeDataBase"),
        "_SendmsgMixin.doRead": uses("_dataReceived", "recvmsg"),
        "Server": stands_on("_SendmsgMixin", "Server"),
        "Server.__init__": takes(*_ACCEPTED),
        "Client": stands_on("_SendmsgMixin", "BaseClient"),
        "Client.__init__": takes("filename", "connector", "reactor", "checkPID"),
        "Connector._makeTransport": uses("address", "checkPID"),
        "Port": stands_on("_UNIXPort", "Port"),
        "Port.__init__": takes("fileName", "factory", "backlog", "mode", "reactor", "wantPID"),
        "Port._fromListeningDescriptor": takes("reactor", "fd", "factory"),
        "Port.startListening": uses("_preexistingSocket", "_inFilesystemNamespace", "backlog"),
        "Port.connectionLost": uses("_inFilesystemNamespace"),
    },
    "twisted.internet.udp": {
        "Port._bindSocket": uses("socket", "createInternetSocket"),
        "Port.connect": uses("_connectedAddr"),
        "Port._fromListeningDescriptor": takes(
            "reactor", "fd", "addressFamily", "protocol", "maxPacketSize"
        ),
        "Port.startListening": uses("_bindSocket", "_connectToProtocol"),
        "Port.write": takes("datagram", "addr"),
        "MulticastPort": stands_on("MulticastMixin", "Port"),
        "MulticastPort.__init__": takes(
            "port", "proto", "interface", "maxPacketSize", "reactor", "listenMultiple"
        ),
    },
    "twisted.internet._signals": {
        "_MultiSignalHandling": takes("signalHandlings", "installed"),
    },
    "twisted.internet.base": {
        "ReactorBase._signalsFactory": takes(),
        "ReactorBase.callLater": uses("_newTimedCalls", "_cancelCallLater", "_moveCallLaterSooner"),
        "ReactorBase._cancelCallLater": uses("_cancellations"),
        "ReactorBase.timeout": uses("_insertNewDelayedCalls", "_pendingTimedCalls", "seconds"),
        "ReactorBase.runUntilCurrent": uses(
            "_insertNewDelayedCalls", "_pendingTimedCalls", "_cancellations"
        ),
    },
    "twisted.internet.posixbase": {
        "PosixReactorBase._signalsFactory": uses("_signalsFactory", "_MultiSignalHandling"),
        "PosixReactorBase._supportedAddressFamilies": has("__contains__"),
        "PosixReactorBase.callLater": uses("_newTimedCalls"),
        "PosixReactorBase.spawnProcess": uses("PTYProcess", "Process"),
        "_DisconnectSelectableMixin._disconnectSelectable": takes(
            "selectable", "why", "isRead", "faildict"
        ),
        "_NO_FILEDESC": has("args"),
    },
    "twisted.internet.asyncioreactor": {
        "AsyncioSelectorReactor": stands_on("PosixReactorBase"),
        "AsyncioSelectorReactor.__init__": uses("_asyncioEventloop"),
        "AsyncioSelectorReactor.addReader": uses("add_reader", "_readOrWrite"),
        "AsyncioSelectorReactor.addWriter": uses("add_writer", "_readOrWrite"),
        "AsyncioSelectorReactor._readOrWrite": uses("_disconnectSelectable", "doRead", "doWrite"),
        "AsyncioSelectorReactor.callLater": uses("callLater", "_reschedule"),
        "AsyncioSelectorReactor._moveCallLaterSooner": uses("_reschedule"),
        "AsyncioSelectorReactor._reschedule": takes(),
        "AsyncioSelectorReactor._onTimer": uses("runUntilCurrent", "_reschedule"),
        "AsyncioSelectorReactor.run": uses("_asyncioEventloop", "run_forever"),
    },
    "twisted.internet.process": {
        "reapProcessHandlers": has("get", "__contains__"),
        "_BaseProcess.reapProcess": uses("waitpid", "WNOHANG", "processEnded"),
    },
    "twisted.python.context": {
        "ContextTracker.callWithContext": uses("contexts", "append", "pop"),
        "ContextTracker.getContext": uses("contexts"),
        "ThreadedContextTracker.currentContext": takes(),
        "theContextTracker": has("currentContext"),
        "defaultContextDict": has("keys"),
    },
    "socket": {
        "socket._accept": has("__call__"),
    },
}
PARTS = tuple(_parts())
"""In the order of docs/engine.md."""
