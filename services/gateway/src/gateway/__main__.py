"""Start gateway: `python -m gateway`."""

from gateway.app import build
from gateway.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
