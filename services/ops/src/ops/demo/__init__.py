"""`python -m ops.demo`: real payments through the running system, and what became of them."""
