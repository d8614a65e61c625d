"""Talk on the LAN: channels, public and private messages, who is here.

Events are a code, 16 bits, and a text, in one datagram each, or in a stream, each behind its
length. Whoever has logged in with a nickname joins channels, hears what is said in all of them, and
speaks in the one that was joined last. By the door `multicast` what is said goes once to the group
of the channel, and not once to each member. All doors lead to the same rooms.

    $ sock chat --nick rufus
    ...
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from ipaddress import IPv4Address

from attrs import frozen

from sockd.chat.desk import Desk, Legacy
from sockd.chat.doors import GroupDoor, StreamDoor, UdpDoor
from sockd.chat.rooms import Rooms
from sockd.chat.secret import SECRET_BYTES, Secret
from sockd.chat.server import ChatServer
from sockd.chat.settings import ChannelSettings, Settings
from sockd.net.context import Context
from sockd.options.option import option
from sockd.service import Door, Instance, Kind

CHANNELS = {
    "CurrentEvents": "What is in the news",
    "Weather": "Rain, sun and all between",
    "Gardening": "All that grows",
    "Hobbies": "What is done for its own sake",
    "Pets": "Animals at home",
}


@frozen
class ChatOptions:
    """What the chat can be told."""

    channels: Mapping[str, str] = option(CHANNELS, "titles of channels, and what each is about")
    group_port: int = option(2028, "where groups are heard")


def share(context: Context[ChatOptions, ChatServer]) -> ChatServer:
    channels = [
        ChannelSettings(title, about, IPv4Address(f"225.1.0.{number}"))
        for number, (title, about) in enumerate(context.options.channels.items(), 1)
    ]
    rooms = Rooms(
        Settings(channels=channels), Secret(os.urandom(SECRET_BYTES)), int(time.time()) & 0xFFFFFFFF
    )
    desk = Desk(rooms, context.world.hostname, os.urandom, Legacy.ON_LINK, False)
    return ChatServer(context, desk)


kind = Kind(
    name="chat",
    doc=__doc__,
    stream=StreamDoor,
    datagram=UdpDoor,
    doors=[Door("multicast", datagram=GroupDoor)],
    options=ChatOptions,
    shared=share,
    instances=[
        Instance(
            "chat",
            ["udp:2027:interface=*", "tcp:2027:interface=localhost"],
            doors={"multicast": ["udp:2029:interface=127.0.0.1"]},
        )
    ],
)
