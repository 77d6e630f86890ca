"""How a training is stopped from outside: SIGTERM or Ctrl-C saves and ends it, a second one ends it at once."""

import os
import signal
import socket
import sys
import threading
import time

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_ONE_PRESS = 0.5  # seconds within which two signals count as one: a terminal and a wrapper may both pass it on
_last, _anew = None, False


def stopped_by():
    """Number of the signal that the last training of this process heard, or None."""
    return _last


def begins_anew(anew):
    """Notes whether this process' command has --start_new_model, which would not go on from what it has saved."""
    global _anew
    _anew = anew


def how_to_go_on():
    """The sentence that tells how a stopped training goes on."""
    return f"The same command{' without --start_new_model' * _anew} goes on from there."


def forget():
    """Forgets what an earlier training heard: another begins, be it one that has no step left."""
    global _last
    _last = None


def stops_after(what):
    """Whether the last training heard a signal, too late to cut it short; then says that the run stops behind it.

    Args:
        what: the training in words, after which others are to come.
    """
    if _last:
        print(f"Stopped by {NAMES[_last]} after {what}, which is saved. {how_to_go_on()}", flush=True)
    return bool(_last)


class StopOnSignal:
    """Context manager: a first SIGTERM or SIGINT asks the loop to save and stop, a second one ends the process at once.

    Python's own handlers wait until TensorFlow has done its steps. So a thread, which the operating system's handler wakes
    (signal.set_wakeup_fd), says that the signal was heard, and ends the process at the second. In an interactive session,
    which must go on, the second raises KeyboardInterrupt when the steps are done. Outside of the main thread signals are not
    looked at.

    Attributes:
        asked: number of the first signal, or 0.
    """

    def __enter__(self):
        global _last
        _last, self.asked, self._heard, self._when = None, 0, 0, 0.0
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        if self._in_main_thread:
            self._previous = {number: signal.signal(number, self._ask) for number in NAMES}
            self._reader, self._writer = socket.socketpair()
            self._writer.setblocking(False)
            self._earlier = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error):
        if not self._in_main_thread:
            return
        signal.set_wakeup_fd(self._earlier)
        self._writer.close()  # the thread ends with it
        self._thread.join()
        self._reader.close()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def take(self, number):
        """Notes what several hosts agreed on, the number of a signal that any of them heard, or 0."""
        global _last
        if number:
            _last = self.asked = number

    def _ask(self, number, frame):
        global _last
        if not self.asked:
            _last = self.asked = number
        elif hasattr(sys, "ps1"):
            raise KeyboardInterrupt

    def _listen(self):
        for number in iter(lambda: int.from_bytes(self._reader.recv(1), "big"), 0):
            if number not in NAMES or time.monotonic() - self._when < _ONE_PRESS:
                continue
            if self._heard and not hasattr(sys, "ps1"):
                print(f"{NAMES[number]} again: stopped at once.", flush=True)
                os._exit(128 + number)
            if not self._heard:
                print(f"{NAMES[number]}: saving, then stopping. Once more stops at once.", flush=True)
            self._heard, self._when = number, time.monotonic()
