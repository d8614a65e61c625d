"""The text templates of greetings."""

from __future__ import annotations

from string import Formatter

from sockd.formats.text import escape

FIELDS = ("name", "address", "port", "time")
"""What a template can say: the peer's host name, its address, its port, the time as ctime."""
MAX_NAME = 255
"""Characters of the longest host name (RFC 1035); a longer answer of a resolver is cut."""


def names_in(text: str) -> set[str]:
    """The names in braces of a text to be filled."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


class Template(str):
    """A text with `{name}`, `{address}`, `{port}` and `{time}`; `{{` is a brace."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: object) -> Template:
        """Check the fields of a template. Raises ValueError that says which one is not known."""
        if not isinstance(value, str):
            raise ValueError(f"expected a text, got {value!r}")
        try:
            parts = list(Formatter().parse(value))
        except ValueError as error:
            raise ValueError(f"{error} in {value!r}; a brace itself is written twice") from None
        for _, field, spec, conversion in parts:
            if field is not None and (field not in FIELDS or spec or conversion):
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise ValueError(f"unknown field {{{field}}} in {value!r}; there are {known}")
        return cls(value)

    @property
    def wants_name(self) -> bool:
        """Whether the host name has to be looked up."""
        return "name" in names_in(self)

    def fill(self, *, name: str, address: str, port: int, time: str) -> bytes:
        """The text as bytes. The name comes from the network, so it is escaped."""
        return self.format(
            name=escape(name, MAX_NAME), address=address, port=port, time=time
        ).encode()
