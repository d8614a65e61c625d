"""Relative paths start at the file that names them, wherever the process stands later."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockd.config.document import ConfigError
from sockd.config.load import load, load_alone
from sockd.config.settings import Settings
from sockd.service import find

FOUND = find()


def write(file: Path, text: str) -> None:
    """A file, and the folder that it lies in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the process stands: another than that of the configuration."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def loaded(file: Path, *assignments: str) -> Settings:
    return load(str(file), None, assignments, FOUND)


def test_a_file_of_quotations_is_looked_for_beside_the_file_that_names_it(
    tmp_path: Path, elsewhere: Path
) -> None:
    write(tmp_path / "etc" / "quotes", "one\n")
    write(tmp_path / "etc" / "sockd.toml", "[service.quote]\nfile = 'quotes'")
    [one] = loaded(tmp_path / "etc" / "sockd.toml").instances
    assert one.options.file == str(tmp_path / "etc" / "quotes")
    write(tmp_path / "etc" / "conf.d" / "more.toml", "[service.quote]\nfile = '../quotes'")
    [one] = loaded(tmp_path / "etc" / "sockd.toml").instances
    assert one.options.file == str(tmp_path / "etc" / "conf.d" / ".." / "quotes")


def test_a_configuration_that_is_named_from_where_it_lies_needs_no_folder(
    tmp_path: Path, elsewhere: Path
) -> None:
    write(elsewhere / "quotes", "one\n")
    write(elsewhere / "sockd.toml", "[service.quote]\nfile = 'quotes'")
    [one] = loaded(Path("sockd.toml")).instances
    assert one.options.file == str(elsewhere / "quotes")


def test_set_starts_where_the_process_stands(tmp_path: Path, elsewhere: Path) -> None:
    write(elsewhere / "quotes", "one\n")
    write(tmp_path / "sockd.toml", "[service.quote]")
    [one] = loaded(tmp_path / "sockd.toml", "service.quote.file=quotes").instances
    assert one.options.file == str(elsewhere / "quotes")
    [alone] = load_alone("wrap", ["unix:./wrap.sock"], (), FOUND).instances
    assert alone.listen[0].path == str(elsewhere / "wrap.sock")


def test_a_file_that_is_not_there_is_told_with_its_whole_name(
    tmp_path: Path, elsewhere: Path
) -> None:
    write(tmp_path / "sockd.toml", "[service.quote]\nfile = 'none'")
    with pytest.raises(ConfigError, match=f": {tmp_path}/none: No such file or directory"):
        loaded(tmp_path / "sockd.toml")


def test_sockets_and_files_of_tls_lie_beside_the_file_whose_string_names_them(
    tmp_path: Path, elsewhere: Path, tls_files: tuple[Path, ...]
) -> None:
    (tmp_path / "tls").symlink_to(tls_files[0].parent)
    certificate, key = (name.name for name in tls_files[:2])
    authority = tls_files[0].name
    (tmp_path / "run").mkdir()
    text = (
        "[service.reverse]\nlisten = ['unix:run/a.sock', "
        f"'ssl:0:privateKey=tls/{key}:certKey=tls/{certificate}:clientCA=./tls/{authority}']"
    )
    write(tmp_path / "sockd.toml", text)
    [one] = loaded(tmp_path / "sockd.toml").instances
    local, secure = one.listen
    assert local.path == str(tmp_path / "run" / "a.sock")
    assert secure.terms.key == str(tmp_path / "tls" / key)
    assert secure.terms.certificate == str(tmp_path / "tls" / certificate)
    assert secure.terms.client_ca == str(tmp_path / "tls" / authority)


def test_two_strings_for_one_path_are_a_conflict_however_written(tmp_path: Path) -> None:
    text = f"[service.wrap]\nlisten = ['unix:a.sock', 'unix:{tmp_path}/a.sock']"
    write(tmp_path / "sockd.toml", text)
    with pytest.raises(ConfigError, match=r"service\.wrap listens there already"):
        loaded(tmp_path / "sockd.toml")


def test_a_path_that_is_too_long_with_its_folder_is_a_mistake(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    write(folder / "sockd.toml", "[service.wrap]\nlisten = ['unix:a.sock']")
    with pytest.raises(ConfigError, match="a socket's path is at most 107 bytes"):
        loaded(folder / "sockd.toml")
