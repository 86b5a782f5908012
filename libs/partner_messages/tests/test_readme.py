"""The example of the README runs."""

import re
from pathlib import Path

from testkit.partners import KEYS, NOON, OURS, UETR, report

README = Path(__file__).parent.parent / "README.md"


def test_the_example_signs_and_verifies_a_report_as_the_readme_says():
    given = {"report": report(), "event_id": UETR, "now": NOON, "bank_key": OURS, "bank_keys": KEYS}
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), given)  # noqa: S102 - the repository's own text
