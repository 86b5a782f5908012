"""Start otp: `python -m otp`."""

from otp.app import build
from otp.settings import Settings
from service_runtime.process import main

if __name__ == "__main__":
    main(Settings, build)
