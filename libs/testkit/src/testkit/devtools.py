"""A real browser that a test drives: pages, clicks, keys, sizes, colour schemes, screenshots.

Source: Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/tot/.
"""

import base64
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from testkit.browser import command_line

STARTS_WITHIN_S = 30.0
WITHIN_S = 15.0
POLL_S = 0.02
_PORT_FILE = "DevToolsActivePort"
_LARGEST_MESSAGE = 64 * 1024 * 1024
_KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    " ": (32, " "),
}
"""Key code and text."""


class PageError(AssertionError):
    """The page did not do what the test waits for; the text has what it shows."""


class BrowserPage:
    """One open page of a browser with a profile of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._session = ""
        self.errors: list[str] = []
        """Exceptions, console errors and refusals of the page's policy."""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def goto(self, url: str) -> None:
        """Open an address, and wait until the page is loaded."""
        self.evaluate("window.isOld = true")
        found = self._send("Page.navigate", url=url)
        if "errorText" in found:
            raise PageError(f"{url}: {found['errorText']}")
        self.wait_for("!window.isOld && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression, or of the promise that it is."""
        found = self._send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    def wait_for(self, script: str, within_s: float = WITHIN_S) -> Any:
        """Return the value of an expression once it is true; raise PageError in time."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            # While a page goes away there is no context to evaluate in.
            try:
                if found := self.evaluate(script):
                    return found
            except (PageError, KeyError):
                pass
            time.sleep(POLL_S)
        raise PageError(f"not within {within_s:.0f} s: {script}\n{self.text()[:3000]}")

    def wait_for_text(self, text: str, within_s: float = WITHIN_S) -> None:
        """Wait until the page shows a text."""
        self.wait_for(f"document.body.innerText.includes({json.dumps(text)})", within_s)

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.evaluate("location.href + '\\n' + (document.body?.innerText ?? '')"))

    def click(self, selector: str, text: str = "") -> None:
        """Click the first element that a selector finds, whose text begins so, by the mouse."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find((one) => one.innerText.trim().startsWith({json.dumps(text)}))"
        )
        if not text:
            find = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{find}")
        place = self.evaluate(
            f"(() => {{ const one = {find}; one.scrollIntoView({{block: 'center'}});"
            " const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            self._send("Input.dispatchMouseEvent", type=kind, **at)

    def follow(self, selector: str, text: str = "") -> None:
        """Click what leads to another page, and wait until that page is loaded."""
        self.evaluate("window.isOld = true")
        self.click(selector, text)
        self.wait_for("!window.isOld && document.readyState === 'complete'")

    def type(self, text: str) -> None:
        """Type a text into the focused field."""
        self._send("Input.insertText", text=text)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            code, text = _KEYS.get(key, (ord(key[0].upper()), key))
            given: Mapping[str, Any] = {"key": key, "windowsVirtualKeyCode": code}
            self._send("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
            self._send("Input.dispatchKeyEvent", type="keyUp", **given)

    def show(self, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Set the size of the window, in CSS pixels, and the colour scheme of its system."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._send("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, picture: Path) -> None:
        """Write what the window shows to a file: PNG, or WebP by its suffix."""
        kind = {"format": "webp", "quality": 80} if picture.suffix == ".webp" else {}
        data = self._send("Page.captureScreenshot", **kind)["data"]
        picture.write_bytes(base64.b64decode(data))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            found = json.loads(self._socket.recv(timeout=WITHIN_S))
            self._note(found)
            if found.get("id") == self._number:
                if "error" in found:
                    raise PageError(f"{method}: {found['error']['message']}")
                result: dict[str, Any] = found["result"]
                return result

    def _note(self, message: Mapping[str, Any]) -> None:
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = message["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description", ""))
            case "Log.entryAdded" if message["params"]["entry"]["level"] == "error":
                entry = message["params"]["entry"]
                self.errors.append(f"{entry['text']} {entry.get('url', '')}")


@contextmanager
def driven() -> Iterator[BrowserPage]:
    """Open a browser with one page; raise LookupError if none is installed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [*command_line(profile), "--remote-debugging-port=0", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile)), max_size=_LARGEST_MESSAGE) as socket:
                yield BrowserPage(socket)
        finally:
            process.kill()
            process.wait()


def _address(profile: Path) -> str:
    """Return the browser's socket, which it writes down once it listens."""
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        lines = (profile / _PORT_FILE).read_text().split() if _exists(profile) else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(POLL_S)
    raise PageError("the browser has not started")


def _exists(profile: Path) -> bool:
    return (profile / _PORT_FILE).exists()
