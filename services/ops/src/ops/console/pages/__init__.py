"""The pages of the console, a module a section."""

from ops.console.pages import dead_letters, lab, now, payments

SECTIONS = (now.SECTION, payments.SECTION, dead_letters.SECTION, lab.SECTION)
"""In the order of the navigation."""
