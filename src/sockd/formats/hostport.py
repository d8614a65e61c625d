"""An address and a port as one text."""


def host_port(host: str, port: int) -> str:
    """`127.0.0.1:7800`, `[::1]:7800`: an IPv6 address in brackets, for its own colons."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
