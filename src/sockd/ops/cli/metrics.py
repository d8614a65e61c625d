"""`sockd metrics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from sockd.ops.cli.asking import ask, control_option, give_up, json_option, read, show


@click.command()
@control_option
@json_option
def metrics(control: str | None, as_json: bool) -> None:
    """Print all figures of the daemon, as Prometheus reads them.

    They are in the format of OpenMetrics. A service of kind metrics tells them over HTTP, and in
    Prometheus's older format too, which is the one that `promtool check metrics` reads. With --json
    they are samples, each with name, labels and value.
    """
    from sockd.ops.control.frames import ControlError

    answer = ask(control, "metrics", as_json=as_json)
    if as_json:
        text = read(answer, lambda told: str(told["text"]), as_json=True)
        try:
            answer = {"samples": list(samples(text))}
        except ValueError as error:
            give_up(ControlError(f"the answer is not in OpenMetrics: {error}"), as_json=True)
    show(answer, metrics_text, as_json=as_json)


def samples(text: str) -> Iterator[dict[str, Any]]:
    """Each figure by itself: its name, its labels, its value."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            yield {"name": name, "labels": labels, "value": value}


def metrics_text(answer: Mapping[str, Any]) -> str:
    """All figures, one a line."""
    text = str(answer["text"])
    # it has no control character, for labels are names of ours; a daemon that lies has no terminal
    return "".join(one for one in text if one == "\n" or one.isprintable())


COMMANDS = (metrics,)
