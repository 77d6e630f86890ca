"""Fixtures that every test sees."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache folder and a state folder of the tests' own: they neither use nor fill the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("YT8M_CACHE", str(tmp_path_factory.mktemp("cache")))
        environment.setenv("YT8M_STATE", str(tmp_path_factory.mktemp("state")))
        yield
