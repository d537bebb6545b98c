"""A sample agency that works one day: every part real, nothing staged but the clock."""
