"""The images of others: where they are named, and which are pinned by a digest."""

import re
from pathlib import Path

from local_stack.layout import CHECKOUT

STACK_FILE = CHECKOUT / "deploy" / "stack.yaml"
DOCKERFILE = CHECKOUT / "deploy" / "Dockerfile"
NAMED = re.compile(
    r"""(?:(?<=image:\ ")|(?<=^FROM\ ))   # what precedes a name in the two files
        (?P<tagged>[^\s"@]+:[^\s"@]+)     # name:tag; a stage has no tag
        (?:@(?P<digest>sha256:[0-9a-f]{64}))?""",
    re.MULTILINE | re.VERBOSE,
)


def base_image() -> str:
    """The image that ours are built on."""
    return next(NAMED.finditer(DOCKERFILE.read_text()))[0]


def unpinned(files: tuple[Path, ...] = (STACK_FILE, DOCKERFILE)) -> list[str]:
    """The images of others that have a tag and no digest."""
    found = (one for file in files for one in NAMED.finditer(file.read_text()))
    return list(dict.fromkeys(one["tagged"] for one in found if not one["digest"]))
