"""The console: server-rendered pages for operators, beside the command. It keeps sessions alone."""
