"""Settings: checked, documented, loud."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.core.checks import run_checks

from broker import env
from broker.core.management.commands.settings_table import table


def ids(settings: Any, **changes: Any) -> set[str | None]:
    for name, value in changes.items():
        setattr(settings, name, value)
    return {message.id for message in run_checks() if message.id and message.id.startswith("usher.")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ENCRYPTION_KEYS": []}, "usher.E001"),
        ({"ENCRYPTION_KEYS": ["nonsense"]}, "usher.E002"),
        ({"TRUSTED_PROXIES": ["everybody"]}, "usher.E003"),
        ({"PUBLIC_URL": "desktops"}, "usher.E004"),
        ({"SECRET_KEY": "short"}, "usher.W001"),
        ({"ALLOWED_HOSTS": ["*"]}, "usher.W002"),
        ({"PUBLIC_URL": "http://desktops.example.com"}, "usher.W003"),
        ({"DEBUG": True}, "usher.W004"),
    ],
)
def test_a_misconfiguration_has_an_id(settings: Any, change: dict[str, Any], expected: str) -> None:
    assert expected in ids(settings, **change)


def test_a_sound_configuration_has_nothing_to_say(settings: Any) -> None:
    assert ids(settings) == set()


def test_the_table_of_settings_in_the_docs_is_the_one_the_code_makes() -> None:
    assert (configured.BASE_DIR / "docs" / "settings.md").read_text() == table()


def test_what_the_launcher_reads_is_in_the_table_too() -> None:
    for name in ("PORT", "AGENT_PORT", "GATEWAY_PORT", "BIND", "DATA", "USHER_TLS_CERT", "USHER_TLS_KEY"):
        assert f"| `{name}` |" in table(), name


def test_a_wrong_switch_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_DEMO", "perhaps")
    with pytest.raises(env.BadSetting, match="USHER_DEMO"):
        env.flag("USHER_DEMO")


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("USHER_SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert env.text("USHER_SECRET_KEY") == "from the file"
