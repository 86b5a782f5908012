"""What pages are held to: WCAG 2.2 AA as far as axe-core finds it, and no scrolling sideways."""

import json

from local_stack.layout import CHECKOUT
from testkit.chromium import Tab

_AXE = CHECKOUT / "clients/wallet/node_modules/axe-core/axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_FIND = f"""
axe.run({json.dumps({"runOnly": _RULES, "resultTypes": ["violations"]})})
   .then((found) => found.violations.flatMap((one) => one.nodes.map((node) =>
     `${{one.id}}: ${{one.help}}: ${{node.target.join(" ")}}: ${{node.html.slice(0, 160)}}`)))
"""
_DRAWN = "new Promise((done) => requestAnimationFrame(done))"


async def faults_of_view(tab: Tab, *, width: int, dark: bool) -> list[str]:
    """Return what is wrong with an open page, at a width of the window in CSS pixels."""
    if not await tab.evaluate("Boolean(window.axe)"):
        await tab.evaluate(_AXE.read_text() + ";0")
    await tab.look(width=width, dark=dark)
    await tab.evaluate(_DRAWN)
    # A phone's window grows with what is too wide for it: innerWidth would hide it.
    too_wide = await tab.evaluate("document.documentElement.scrollWidth") - width
    found: list[str] = await tab.evaluate(_FIND)
    return found + [f"{too_wide} px too wide"] * (too_wide > 0)
