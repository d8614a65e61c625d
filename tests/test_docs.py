"""The README and the pages of docs say what is so: they are compared with the code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.access.limits import Limits
from sockd.client.errors import ClientError
from sockd.client.metrics import METRICS
from sockd.client.outputs.prometheus import exported_name
from sockd.config.load import load
from sockd.config.settings import DaemonSettings, default_instances, field_names
from sockd.importer.attributes import CARRIED
from sockd.listen.schemes import SCHEMES
from sockd.listen.strings import Listen, expand
from sockd.ops.metrics.table import METRICS as TOLD
from sockd.ops.rates import NAMES as TOTALS
from sockd.service import find
from tests.processes import succeed
from tests.transcripts import blocks, write_files

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "sockd"
FOUND = find()
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TOUR = (ROOT / "docs" / "tour.md").read_text("utf-8")
EVENTS = (ROOT / "docs" / "events.md").read_text("utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
MOST_LINES = 249
"""Of the README."""
MOST_NAMES = 8
"""That a service can override: more than that nobody keeps in mind."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with what `make docs` writes, from this code."""
    root = tmp_path_factory.mktemp("generated")
    succeed(sys.executable, ROOT / "docs" / "generate.py", root)
    return root


def code(text: str) -> list[str]:
    """What stands in backquotes, outside of fenced blocks."""
    without = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", without)


@pytest.mark.parametrize("folder", ["docs/services", "man", "completions"])
def test_what_make_docs_writes_is_what_is_here(folder: str, generated: Path) -> None:
    written, committed = (
        {file.name: file.read_text("utf-8") for file in (root / folder).iterdir()}
        for root in (generated, ROOT)
    )
    assert committed == written, "run `make docs`"


def where(listen: Listen) -> str:
    """An address as the table of services says it."""
    if listen.path:
        return f"{listen.transport} {Path(listen.path).name}"
    if listen.transport == "multicast":
        return f"multicast {listen.address}"
    return f"{listen.transport} {listen.port}"


def table_rows() -> Iterator[tuple[str, str, str]]:
    """Name, page and addresses of each row of the table of services."""
    [table] = re.findall(r"^<!-- services: .*?^<!-- end of services -->$", README, re.M | re.S)
    for row in table.splitlines()[3:-1]:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4
        assert all(cells), row
        link = re.fullmatch(r"\[(.+)\]\(docs/services/(.+)\.md\)", cells[0])
        assert link is not None, row
        yield link[1], link[2], cells[1]


def test_the_table_of_services_in_the_readme_is_the_registry() -> None:
    declared = {
        (name, kind.name, ", ".join(where(expand(one)[0]) for one in instance.listen))
        for name, (kind, instance) in default_instances(FOUND).items()
    }
    assert set(table_rows()) == declared


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(README.splitlines()) <= MOST_LINES


def overridable(module: str) -> set[str]:
    """The names that a base has for services to override."""
    text = (SOURCE / "net" / module).read_text("utf-8")
    sections = re.findall(r"^    # what a service overrides$(.*?)^    # ", text, re.M | re.S)
    assert sections, module
    return set(re.findall(r"^    def ([a-z]\w*)\(", "".join(sections), re.M))


def test_the_table_of_names_of_a_service_is_what_the_bases_have_to_override() -> None:
    text = (ROOT / "docs" / "writing-a-service.md").read_text("utf-8")
    table = text.partition("## What a service overrides\n")[2].partition("\n\n`")[0]
    named = set(re.findall(r"^\|.*\| `(\w+)\(\w*\)` \| .+ \|$", table, re.M))
    modules = ("stream.py", "requests.py", "datagram.py")
    assert named == set().union(*map(overridable, modules))
    assert len(named) <= MOST_NAMES


def test_the_tour_names_every_file_and_package_and_no_other() -> None:
    elsewhere = re.compile(r"(docs|src|twisted)/")
    named = {name for name in code(TOUR) if re.search(r"/|\.py$", name)}
    named = {name for name in named if not elsewhere.match(name)}
    assert [name for name in named if not (SOURCE / name).exists()] == []
    modules = {
        str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py") if file.name != "__init__.py"
    }
    assert modules - named == set()
    packages = {file.parent.name for file in SOURCE.glob("*/__init__.py")}
    assert packages <= set(re.findall(r"\w+", TOUR))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_files_that_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    samples = {block.name for block in blocks(text)}
    for name in code(text):
        if re.fullmatch(r"(docs|etc|src|tests|benchmarks)/[\w./-]+", name) and name not in samples:
            assert (ROOT / name).exists(), name


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8")):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def known_names() -> set[str]:
    """Every function, method and class of the source."""
    text = "".join(file.read_text("utf-8") for file in SOURCE.rglob("*.py"))
    return set(re.findall(r"^ *(?:def|class) (\w+)", text, re.M))


def known_options() -> set[str]:
    """Every key that a configuration can have."""
    kinds = [field_names(kind.options) for kind in FOUND.kinds.values()]
    return (
        field_names(Limits)
        | field_names(DaemonSettings)
        | {"kind", "enabled", "listen"}.union(*kinds)
    )


def known_figures() -> set[str]:
    """Every name for programs: metrics, and of the client fields of its JSON and reasons."""
    schema = (ROOT / "docs" / "sock.schema.json").read_text("utf-8")
    kinds: list[type[ClientError]] = ClientError.__subclasses__()
    reasons = {kind.reason for kind in kinds}
    exported = {exported_name(metric) for metric in METRICS.values()}
    return {*METRICS, *TOLD, *exported, *reasons, *re.findall(r'"(\w+)":', schema)}


def known_fields() -> set[str]:
    """Every argument of the control socket, and every field of an answer."""
    files = (SOURCE / "ops" / "control").rglob("*.py")
    return {name for file in files for name in re.findall(r'"(\w+)"', file.read_text("utf-8"))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_options_that_exist(page: Path) -> None:
    # what the log names is compared with its own page by tests/test_events_page.py
    known = known_options() | set(code(EVENTS)) | known_names() | known_figures()
    if page.name == "control.md":
        known |= known_fields() | set(TOTALS)
    known |= CARRIED.keys()  # what xinetd's are called, where the page on moving in has them
    for name in code(page.read_text("utf-8")):
        if option := re.fullmatch(r"([a-z_]+) = .+|([a-z]+(?:_[a-z]+)+)", name):
            # a door has any role that its kind gives it
            key = re.sub("^listen_.*", "listen", option[1] or option[2])
            assert key in known, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_only_listen_strings_and_configurations_that_are_right(
    page: Path, tmp_path: Path
) -> None:
    text = page.read_text("utf-8")
    schemes = "|".join([*SCHEMES, "haproxy"])
    for name in code(text):
        if re.match(rf"({schemes}):.", name):
            assert expand(name)
    for number, block in enumerate(blocks(text)):
        if block.kind == "toml" and block.name != "pyproject.toml":
            file = tmp_path / str(number) / "sockd.toml"
            file.parent.mkdir()
            file.write_text(block.text, "utf-8")
            assert load(str(file), None, (), FOUND).warnings == ()


def test_every_target_of_make_that_is_named_exists_and_all_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M)) - {"help"}
    assert set(re.findall(r"\bmake ([a-z-]+)", "\n".join(code(CONTRIBUTING)))) == targets
    fenced = "".join(block.text for block in blocks(README))
    assert set(re.findall(r"\bmake ([a-z-]+)", fenced + "\n".join(code(README)))) <= targets


SHOWN = {
    "README.md": {"src/sockd/services/shout.py", "tests/services/test_shout.py"},
    "docs/writing-a-service.md": {
        "src/sockd/services/shout.py",
        "tests/conftest.py",
        "tests/test_shout.py",
    },
}
"""The pages that add a service, and what they show in Python."""


@pytest.mark.parametrize("page", SHOWN)
def test_the_service_that_a_page_adds_is_ready_to_paste(page: str, tmp_path: Path) -> None:
    """Installed as another distribution would install it: a folder on the path."""
    text = (ROOT / page).read_text("utf-8")
    assert {block.name for block in blocks(text) if block.kind == "python"} == SHOWN[page]
    write_files(text, tmp_path)
    ruff = [sys.executable, "-m", "ruff"]
    options = ("--config", "pyproject.toml", "--no-cache", str(tmp_path))
    succeed(*ruff, "check", *options, cwd=ROOT)
    succeed(*ruff, "format", "--check", *options, cwd=ROOT)
    path = {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    checked = succeed(
        sys.executable, "-m", "sockd.cli", "check", "--only", "shout", environment=path
    )
    assert "shout: tcp 127.0.0.1:7805\n" in checked
    pytest_here = (sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    succeed(*pytest_here, "tests", cwd=tmp_path, environment=path)
