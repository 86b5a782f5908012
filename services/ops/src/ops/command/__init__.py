"""The `countersign` command."""

from ops.command.main import main

__all__ = ["main"]
