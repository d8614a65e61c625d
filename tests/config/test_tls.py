"""TLS in a configuration: several certificates, versions, ciphers, and what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from sockd.config.document import ConfigError
from sockd.config.load import load
from sockd.config.settings import Settings
from sockd.listen.strings import parse
from sockd.listen.terms import Terms
from sockd.net import tls
from sockd.service import find

FOUND = find()
LISTEN = 'listen = ["tls:0:{key}:{certificate}"]'


@pytest.fixture
def listen(tls_files: tuple[Path, Path, Path]) -> str:
    """A service over TLS."""
    certificate, key, _ = tls_files
    return LISTEN.format(key=key, certificate=certificate)


def read(folder: Path, text: str) -> Settings:
    """The settings of a text."""
    (folder / "sockd.toml").write_text(text, "utf-8")
    return load(str(folder / "sockd.toml"), None, (), FOUND)


def mistakes(folder: Path, text: str) -> list[str]:
    """What is wrong with it."""
    with pytest.raises(ConfigError) as error:
        read(folder, text)
    return [str(one).removeprefix(f"{folder}/sockd.toml:") for one in error.value.mistakes]


def terms_of(settings: Settings) -> Terms:
    """What holds at the one address."""
    [instance] = settings.instances
    [found] = instance.listen
    return found.terms


def test_what_is_set_holds_where_tls_is_spoken_and_nowhere_else(
    tmp_path: Path, listen: str
) -> None:
    defaults = '[defaults]\ntls_versions = ["1.3"]\ntls_ciphers = "TLS_AES_128_GCM_SHA256"\n'
    terms = terms_of(read(tmp_path, f"{defaults}[service.echo]\n{listen}"))
    assert (terms.versions, terms.ciphers) == (("1.3",), "TLS_AES_128_GCM_SHA256")
    own = '[service.echo]\ntls_versions = ["1.2", "1.3"]\n'
    assert terms_of(read(tmp_path, f"{defaults}{own}{listen}")).versions == ("1.2", "1.3")
    plain = terms_of(read(tmp_path, f'{defaults}[service.echo]\nlisten = ["tcp:0"]'))
    assert plain == Terms()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("tls_versions = []", 'tls_versions: expected some of "1.2", "1.3", got []'),
        (
            'tls_versions = ["1.1"]',
            """tls_versions: expected some of "1.2", "1.3", got ['1.1']""",
        ),
        ('tls_ciphers = "ECDHE-FOO"', "tls_ciphers: OpenSSL knows no cipher 'ECDHE-FOO'"),
        ('tls_ciphers = "TLS_FOO"', "tls_ciphers: OpenSSL knows no cipher 'TLS_FOO'"),
        ('tls_ciphers = "HIGH:é"', "tls_ciphers: OpenSSL knows no cipher 'é'"),
        (
            'tls_ciphers = "HIGH:!HIGH"',
            "tls_ciphers: OpenSSL knows no such ciphers: HIGH:!HIGH",
        ),
        (
            'tls_ciphers = "NULL-SHA256:@SECLEVEL=0"',
            "tls_ciphers: NULL-SHA256, which is among them, protects nothing: add !aNULL:!eNULL",
        ),
        (
            'tls_versions = ["1.3"]\ntls_ciphers = "HIGH"',
            "tls_ciphers: HIGH is for TLS 1.2, which tls_versions leaves out",
        ),
    ],
)
def test_what_cannot_be_spoken_is_a_mistake(
    setting: str, told: str, tmp_path: Path, listen: str
) -> None:
    text = f"[service.echo]\n{listen}\n{setting}\n"
    [found] = mistakes(tmp_path, text)
    assert found.partition("service.echo.")[2] == told
    assert mistakes(tmp_path, f"[defaults]\n{setting}\n[service.echo]\n{listen}")


def test_a_mistake_of_all_is_told_once(tmp_path: Path, listen: str) -> None:
    services = f"[service.echo]\n{listen}\n[service.reverse]\n{listen}\n[service.said]\n{listen}"
    [found] = mistakes(tmp_path, f'[defaults]\ntls_ciphers = "FOO"\n{services}')
    assert found == "2: defaults.tls_ciphers: OpenSSL knows no cipher 'FOO'"


def test_without_tls_they_have_no_effect(tmp_path: Path) -> None:
    text = '[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1"]\ntls_versions = ["1.3"]'
    [warning] = read(tmp_path, text).warnings
    assert warning.startswith("service.echo.tls_versions: without effect: it is for TLS")


def test_relative_names_of_all_certificates_start_at_the_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        leaf = trustme.CA().issue_cert(f"{name}.example")
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    text = '[service.echo]\nlisten = ["tls:0:privateKey=a.pem:privateKey=b.pem"]'
    terms = terms_of(read(tmp_path, text))
    assert (terms.certificate, terms.key) == (f"{tmp_path}/a.pem",) * 2
    assert terms.further == ((f"{tmp_path}/b.pem", f"{tmp_path}/b.pem"),)
    assert set(terms.tls_files) == {f"{tmp_path}/a.pem", f"{tmp_path}/b.pem"}


def test_keys_and_certificates_go_in_pairs(tmp_path: Path) -> None:
    terms = parse("tls:0:privateKey=k1:certKey=c1:privateKey=k2:certKey=c2").terms
    assert ((terms.certificate, terms.key), *terms.further) == (("c1", "k1"), ("c2", "k2"))
    with pytest.raises(ValueError, match="the nth with the nth: there are 1 and 2"):
        parse("tls:0:privateKey=k1:certKey=c1:privateKey=k2")
    with pytest.raises(ValueError, match="clientCA is given twice"):
        parse("tls:0:privateKey=k1:clientCA=a:clientCA=b")


def test_a_file_of_the_second_that_cannot_be_used_is_named(
    tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    certificate, key, _ = tls_files
    text = f"tls:0:privateKey={key}:certKey={certificate}:privateKey={tmp_path}/no:certKey={key}"
    with pytest.raises(ValueError, match=f"^{key}: there is no certificate"):
        tls.load(parse(text).terms)


def test_a_second_certificate_without_a_name_is_of_no_use(
    tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    certificate, key, _ = tls_files
    leaf = trustme.CA().issue_cert("192.0.2.1")
    other = tmp_path / "other.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(other)
    text = f"tls:0:privateKey={key}:certKey={certificate}:privateKey={other}:certKey={other}"
    with pytest.raises(ValueError, match=f"^{other}: it names no host that a client could ask for"):
        tls.load(parse(text).terms)


def test_of_several_certificates_the_first_that_ends_counts(tmp_path: Path) -> None:
    ends = [datetime(2040 - number, 1, 1, tzinfo=UTC) for number in range(3)]
    keys = ""
    for number, end in enumerate(ends):
        file = tmp_path / f"{number}.pem"
        leaf = trustme.CA().issue_cert(f"{number}.example", not_after=end)
        leaf.private_key_and_cert_chain_pem.write_to_path(file)
        keys += f":privateKey={file}"
    terms = parse(f"tls:0{keys}").terms
    assert tls.expires(tls.load(terms)) == min(ends).timestamp()
    assert terms.certificates == tuple(f"{tmp_path}/{number}.pem" for number in range(3))
    assert parse("tcp:0").terms.certificates == ()
