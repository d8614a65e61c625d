"""How the client gets there: names, connections, TLS, sockets for datagrams."""
