"""Where the services are found by default: for the daemon that listens there, and for clients.

The ports need no root. Those of RFC services are the well-known ones with 10,000 added.
"""

ACK = 8888
CHARGEN = 10019
CHAT = 2027
CHAT_CONTROL = 2029
CHAT_GROUPS = 2028
DAYTIME = 10013
DISCARD = 10009
ECHO = 10007
FACTOR = 7801
FORTUNE = 2346
GREET = 2345
QUOTE = 10017
REVERSE = 7800
REVERSE_DATAGRAMS = 2007
SAID = 3456
TIME = 10037
TRAVESTY = 2007
URGENT = 2008
WELCOME = 8887

BEACON_GROUP = "224.225.226.227"
"""The multicast group that the beacon speaks to, at `BEACON`."""
BEACON = 2070

LOCALTIME_SOCKET = "localtime.sock"
"""The name of a socket file in the runtime directory."""
WRAP_SOCKET = "wrap.sock"
