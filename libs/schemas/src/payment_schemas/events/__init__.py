"""Versioned events. Every class names its topic, its emitter and its readers."""
