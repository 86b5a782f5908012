"""Start the mock: `python -m mocks.model`."""

from mocks.model.app import create
from mocks.settings import ModelSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(ModelSettings, create)
