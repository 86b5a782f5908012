"""How Prometheus asks the services by TLS."""

from collections.abc import Callable
from typing import Any

from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.credentials import SCRAPER


def scrape_by_tls(settings: dict[str, Any], path_of: Callable[[str], str]) -> None:
    """Change the settings of Prometheus: it shows its certificate, and verifies each service's."""
    own = path_of(certificate_name(SCRAPER))
    for job in settings["scrape_configs"]:
        if job["job_name"] == "services":
            job["scheme"] = "https"
            job["tls_config"] = {"ca_file": path_of(AUTHORITY), "cert_file": own, "key_file": own}
