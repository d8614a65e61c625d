"""asyncio, by its documentation: `asyncio_peer.py protocols|streams [uvloop] KIND`."""

import asyncio
import os
import ssl
import sys
from time import ctime


class Echo(asyncio.Protocol):
    """Bytes back."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Reverse(Echo):
    """Lines back, reversed."""

    buffer = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        self.transport.writelines(line.removesuffix(b"\r")[::-1] + b"\r\n" for line in lines)


class Daytime(asyncio.Protocol):
    """The time, then the end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.write(ctime().encode() + b"\r\n")
        transport.close()


class UDPEcho(asyncio.DatagramProtocol):
    """Datagrams back."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes back."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lines back, reversed."""
    while line := await reader.readline():
        writer.write(line.rstrip(b"\r\n")[::-1] + b"\r\n")
        await writer.drain()
    writer.close()


async def daytime(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The time, then the end."""
    writer.write(ctime().encode() + b"\r\n")
    await writer.drain()
    writer.close()


def certificate() -> ssl.SSLContext:
    """What a server that speaks TLS shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["CERTIFICATE"])
    return context


async def main(style: str, kind: str) -> None:
    """Serve until a signal ends it."""
    loop = asyncio.get_running_loop()
    if kind == "udp-echo":
        transport, _ = await loop.create_datagram_endpoint(UDPEcho, ("127.0.0.1", 0))
        print(transport.get_extra_info("sockname")[1], flush=True)
        await asyncio.Event().wait()
    elif style == "protocols":
        factory = {"echo": Echo, "tls-echo": Echo, "reverse": Reverse, "daytime": Daytime}[kind]
        context = certificate() if kind == "tls-echo" else None
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context)
    else:
        handler = {"echo": echo, "reverse": reverse, "daytime": daytime}[kind]
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.run(main(sys.argv[1], sys.argv[-1]))
    else:
        asyncio.run(main(sys.argv[1], sys.argv[-1]))
