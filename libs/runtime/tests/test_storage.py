"""The object store of a service is a folder, or what the S3 settings name."""

import pytest
from pydantic import ValidationError

from service_runtime.object_store import FolderStore
from service_runtime.s3 import S3Store
from service_runtime.service import Service
from service_runtime.storage import ObjectStoreSettings, object_store


@pytest.fixture
def settings(monkeypatch):
    """Make settings of an environment."""

    def make(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return ObjectStoreSettings(port=1)

    return make


def test_a_folder_is_the_store_where_no_s3_is_named(settings, tmp_path):
    one = settings(OBJECT_FOLDER=str(tmp_path))
    assert isinstance(object_store(Service("files", one), one), FolderStore)


async def test_s3_is_the_store_where_its_address_is_named_and_is_open_while_the_service_runs(
    settings, tmp_path
):
    (tmp_path / "secret").write_text("secret\n")
    one = settings(
        OBJECT_FOLDER=str(tmp_path),
        S3_ENDPOINT="http://127.0.0.1:1/",
        S3_BUCKET="bucket",
        S3_ACCESS_KEY_ID="key",
        S3_SECRET_ACCESS_KEY_FILE=str(tmp_path / "secret"),
    )
    service = Service("files", one)
    store = object_store(service, one)
    assert isinstance(store, S3Store)
    assert store in service.process().resources
    assert "secret" not in repr(one)


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, "OBJECT_FOLDER or S3_ENDPOINT"),
        ({"S3_ENDPOINT": "http://127.0.0.1:1", "S3_BUCKET": "b"}, "S3_ACCESS_KEY_ID, S3_SECRET"),
    ],
)
def test_settings_that_name_no_store_are_refused_with_what_is_missing(
    settings, environment, missing
):
    with pytest.raises(ValidationError, match=missing):
        settings(**environment)
