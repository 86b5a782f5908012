"""The other builders of a Dockerfile: buildah, and Docker's classic builder."""

import json
from pathlib import Path

from containers_images import tagged
from containers_scenario import Clone
from containers_tools import Tools, command

from local_stack.compose import compose_document
from local_stack.images import base_image
from local_stack.inventory import load_inventory

_BUILD_WITHIN_S = 600

Images = dict[str, list[str]]


def builds() -> Images:
    """Each image with its build arguments."""
    found = {}
    for container in compose_document(load_inventory())["services"].values():
        if build := container.get("build"):
            arguments = [
                f"--build-arg={key}={value}" for key, value in build.get("args", {}).items()
            ]
            found[container["image"]] = [f"--target={build['target']}", *arguments]
    return found


def classic(clone: Clone, images: Images) -> None:
    """Build with the builder before BuildKit; the images are not kept."""
    environment = clone.environment | {"DOCKER_BUILDKIT": "0"}

    def run(*words: str) -> None:
        command(words, cwd=clone.folder, env=environment, timeout=_BUILD_WITHIN_S)

    tags = {f"{image}:classic": arguments for image, arguments in images.items()}
    for tag, arguments in tags.items():
        run("docker", "build", "-q", "-f", "deploy/Dockerfile", "-t", tag, *arguments, ".")
    run("docker", "image", "rm", *tags)


def buildah(clone: Clone, images: Images, found: Tools, scratch: Path) -> None:
    """Build without an engine, on the base image of the engine."""
    base = scratch / "base.tar"
    command(["docker", "save", "-o", str(base), tagged(base_image())], env=clone.environment)
    policy = scratch / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    store = ["buildah", f"--root={scratch}/buildah", f"--runroot={scratch}/buildah-run"]
    environment = found.environment() | {"TMPDIR": str(scratch)}

    def run(*words: str) -> None:
        trusted = f"--signature-policy={policy}"
        run_words = [*store, words[0], trusted, *words[1:]]
        command(run_words, cwd=clone.folder, env=environment, timeout=_BUILD_WITHIN_S)

    run("pull", f"docker-archive:{base}")
    for image, arguments in images.items():
        fixed = ["--isolation=chroot", "--layers", "-f", "deploy/Dockerfile", "-t", image]
        run("bud", *fixed, *arguments, ".")
