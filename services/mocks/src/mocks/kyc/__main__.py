"""Start the mock: `python -m mocks.kyc`."""

from mocks.kyc.app import create
from mocks.settings import KycSettings
from service_runtime.process import main

if __name__ == "__main__":
    main(KycSettings, create)
