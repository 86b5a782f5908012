"""Start screening: `python -m screening`."""

from screening.app import build
from screening.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
