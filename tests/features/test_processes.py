"""Items over processes: all results come, an item that kills its process is named, an error ends the processes."""

import multiprocessing
import time

import pytest

from tests.features.stubs import fail_three, kill_three
from yt8m.features.processes import results, threads_of


def killed(item):
    return f"{item} killed"


def test_in_this_process():
    assert list(results(abs, [-1, 2], 1, killed)) == [(-1, 1), (2, 2)]


def test_an_item_that_kills_its_process_fails_alone():
    before = multiprocessing.active_children()
    assert dict(results(kill_three, [1, 2, 3, 4, 5], 2, killed)) == {1: 2, 2: 4, 3: "3 killed", 4: 8, 5: 10}
    assert multiprocessing.active_children() == before


def test_a_process_may_die_while_a_result_is_handled():
    before, done = multiprocessing.active_children(), {}
    for item, result in results(kill_three, [1, 3, 5, 7], 2, killed):
        until = time.monotonic() + 20
        while not done and multiprocessing.active_children() != before and time.monotonic() < until:
            time.sleep(0.01)
        done[item] = result
    assert done == {1: 2, 3: "3 killed", 5: 10, 7: 14}


def test_an_error_ends_the_processes():
    before = multiprocessing.active_children()
    with pytest.raises(ValueError, match="three"):
        list(results(fail_three, [3, 4], 2, killed))
    for process in set(multiprocessing.active_children()) - set(before):
        process.join(60)
        assert not process.is_alive()


def test_threads_are_shared():
    assert threads_of(10_000) == 1 and 1 <= threads_of(1) <= 8
