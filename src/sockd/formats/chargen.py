"""The rotating pattern of the 95 printable characters (RFC 864)."""

CHARACTERS = bytes(range(32, 127))
COLUMNS = 72
PATTERN = b"".join(
    (CHARACTERS * 2)[start : start + COLUMNS] + b"\r\n" for start in range(len(CHARACTERS))
)
"""One whole rotation: 95 lines, 7030 bytes; the next one is the same again."""
