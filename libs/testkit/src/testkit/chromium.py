"""Chromium under remote control: pages are used as a person does, by keys and taps.

Source: the Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/.
"""

import asyncio
import base64
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from testkit.browser import command_line

WITHIN_S = 20
_LOOK_AGAIN_S = 0.02
_MOST_BYTES = 64 * 1024 * 1024
_ENDS_WITHIN_S = 10
_DESK_WIDTH = 700
"""Narrower windows are those of phones, whose scroll bars take no place."""
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "ArrowDown": (40, "")}
"""Named keys: codes and texts. Source: Windows virtual-key codes, which the protocol names."""
_CLICKABLE = "button,a,label,summary"

Heard = Callable[[dict[str, Any]], Awaitable[None]]


class BrowserError(Exception):
    """A command that the browser has refused, or an error of a script."""


class Chromium:
    """A running browser: commands with their replies, and events of its tabs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._heard: dict[tuple[str, str], Heard] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, method: str, session: str = "", **fields: Any) -> dict[str, Any]:
        """Send a command; return its result. Raises BrowserError."""
        number = next(self._numbers)
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": fields}
        await self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        return await asyncio.wait_for(reply, WITHIN_S)

    def on(self, session: str, event: str, heard: Heard) -> None:
        """Call a function with each event of a kind."""
        self._heard[session, event] = heard

    async def read(self) -> None:
        """Read replies and events until the connection ends."""
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._reply(message)
            elif heard := self._heard.get((message.get("sessionId", ""), message["method"])):
                task = asyncio.ensure_future(heard(message["params"]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _reply(self, message: Mapping[str, Any]) -> None:
        reply = self._waiting.pop(message["id"])
        if reply.done():
            return
        if "error" in message:
            reply.set_exception(BrowserError(message["error"]["message"]))
        else:
            reply.set_result(message["result"])

    @asynccontextmanager
    async def tab(self) -> AsyncIterator["Tab"]:
        """Open a tab with a storage of its own."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        opened = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call(
            "Target.attachToTarget", targetId=opened["targetId"], flatten=True
        )
        tab = Tab(self, attached["sessionId"])
        await tab.start()
        try:
            yield tab
        finally:
            await self.call("Target.disposeBrowserContext", browserContextId=context)


class Tab:
    """One open page, and the person before it."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        self.faults: list[str] = []
        """What the page has thrown, and what its policy has blocked."""
        self.errors: list[str] = []
        """What the browser has logged as an error, as a response with a status of 400 or more."""

    async def start(self) -> None:
        """Listen to the page's faults and errors."""
        self.on("Runtime.exceptionThrown", self._threw)
        self.on("Audits.issueAdded", self._blocked)
        self.on("Log.entryAdded", self._logged)
        for domain in ("Page", "Runtime", "Network", "Audits", "Log"):
            await self.call(f"{domain}.enable")

    async def call(self, method: str, **fields: Any) -> dict[str, Any]:
        """Send a command to this tab."""
        return await self._browser.call(method, self._session, **fields)

    def on(self, event: str, heard: Heard) -> None:
        """Call a function with each event of a kind in this tab."""
        self._browser.on(self._session, event, heard)

    async def _threw(self, event: dict[str, Any]) -> None:
        details = event["exceptionDetails"]
        self.faults.append(details.get("exception", {}).get("description", details["text"]))

    async def _blocked(self, event: dict[str, Any]) -> None:
        if event["issue"]["code"] == "ContentSecurityPolicyIssue":
            self.faults.append(json.dumps(event["issue"]["details"]))

    async def _logged(self, event: dict[str, Any]) -> None:
        entry = event["entry"]
        if entry["level"] == "error":
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")

    async def open(self, url: str) -> None:
        """Go to an address, and wait until the page is loaded. Raises BrowserError."""
        async with self._next_page():
            found = await self.call("Page.navigate", url=url)
            if "errorText" in found:
                raise BrowserError(f"{url}: {found['errorText']}")

    async def follow(self, text: str = "", selector: str = _CLICKABLE) -> None:
        """Tap what leads to another page, and wait until that page is loaded."""
        async with self._next_page():
            await self.tap(text, selector)

    @asynccontextmanager
    async def _next_page(self) -> AsyncIterator[None]:
        await self.evaluate("window.isOld = true")
        yield
        await self.until("!window.isOld && document.readyState === 'complete'")

    async def before_each_page(self, script: str) -> None:
        """Run a script in each page before its own scripts."""
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    async def look(self, *, width: int, dark: bool = False, height: int = 800) -> None:
        """Set the window's size and what the person prefers: a colour scheme, and no motion."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < _DESK_WIDTH,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme, still])

    async def connected(self, *, to_network: bool) -> None:
        """Take the page's network away, or give it back."""
        free = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await self.call("Network.emulateNetworkConditions", offline=not to_network, **free)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript; a promise is awaited."""
        result = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if fault := result.get("exceptionDetails"):
            raise BrowserError(fault.get("exception", {}).get("description", fault["text"]))
        return result["result"].get("value")

    async def until(self, expression: str, within_s: float = WITHIN_S) -> Any:
        """Evaluate until the value is true; return it. Raises TimeoutError with the page's text."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            try:
                if value := await self.evaluate(expression):
                    return value
            except BrowserError:
                pass  # the page is being replaced
            await asyncio.sleep(_LOOK_AGAIN_S)
        found = f"{await self.text()}\n{self.faults + self.errors}"
        raise TimeoutError(f"not within {within_s:.0f} s: {expression}\n{found}")

    async def text(self) -> str:
        """Return the page's address and what it shows."""
        return str(await self.evaluate("location.href + '\\n' + document.body?.innerText"))

    async def sees(self, text: str, within_s: float = WITHIN_S) -> None:
        """Wait until the page shows a text."""
        await self.until(f"document.body.innerText.includes({json.dumps(text)})", within_s)

    async def tap(self, text: str = "", selector: str = _CLICKABLE, times: int = 1) -> None:
        """Press the pointer on the first element that shows a text; `times`: a fast double tap."""
        place = None
        # What loads above it moves it: a person would wait, too.
        while place != (place := await self.until(_place_of(text, selector))):  # noqa: ASYNC110 - no event
            await asyncio.sleep(_LOOK_AGAIN_S)
        x, y = place
        events = [
            {"type": kind, "x": x, "y": y, "button": "left", "clickCount": count}
            for count in range(1, times + 1)
            for kind in ("mousePressed", "mouseReleased")
        ]
        await asyncio.gather(*(self.call("Input.dispatchMouseEvent", **one) for one in events))

    async def type(self, text: str) -> None:
        """Type a text into the element that has the focus."""
        await self.call("Input.insertText", text=text)

    async def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys, one after the other: characters, or names as `Tab`."""
        for key in keys:
            code, text = KEYS.get(key, (ord(key[0].upper()), key))
            fields = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **fields)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **fields)

    async def picture(self, kind: str = "png") -> bytes:
        """Return a screenshot of the window: `png`, or `webp` with losses."""
        found = await self.call("Page.captureScreenshot", format=kind, quality=80)
        return base64.b64decode(found["data"])


def _place_of(text: str, selector: str) -> str:
    """Return the script that finds the centre of an element, once it is in the window."""
    return f"""(() => {{
      const shown = [...document.querySelectorAll({json.dumps(selector)})].find((one) =>
        one.innerText.includes({json.dumps(text)}) && one.checkVisibility() && !one.disabled);
      if (!shown) return null;
      shown.scrollIntoView({{block: "center", behavior: "instant"}});
      const place = shown.getBoundingClientRect();
      return [place.x + place.width / 2, place.y + place.height / 2];
    }})()"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """Start a browser without a window. Raises LookupError if none is installed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *command_line(profile),
            "--remote-debugging-port=0",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(await _address(Path(profile)), max_size=_MOST_BYTES) as socket:
                browser = Chromium(socket)
                reading = asyncio.ensure_future(browser.read())
                yield browser
            await reading
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), _ENDS_WITHIN_S)


async def _address(profile: Path) -> str:
    """Return where the browser listens, once it does."""
    file = profile / "DevToolsActivePort"
    deadline_s = time.monotonic() + WITHIN_S
    while not (file.exists() and file.read_text().count("\n")):
        if time.monotonic() > deadline_s:
            raise TimeoutError("the browser does not listen")
        await asyncio.sleep(_LOOK_AGAIN_S)
    port, path = file.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"
