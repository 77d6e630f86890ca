"""Fixtures that every test sees."""

import ctypes
import gc
import os
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow's allocator on a CPU keeps what it once had; the system's gives back what a test no longer needs.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
# Threads of scikit-learn's trees sleep while they wait: spinning beside the other worker makes seconds of milliseconds.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_collection_finish():
    """What the modules' imports left, half a million objects, is looked through in no later collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache folder and a state folder of the tests' own: they neither use nor fill the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("YT8M_CACHE", str(tmp_path_factory.mktemp("cache")))
        environment.setenv("YT8M_STATE", str(tmp_path_factory.mktemp("state")))
        environment.setenv("YT8M_PRECISION", "float32")  # whatever the CPU that tests run on multiplies faster
        yield


@pytest.fixture(scope="module", autouse=True)
def module_memory():
    """After a module's tests its models, compiled functions and open shards go."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    if "yt8m.readers.index" in sys.modules:
        index = sys.modules["yt8m.readers.index"]
        index._LOCAL.clear()
        index._REMOTE.clear()
    give_back()


@pytest.fixture(autouse=True)
def memory():
    """After a test that left much, what nobody needs goes: models are cycles of few objects, which Python does not look for."""
    before = resident()
    yield
    if resident() > before + MUCH:
        give_back()


@pytest.fixture
def no_random_weights(monkeypatch):
    """Weights begin as zeros, for tests that only count them: drawing a hundred million takes seconds."""
    from keras.src.initializers import random_initializers

    def zeros(shape, *args, dtype=None, **kwargs):
        return sys.modules["keras"].ops.zeros(shape, dtype=dtype)

    for name in ("normal", "truncated_normal", "uniform"):
        monkeypatch.setattr(random_initializers.random, name, zeros)


MUCH = 50 << 20  # bytes


def resident():
    """Bytes of this process in memory; 0 where that is not known."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def give_back():
    """Gives memory that nobody needs back to the system."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
