"""The object store that a service's settings name: a folder, or a bucket of an S3-shaped store."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from service_runtime.keys import read_secret
from service_runtime.object_store import FolderStore, ObjectStore
from service_runtime.service import Service
from service_runtime.settings import HttpSettings

OptionalSecret = Annotated[
    str, BeforeValidator(lambda path: read_secret(path) if path else ""), Field(repr=False)
]


class ObjectStoreSettings(HttpSettings):
    """Settings of a service that keeps files: OBJECT_FOLDER, or the S3 settings instead."""

    object_folder: str = ""
    s3_endpoint: str = ""
    """Address of the store, such as https://s3.eu-central-1.amazonaws.com; empty: the folder."""
    s3_bucket: str = ""
    s3_region: str = "us-east-1"
    s3_access_key_id: str = ""
    s3_secret_access_key: OptionalSecret = Field(
        default="", validation_alias="S3_SECRET_ACCESS_KEY_FILE"
    )

    @model_validator(mode="after")
    def _names_one_store(self) -> Self:
        needed = ("s3_bucket", "s3_access_key_id", "s3_secret_access_key")
        missing = [name for name in needed if not getattr(self, name)]
        if self.s3_endpoint and missing:
            raise ValueError(f"S3_ENDPOINT needs {', '.join(missing).upper()}")
        if not (self.s3_endpoint or self.object_folder):
            raise ValueError("OBJECT_FOLDER or S3_ENDPOINT must be set")
        return self


def object_store(service: Service, settings: ObjectStoreSettings) -> ObjectStore:
    """Return the store of a service; a connection to S3 is opened at its start."""
    if not settings.s3_endpoint:
        return FolderStore(Path(settings.object_folder))
    # Here, because awscrt is a package of services that use S3 alone.
    from service_runtime.s3 import S3Settings, S3Store  # noqa: PLC0415

    return service.use(
        S3Store(
            S3Settings(
                settings.s3_endpoint.rstrip("/"),
                settings.s3_bucket,
                settings.s3_region,
                settings.s3_access_key_id,
                settings.s3_secret_access_key,
            )
        )
    )
