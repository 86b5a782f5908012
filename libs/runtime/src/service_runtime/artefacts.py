"""Versioned artefacts: files with a version and a checksum, verified before they are used."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from service_runtime import metrics

_loaded: dict[str, float] = {}
metrics.gauge("artefact_loaded", "1 for each loaded artefact: name and version.", lambda: _loaded)


class _Manifest(BaseModel):
    version: str = Field(min_length=1)
    file: str = Field(pattern=r"^[\w.-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Artefact:
    """A verified file: a list, a table, a model."""

    name: str
    version: str
    content: bytes


def load_artefact(name: str, manifest: Path) -> Artefact:
    """Read a manifest (JSON: version, file, sha256) and the file beside it.

    Raises ValueError where one cannot be read or the checksum is wrong: the process must not start
    with another file than the one that was released.
    """
    try:
        found = _Manifest.model_validate_json(manifest.read_bytes())
        content = (manifest.parent / found.file).read_bytes()
    except (OSError, ValidationError) as error:
        raise ValueError(f"artefact {name}: {manifest}: {error}") from None
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise ValueError(f"artefact {name}: {found.file} has another checksum than its manifest")
    _loaded[f"{name} {found.version}"] = 1.0
    return Artefact(name, found.version, content)
