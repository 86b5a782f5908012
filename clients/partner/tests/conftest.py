"""The kit is no package of the workspace: its tests import it from its folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
