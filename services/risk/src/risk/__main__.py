"""Start risk: `python -m risk`."""

from risk.app import build
from risk.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
