"""Fixtures that every test sees."""

import ctypes
import gc
import os
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache folder and a state folder of the tests' own: they neither use nor fill the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("YT8M_CACHE", str(tmp_path_factory.mktemp("cache")))
        environment.setenv("YT8M_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module", autouse=True)
def memory():
    """After a module's tests its models, compiled functions and open shards go, and the memory back to the system."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    if "yt8m.readers.index" in sys.modules:
        index = sys.modules["yt8m.readers.index"]
        index._LOCAL._shards.clear()
        index._REMOTE._shards.clear()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
