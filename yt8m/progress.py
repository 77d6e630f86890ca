"""How far long work is and how long it takes yet, on standard error: one line on a terminal, plain lines in a log.

Nothing is shown of what is quick, nor of work within work that is shown already.
"""

import sys
import threading
import time

QUIET_SECONDS = 2.0  # what takes less is quick
LOG_SECONDS = 10.0  # between two lines of a log
_TERMINAL_SECONDS = 0.1  # between two states on a terminal
_shown = threading.Lock()  # held by the outermost work


class Progress:
    """A context manager around long work, which calls advance() with what is done.

    Args:
        what: the work, e.g. "Counting the rows".
        total: how much there is to do; None: that is not known.
        unit: what is counted, e.g. "shards"; None: only the share that is done is shown, and the note.
        shown: False: nothing is said.
    """

    def __init__(self, what, total=None, unit=None, shown=True):
        self.what, self.total, self.unit, self._may_show = what, total, unit, shown
        self._done, self._note, self._bar, self._timer, self._last = 0, "", None, None, None
        self._lock = threading.RLock()  # advance() is called on threads, too

    def __enter__(self):
        self._start = time.monotonic()
        if self._may_show and _shown.acquire(blocking=False):
            self._timer = threading.Timer(QUIET_SECONDS, self._begin)
            self._timer.daemon = True
            self._timer.start()
        return self

    def advance(self, amount=1, note=""):
        """Counts what is done; the note says more about it, e.g. "1,000 segments"."""
        with self._lock:
            self._done, self._note = self._done + amount, note or self._note
            if self._last is None:  # quick so far
                return
            now = time.monotonic()
            if now - self._last >= (LOG_SECONDS if self._bar is None else _TERMINAL_SECONDS):
                self._last = now
                self._say(self.state(now - self._start))

    def finish(self):
        """Nothing is shown any more."""
        with self._lock:
            if self._timer is None:
                return
            self._timer.cancel()
            self._timer = self._last = None
            if self._bar is not None:
                self._bar.stop()
            _shown.release()

    def __exit__(self, kind, *error):
        seconds = time.monotonic() - self._start
        if kind is None and self._last is not None and self._bar is None and seconds >= LOG_SECONDS:
            self._say(f"{self._amount()} in {duration(seconds)}")
        self.finish()

    def state(self, seconds):
        """What is done after so many seconds, and how long the rest takes at that pace."""
        if not self.total or not 0 < self._done < self.total:
            return self._amount()
        return f"{self._amount()}, {duration(seconds / self._done * (self.total - self._done))} left"

    def _amount(self):
        parts = [self._note] if self._note else []
        if self.unit is not None:
            parts.insert(0, f"{self._done:,}{'' if self.total is None else f' of {self.total:,}'} {self.unit}")
        elif self.total:
            parts.insert(0, f"{self._done / self.total:.0%}")
        return ", ".join(parts)

    def _begin(self):
        """Shows the line for the first time: the work is not quick."""
        with self._lock:
            if self._timer is None:
                return
            if sys.stderr.isatty():
                self._bar = _bar(self.what, self.total)
            self._last = time.monotonic()
            self._say(self.state(self._last - self._start))

    def _say(self, state):
        if self._bar is None:
            print(f"{self.what}: {state}", file=sys.stderr, flush=True)
        else:
            self._bar.update(self._bar.task_ids[0], completed=self._done, state=state)


def _bar(what, total):
    """A rich.progress.Progress of one task, started."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}")
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False)
    bar.add_task(what, total=total, state="")
    bar.start()
    return bar


def track(items, what, unit=None, total=None):
    """Passes items on, and shows how many are done; total: how many there are, of a sequence None."""
    with Progress(what, len(items) if total is None else total, unit) as progress:
        for item in items:
            yield item
            progress.advance()


def duration(seconds):
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
