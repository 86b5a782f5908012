"""What sample does with the lines of a file."""

from collections.abc import Sequence

from sample.domain import Row, read_line
from sample.store import Lines
from service_runtime.imports import Line
from service_runtime.messages import ProducerRecord
from service_runtime.postgres import PostgresTransaction


async def import_lines(lines: Sequence[Line], tx: PostgresTransaction) -> Sequence[ProducerRecord]:
    """Keep each line as a row or as a refusal, in the commit that moves the cursor."""
    read = [(line, read_line(line.content)) for line in lines]
    await Lines(tx).add_rows([(line, row) for line, row in read if isinstance(row, Row)])
    await Lines(tx).add_refusals([(line, no) for line, no in read if not isinstance(no, Row)])
    return ()
