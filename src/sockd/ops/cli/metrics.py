"""`sockd metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sockd.ops.cli.asking import ask, control_option, json_option, show


@click.command()
@control_option
@json_option
def metrics(control: str | None, as_json: bool) -> None:
    """Print all figures of the running daemon, as Prometheus reads them.

    They are in the format of OpenMetrics. A service of kind metrics tells them over HTTP, and in
    Prometheus's older format too, which is the one that `promtool check metrics` reads.
    """
    show(ask(control, "metrics", as_json=as_json), metrics_text, as_json=as_json)


def metrics_text(answer: Mapping[str, Any]) -> str:
    """All figures, one a line."""
    text = str(answer["text"])
    # it has no control character, for labels are names of ours; a daemon that lies has no terminal
    return "".join(one for one in text if one == "\n" or one.isprintable())


COMMANDS = (metrics,)
