"""Fixtures that every test sees."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache folder of the tests' own: they neither use nor fill the user's."""
    previous = os.environ.get("YT8M_CACHE")
    os.environ["YT8M_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if previous is None:
        del os.environ["YT8M_CACHE"]
    else:
        os.environ["YT8M_CACHE"] = previous
