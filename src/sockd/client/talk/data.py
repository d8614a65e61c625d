"""Arguments that are data for a service: a number that begins with - is no option."""

from __future__ import annotations

import re
from typing import Any

import click

from sockd.client.arguments import Command

_NUMBER = re.compile(r"-[0-9][0-9.,_]*")
_FAMILIES = ("-4", "-6")
_MARK = "\0"
"""Stands before an argument that is data: no argument has it, as it would end there."""


class DataType(click.ParamType[str]):
    """A piece of data."""

    name = "data"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As it was written."""
        return str(value).removeprefix(_MARK)


DATA = DataType()


class DataCommand(Command):
    """A command whose arguments, of type `DATA`, may be negative numbers.

    `-4` and `-6` are options still; after `--` all is data.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's."""
        return super().parse_args(ctx, self._marked(args))

    def _marked(self, args: list[str]) -> list[str]:
        marked: list[str] = []
        for number, text in enumerate(args):
            if text == "--":
                return marked + args[number:]
            is_value = number > 0 and args[number - 1] in self._take_values
            is_data = _NUMBER.fullmatch(text) and text not in _FAMILIES and not is_value
            marked.append(f"{_MARK}{text}" if is_data else text)
        return marked

    @property
    def _take_values(self) -> set[str]:
        """The options that the next argument belongs to."""
        return {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag and not parameter.count
            for name in parameter.opts
        }
