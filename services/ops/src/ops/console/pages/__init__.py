"""The pages of the console, a module a section."""

from ops.console.pages import (
    access,
    charges,
    dead_letters,
    identity_checks,
    lab,
    models,
    now,
    partners,
    payments,
    reconciliation,
    reviews,
    system,
)

SECTIONS = (
    now.SECTION,
    payments.SECTION,
    charges.SECTION,
    dead_letters.SECTION,
    reconciliation.SECTION,
    reviews.SECTION,
    identity_checks.SECTION,
    models.SECTION,
    partners.SECTION,
    access.SECTION,
    system.SECTION,
    lab.SECTION,
)
"""In the order of the navigation."""
