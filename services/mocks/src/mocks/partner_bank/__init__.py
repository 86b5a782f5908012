"""Partner banks that keep a durable book of what they booked."""
