"""What stands in `etc` for who graphs: the alerts and the dashboard, tried with promtool."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sockd.ops.metrics.table import METRICS
from tests.processes import succeed

ROOT = Path(__file__).parents[3]
DOCS, ETC = ROOT / "docs", ROOT / "etc"
ALERTS = ETC / "prometheus" / "alerts.yml"
TESTS = ETC / "prometheus" / "alerts_test.yml"
DASHBOARD = json.loads((ETC / "grafana" / "sockd.json").read_text("utf-8"))
VARIABLES = {"$job": "sockd", "$instance": ".*", "$service": ".*", "$__rate_interval": "5m"}


def names_in(text: str) -> set[str]:
    """The metrics that an expression has."""
    found = set(re.findall(r"\b(?:sockd|process)_[a-z_]+\b", text))
    return {re.sub("_bucket$", "", name) for name in found}


def expressions(value: Any = DASHBOARD) -> Iterator[str]:
    """Every expression of the dashboard."""
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        for part in value.values():
            yield from expressions(part)
    elif isinstance(value, list):
        for part in value:
            yield from expressions(part)


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", ALERTS.read_text("utf-8"))


def test_promtool_takes_the_alerts_and_sees_each_when_it_should_be_seen() -> None:
    succeed("promtool", "check", "rules", ALERTS)
    succeed("promtool", "test", "rules", TESTS)


def test_each_alert_is_tried_when_it_is_due_and_when_all_is_well() -> None:
    _, well, *due = re.split(r"^  - name: ", TESTS.read_text("utf-8"), flags=re.M)
    assert re.findall(r"alertname: (\w+)", well) == alerts()
    assert re.findall(r"alertname: (\w+)", "".join(due)) == alerts()


def test_alerts_are_about_metrics_that_there_are() -> None:
    assert names_in(ALERTS.read_text("utf-8")) <= METRICS.keys()


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    assert set().union(*map(names_in, expressions())) == METRICS.keys()


def understood(expressions: Iterable[str], folder: Path) -> None:
    """Fails where Prometheus does not understand one of them."""
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, expression in enumerate(expressions):
        lines += [f"      - record: expression:{number}", f"        expr: {json.dumps(expression)}"]
    rules = folder / "rules.yml"
    rules.write_text("\n".join(lines), "utf-8")
    succeed("promtool", "check", "rules", rules)


def test_prometheus_understands_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    filled = list(expressions())
    for name, value in VARIABLES.items():
        filled = [expression.replace(name, value) for expression in filled]
    understood(filled, tmp_path)


def test_the_panels_lie_beside_each_other_and_each_has_its_number() -> None:
    panels = DASHBOARD["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def table(page: str) -> list[list[str]]:
    """The cells of the rows of the page's table of metrics."""
    text = (DOCS / page).read_text("utf-8")
    [found] = re.findall(r"^<!-- metrics: .*?^<!-- end of metrics -->$", text, re.M | re.S)
    return [
        [cell.strip() for cell in row.strip("|").split(" | ")] for row in found.splitlines()[3:-1]
    ]


def test_the_page_has_every_metric_with_its_type_its_labels_and_what_it_is() -> None:
    assert table("metrics.md") == [
        [
            f"`{metric.name}`",
            metric.type,
            ", ".join(f"`{label}`" for label in metric.labels) or "none",
            metric.help,
        ]
        for metric in METRICS.values()
    ]


def test_prometheus_takes_the_configuration_of_the_page(tmp_path: Path) -> None:
    text = (DOCS / "metrics.md").read_text("utf-8")
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)
    file = tmp_path / "prometheus.yml"
    file.write_text(shown.replace("/etc/prometheus/sockd", str(ALERTS.parent)), "utf-8")
    assert "SUCCESS: 1 rule files found" in succeed("promtool", "check", "config", file)


def test_prometheus_understands_the_questions_of_the_page(tmp_path: Path) -> None:
    text = (DOCS / "metrics.md").read_text("utf-8")
    [shown] = re.findall(r"^```promql\n(.*?)^```$", text, re.M | re.S)
    questions = [line for line in shown.splitlines() if not line.startswith("#")]
    assert set().union(*map(names_in, questions)) <= METRICS.keys()
    understood(questions, tmp_path)


def test_the_page_on_operations_says_what_to_do_when_an_alert_comes() -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    assert re.findall(r"^\| (Sockd\w+) \|", text, re.M) == alerts()
