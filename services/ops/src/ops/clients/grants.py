"""How a client of identity gets tokens: the grants that its registration names."""

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def grants_of(*, has_redirect: bool, is_device: bool) -> list[str]:
    """Return the grants that a client's options name: a machine's where it signs nobody in."""
    named = ["authorization_code"] * has_redirect + [DEVICE_GRANT] * is_device
    return named or ["client_credentials"]
