"""The files that follow from the manifests and the lock; a test fails where one is stale."""

from collections.abc import Mapping
from pathlib import Path

from local_stack.compose import COMPOSE_FILE, compose_text
from local_stack.dotenv import DOTENV_FILE, dotenv_text
from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT
from local_stack.listings import listing_files
from local_stack.locks import image_locks


def generated_files() -> Mapping[Path, str]:
    """The text of each generated file."""
    inventory = load_inventory()
    return {
        COMPOSE_FILE: compose_text(inventory),
        DOTENV_FILE: dotenv_text(inventory),
        **image_locks(),
        **listing_files(inventory),
    }


def write(files: Mapping[Path, str]) -> None:
    """Write the files whose text differs, and print their names."""
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(CHECKOUT)}")
