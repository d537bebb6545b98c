"""The sample agency and its day."""
