"""A function over items, in this process or in several; an item that kills its process is reported, and the others go on."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import threading

_MAX_THREADS = 8


def results(function, items, num_workers, of_killed):
    """Yields (item, function(item)) in the order in which they are done.

    Args:
        function: picklable if there are several processes.
        items: a list, picklable too.
        num_workers: processes; 1: this one.
        of_killed: function of an item whose process died, for its result.

    Raises:
        what function raises; the processes are ended then.
    """
    if num_workers == 1:
        yield from ((item, function(item)) for item in items)
        return
    waiting, suspects = list(reversed(items)), []
    while waiting or suspects:
        alone, killed = bool(suspects), []  # when a process has died, each item that was in work gets one to itself
        yield from _pooled(function, [suspects.pop()] if alone else waiting, 1 if alone else num_workers, killed)
        if alone and killed:
            yield killed[0], of_killed(killed[0])
        else:
            suspects += killed


def _pooled(function, items, num_workers, killed):
    """Yields results of a pool and takes from the end of `items`; what was in work when a process died goes to `killed`."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    pool = concurrent.futures.ProcessPoolExecutor(num_workers, context, initializer=_start, initargs=(function,))
    working = {}
    try:
        while working or (items and not killed):
            while items and len(working) < num_workers and not killed:
                item = items.pop()
                try:
                    working[pool.submit(_call, item)] = item
                except concurrent.futures.process.BrokenProcessPool:  # while the caller was busy with a result
                    items.append(item)
                    break
            if not working:
                return  # a new pool takes the other items
            done, _ = concurrent.futures.wait(working, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                item = working.pop(future)
                try:
                    result = future.result()
                except concurrent.futures.process.BrokenProcessPool:
                    killed.append(item)
                else:
                    yield item, result
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


_function = None  # of a worker process


def _start(function):
    """Prepares a worker process, which ends when its parent does, however that ends."""
    global _function
    _function = function
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _call(item):
    return _function(item)


def threads_of(num_workers):
    """Threads for each of so many processes."""
    cores = os.cpu_count() or 1
    with contextlib.suppress(AttributeError):
        cores = len(os.sched_getaffinity(0))
    return max(1, min(_MAX_THREADS, cores // num_workers))
