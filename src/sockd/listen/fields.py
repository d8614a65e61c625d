r"""The outer grammar of listen strings: "scheme:field:key=value", as Twisted's endpoint strings.

A backslash takes the next character as it is. A value, or an item of it behind a comma, that
begins with a square bracket may hold colons up to the closing one: "interface=[::1]".
"""

Field = tuple[str, str]  # the key, "" where there is none, and the value

_COLONS = (
    "write an IPv6 address in square brackets, as in interface=[::1], "
    "and a backslash before any other colon that belongs to a value"
)


def split(text: str) -> list[Field]:
    """The fields of a text. Raises ValueError where one is empty or has no end."""
    fields: list[Field] = []
    key = value = ""
    escaped = bracketed = False
    for place, character in enumerate(f"{text}:"):
        if place == len(text):
            if escaped:
                raise ValueError(f"{text!r} ends in a backslash with nothing behind it")
            if bracketed:
                raise ValueError(f"{text!r} has a '[' without its ']'; a backslash escapes it")
        if escaped:
            value += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ":" and not bracketed:
            if not value:
                hint = "nothing stands at its end" if place == len(text) else _COLONS
                raise ValueError(f"{key or 'a field'} is empty in {text!r}; {hint}")
            fields.append((key, value))
            key = value = ""
        elif character == "=" and value and not key and not bracketed:
            key, value = value, ""
        else:
            if character == "[" and value.rpartition(",")[2] == "":
                bracketed = True
            elif character == "]":
                bracketed = False
            value += character
    return fields
