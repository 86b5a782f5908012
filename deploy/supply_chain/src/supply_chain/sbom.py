"""One bill of materials an image (CycloneDX): base image, packages with hashes, our own parts.

An image contains what its locks name and nothing else, so the locks are the source. Licences and
dependencies come from the metadata of the packages that are installed here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from local_stack import locks
from local_stack.images import base_image
from local_stack.inventory import CORE, Inventory, load_inventory
from local_stack.layout import CHECKOUT

FOLDER = CHECKOUT / "build" / "sbom"
_SHARED = (
    "libs/schemas",
    "libs/runtime",
    "libs/ledger",
    "libs/kafka_access",
    "libs/partner_messages",
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True)
class Image:
    """An image of ours: its name, our packages in it, its locks."""

    name: str
    parts: tuple[Path, ...]
    locks: tuple[Path, ...]


def main() -> int:
    """Write the bill of materials of every image."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for image in images_of(load_inventory()):
        bom = bill_of(image)
        file = FOLDER / f"{image.name.rpartition('/')[2]}.cdx.json"
        file.write_text(text_of(bom))
        print(f"wrote {file.relative_to(CHECKOUT)}: {len(bom.components)} components")
    return 0


def images_of(inventory: Inventory) -> list[Image]:
    """Every image that deploy/Dockerfile builds."""
    groups = {one.package: one.group for one in inventory.services.values()}
    first = Image("countersign/prepare", _parts("deploy/local"), (locks.IMAGES_FILE,))
    return [
        first,
        *(
            Image(f"countersign/{name}", _parts(f"services/{name}"), _locks(group, name))
            for name, group in groups.items()
        ),
    ]


def _parts(own: str) -> tuple[Path, ...]:
    return tuple(CHECKOUT / folder for folder in (*_SHARED, own))


def _locks(group: str, package: str) -> tuple[Path, ...]:
    of_group, own = locks.LOCKS_FOLDER / f"{group}.lock", locks.SERVICE_LOCKS / f"{package}.lock"
    beside = (of_group, own) if group != CORE else (own,)
    return (locks.IMAGES_FILE, *(file for file in beside if file.exists()))


def bill_of(image: Image) -> Bom:
    """The bill of materials of an image, with what each component depends on."""
    blocks = {
        name: block
        for file in image.locks
        for name, block in locks.blocks(file.read_text()).items()
    }
    packages = {name: _package(name, block) for name, block in blocks.items()}
    root, base = Component(name=image.name, type=ComponentType.CONTAINER), _base()
    parts = {part.name: _part(part) for part in image.parts}
    bom = Bom(components=[base, *parts.values(), *packages.values()])
    bom.metadata.component = root
    bom.register_dependency(root, [base, *parts.values()])
    known = packages | {one.name: one for one in parts.values()}
    for part in image.parts:
        needs = (canonicalize_name(one.name) for one in locks.requirements_of(part))
        bom.register_dependency(parts[part.name], _known(needs, known))
    for name, package in packages.items():
        bom.register_dependency(package, _known(_needs(name), known))
    return bom


def text_of(bom: Bom) -> str:
    """The document as JSON of CycloneDX 1.6."""
    output = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return output.output_as_string(indent=2) + "\n"


def _base() -> Component:
    name, _, version = base_image().partition(":")
    return Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=name)


def _part(folder: Path) -> Component:
    project = locks.project_of(folder)
    return Component(
        name=canonicalize_name(project["name"]),
        version=project["version"],
        description=project["description"],
        type=ComponentType.LIBRARY if folder.parent.name == "libs" else ComponentType.APPLICATION,
        bom_ref=project["name"],
    )


def _package(name: str, block: str) -> Component:
    version = block.partition("==")[2].split()[0]
    purl = PackageURL("pypi", name=name, version=version)
    # A lock names the hash of each of a version's files; one of them is installed.
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one) for one in _HASH.findall(block)]
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=hashes
    )
    return Component(
        name=name,
        version=version,
        purl=purl,
        bom_ref=f"{name}=={version}",
        external_references=[files],
        licenses=_licences(name),
    )


def _licences(name: str) -> list[License]:
    """The licences that a package declares; none where it is not installed here."""
    try:
        said = distribution(name).metadata
    except PackageNotFoundError:
        return []
    classifiers = [str(one) for one in said.get_all("Classifier") or ()]
    found = said["License-Expression"] or next(
        (one.removeprefix(_CLASSIFIER) for one in classifiers if one.startswith(_CLASSIFIER)),
        said["License"],
    )
    if not found or "\n" in found:
        return []
    declared = LicenseAcknowledgement.DECLARED
    return [LicenseFactory().make_from_string(found, license_acknowledgement=declared)]


def _needs(name: str) -> Iterator[str]:
    try:
        yield from (one for one, _ in locks.needs(name, ""))
    except PackageNotFoundError:
        return


def _known(names: Iterable[str], components: Mapping[str, Component]) -> list[Component]:
    return [components[name] for name in dict.fromkeys(names) if name in components]
