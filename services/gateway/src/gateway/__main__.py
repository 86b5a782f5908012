"""Start the gateway: `python -m gateway`."""

from gateway.app import build
from gateway.settings import Settings
from service_runtime.process import run
from service_runtime.settings import load

if __name__ == "__main__":
    settings = load(Settings)
    run(build(settings), settings)
