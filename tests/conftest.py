"""Settings of the property-based tests: few examples, the same ones each time."""

from hypothesis import settings

settings.register_profile("tms", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile("tms")
