"""The compliance service: rules over payments."""
