"""The server's settings are validated at start."""

import pytest

from ops.settings import Settings
from service_runtime.settings import load


@pytest.fixture
def environment(monkeypatch, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    monkeypatch.setenv("PROFILE", "dev")
    monkeypatch.setenv("ADMIN_URLS", '{"confirm":"http://c:3010"}')
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "k:9092")
    monkeypatch.setenv("INTERNAL_CREDENTIAL_FILE", str(secret))
    monkeypatch.setenv("DATABASE_URL", "postgresql://ops@p/countersign")
    monkeypatch.setenv("REDIS_URL", "redis://ops@r/0")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(secret))
    return monkeypatch


def test_the_defaults_are_those_of_the_readme(environment):
    settings = load(Settings)
    assert (settings.port, settings.check_every_s) == (3030, 60)
    assert (settings.limits().unfinished_after_s, settings.limits().grace_s) == (60, 10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("ADMIN_URLS", "confirm", id="no JSON"),
        pytest.param("ADMIN_URLS", "{}", id="no service"),
        pytest.param("ADMIN_URLS", '{"confirm":["a"]}', id="no address"),
        pytest.param("INTERNAL_CREDENTIAL_FILE", "/no/such/file", id="no secret"),
        pytest.param("CHECK_EVERY_S", "0", id="without a pause"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name(environment, capsys, name, value):
    environment.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        load(Settings)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(name)
