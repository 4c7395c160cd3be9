"""Settings of all tests."""

import sys

from hypothesis import settings

# Property-based tests: few examples, the same ones each time.
settings.register_profile("tms", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile("tms")


def pytest_collection_finish() -> None:
    """One thread each: the tensors are small, and where cores are shared, threads wait for each other."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
