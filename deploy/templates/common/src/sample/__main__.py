"""Start sample: `python -m sample`."""

from sample.app import build
from sample.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
