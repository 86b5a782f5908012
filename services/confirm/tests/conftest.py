"""What confirm's tests share: its tables, in memory and in PostgreSQL."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
