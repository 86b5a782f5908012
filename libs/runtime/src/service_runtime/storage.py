"""The object store that a service's settings name: a folder, or a bucket of an S3-shaped store."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from service_runtime.keys import SecretKeys, read_secret
from service_runtime.object_store import FolderStore, ObjectStore
from service_runtime.service import Service
from service_runtime.settings import HttpSettings
from service_runtime.subject_keys import RingProvider, SubjectKeys

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


class KeyFolderSettings(HttpSettings):
    """Settings of a service that keeps the keys of its subjects in a folder, and no files."""

    subject_key_folder: str = Field(min_length=1)
    """In no backup of the database; instances of one service share it."""
    subject_wrapping_keys: SecretKeys = Field(validation_alias="SUBJECT_WRAPPING_KEY_FILE")


def folder_keys(settings: KeyFolderSettings) -> SubjectKeys:
    """Return the keys of a service's subjects in their folder."""
    store = FolderStore(Path(settings.subject_key_folder))
    return SubjectKeys(store, RingProvider(settings.subject_wrapping_keys))


class SubjectKeySettings(ObjectStoreSettings):
    """Settings of a service that keeps personal data under keys of its subjects.

    The keys are in a folder or bucket of their own, which is in no backup of the database.
    """

    subject_key_folder: str = ""
    subject_key_bucket: str = ""
    subject_wrapping_keys: SecretKeys = Field(validation_alias="SUBJECT_WRAPPING_KEY_FILE")
    """The first one wraps the keys of subjects; every one of them unwraps."""

    @model_validator(mode="after")
    def _keys_are_apart(self) -> Self:
        if self.s3_endpoint:
            if self.subject_key_bucket in ("", self.s3_bucket):
                raise ValueError("SUBJECT_KEY_BUCKET must be set, and differ from S3_BUCKET")
        elif not self.subject_key_folder or _holds(self.object_folder, self.subject_key_folder):
            raise ValueError("SUBJECT_KEY_FOLDER must be set, and be outside of OBJECT_FOLDER")
        return self


def _holds(folder: str, other: str) -> bool:
    return Path(other).absolute().is_relative_to(Path(folder).absolute())


def subject_keys(service: Service, settings: SubjectKeySettings) -> SubjectKeys:
    """Return the keys of a service's subjects."""
    own = {"object_folder": settings.subject_key_folder, "s3_bucket": settings.subject_key_bucket}
    store = object_store(service, settings.model_copy(update=own))
    return SubjectKeys(store, RingProvider(settings.subject_wrapping_keys))
