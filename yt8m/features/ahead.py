"""Values that a thread makes ahead of who takes them: files are decoded while the network computes."""

import contextlib
import queue
import threading

_POLL, _PATIENCE = 0.1, 10.0  # seconds: between looks whether to stop; that a thread is given to stop
_END = object()


class _Stopped(BaseException):
    """Ends a thread whose values nobody takes any more; no `except Exception` holds it up."""


def made_ahead(make, size):
    """Yields what make(put) puts. It runs in a thread, at most `size` values ahead; what it raises is raised here, behind them.

    Close the generator (contextlib.closing) to end the thread early: it ends at its next put, also on an error or Ctrl-C here.

    Args:
        make: function of `put`, a function of a value.
        size: values that wait at most, but for the one that is being put.
    """
    waiting, stopped = queue.Queue(size), threading.Event()

    def put(value, error=None):
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((value, error), timeout=_POLL)
                return
        raise _Stopped

    def run():
        with contextlib.suppress(_Stopped):
            try:
                make(put)
            except Exception as error:
                put(_END, error)
            else:
                put(_END)

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            value, error = waiting.get()
            if error:
                raise error
            if value is _END:
                return
            yield value
    finally:
        stopped.set()
        thread.join(_PATIENCE)
