"""Names, lists and verdicts. Pure: lists come in as bytes, and nothing here knows a clock."""
