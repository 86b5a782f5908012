"""A real browser without a network: the document of a page after its scripts."""

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOADED_WITHIN_MS = 15_000
"""Virtual time of the page, which passes faster than real time while it is idle."""
_ENDS_WITHIN_S = 60
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Only loopback resolves.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1400,1000",
    f"--virtual-time-budget={LOADED_WITHIN_MS}",
)


def rendered(url: str, picture: Path) -> str:
    """Open a page, take a screenshot, and return its final document.

    Raises LookupError if no browser is installed.
    """
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        raise LookupError(f"no browser: install one of {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                browser,
                *_SWITCHES,
                f"--user-data-dir={profile}",
                f"--screenshot={picture}",
                "--dump-dom",
                url,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=_ENDS_WITHIN_S,
        )
    return done.stdout
