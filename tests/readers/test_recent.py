"""What was made last stays; what is made is made once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from yt8m.readers.recent import RecentlyUsed


def test_only_the_last_stay():
    values = RecentlyUsed(lambda key: [key], 2)
    first = values.get("a")
    values.get("b")
    assert values.get("a") is first
    values.get("c")
    assert values.get("a") is first and values.keys() == ["c", "a"]
    values.clear()
    assert values.get("a") is not first


def test_sizes_count_and_the_last_value_always_stays():
    values = RecentlyUsed(lambda key: key, 10, len)
    for key in ("aaaa", "bbbb", "cc", "d"):
        values.get(key)
    assert values.keys() == ["bbbb", "cc", "d"]
    values.get("e" * 20)
    assert values.keys() == ["e" * 20]


def test_a_value_is_made_once_and_nobody_waits_for_another():
    begun, go, made = threading.Event(), threading.Event(), []

    def make(key):
        made.append(key)
        if key == "slow":
            begun.set()
            assert go.wait(10)
        return [key]

    values = RecentlyUsed(make, 5)
    with ThreadPoolExecutor(3) as threads:
        slow = [threads.submit(values.get, "slow") for _ in range(2)]
        assert begun.wait(10)
        assert values.get("quick") == ["quick"]
        go.set()
        assert slow[0].result() is slow[1].result()
    assert sorted(made) == ["quick", "slow"]


def test_an_error_is_raised_and_not_kept():
    made = []

    def make(key):
        made.append(key)
        if len(made) == 1:
            raise ValueError(key)
        return key

    values = RecentlyUsed(make, 5)
    with pytest.raises(ValueError, match="a"):
        values.get("a")
    assert values.get("a") == "a"
