"""Extracts files in this process or in several; a file that kills its process fails alone."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import threading

from yt8m.errors import UserError
from yt8m.features import backbones, parts
from yt8m.features.decode import Unusable
from yt8m.features.extraction import Skipped, extract

FAILED, SKIPPED = "failed", "skipped"
_MAX_THREADS = 8


class Extractor:
    """Makes the part of a file; picklable, it builds its backbone where it is called.

    Args:
        folder: of the features.
        backbone, weights_dir: as backbones.build's.
        settings: extraction.Settings.
        fingerprint: of the backbone.
        threads: that decode.
        built: the Backbone, if there is one already; it stays in this process.
    """

    def __init__(self, folder, backbone, weights_dir, settings, fingerprint, threads, built=None):
        self.folder, self.backbone, self.weights_dir = folder, backbone, weights_dir
        self.settings, self.fingerprint, self.threads, self._built = settings, fingerprint, threads, built

    def __getstate__(self):
        return {**self.__dict__, "_built": None}

    def __call__(self, item):
        """Facts of an Item whose part has been written, or (FAILED or SKIPPED, reason).

        Raises:
            UserError: the part cannot be written.
        """
        if self._built is None:
            self._built = backbones.build(self.backbone, self.weights_dir)
        try:
            source = parts.source_of(item.path, self.settings, self.fingerprint)
            frames, facts = extract(item.path, self._built, self.settings, self.threads)
        except Skipped as reason:
            return SKIPPED, str(reason)
        except Unusable as reason:
            return FAILED, str(reason)
        except FileNotFoundError:
            return FAILED, "is not there"
        except Exception as error:  # of FFmpeg, of the backbone, of memory: one bad file never ends a run
            return FAILED, " ".join(f"{type(error).__name__}: {error}".split())[:300]
        parts.save(self.folder, item.id, frames, facts, source)
        return facts


def results(extractor, items, num_workers):
    """Yields (Item, what the Extractor returns) in the order in which they are done."""
    if num_workers == 1:
        yield from ((item, extractor(item)) for item in items)
        return
    waiting, suspects = list(reversed(items)), []
    while waiting or suspects:
        alone = bool(suspects)  # after a process died, each file that was in work gets one to itself
        source = [suspects.pop()] if alone else waiting
        killed = []
        yield from _pooled(extractor, source, 1 if alone else num_workers, killed)
        if alone and killed:
            yield killed[0], (FAILED, "ended the process that decoded it (damaged, or too large for the memory)")
        elif killed:
            suspects += killed


def _pooled(extractor, items, num_workers, killed):
    """Yields results of a pool and takes from the end of `items`; what was in work when a process died goes to `killed`."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    pool = concurrent.futures.ProcessPoolExecutor(num_workers, context, initializer=_start, initargs=(extractor,))
    working = {}
    try:
        while items or working:
            while items and len(working) < num_workers and not killed:
                item = items.pop()
                working[pool.submit(_call, item)] = item
            done, _ = concurrent.futures.wait(working, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                item = working.pop(future)
                try:
                    result = future.result()
                except concurrent.futures.process.BrokenProcessPool:
                    killed.append(item)
                else:
                    yield item, result
            if killed and not working:
                return
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


_extractor = None  # of a worker process


def _start(extractor):
    """Prepares a worker process, which ends when its parent does, however that ends."""
    global _extractor
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _extractor = extractor
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _call(item):
    return _extractor(item)


def threads_of(num_workers):
    """Threads that decode pictures, in each of so many processes."""
    cores = os.cpu_count() or 1
    with contextlib.suppress(AttributeError):
        cores = len(os.sched_getaffinity(0))
    return max(1, min(_MAX_THREADS, cores // num_workers))


def check_workers(num_workers):
    """Raises a UserError for a number of processes below 1."""
    if num_workers < 1:
        raise UserError(f"--num_workers={num_workers}: must be above 0.")
