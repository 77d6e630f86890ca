"""What was made last stays at hand."""

import threading
from collections import OrderedDict
from concurrent.futures import Future


class RecentlyUsed:
    """The values of the keys that were asked for last. Threads that want the same one wait for one making of it; those that want
    another do not wait.

    Args:
        make: function of a key that makes its value.
        most: the sum of the sizes of what is kept; the last value is kept whatever its size.
        size: function of a value; 1 for each unless given.
    """

    def __init__(self, make, most, size=lambda value: 1):
        self._make, self._most, self._size = make, most, size
        self._values, self._sizes, self._lock = OrderedDict(), {}, threading.Lock()

    def get(self, key):
        """The value of a key; raises what its making raises."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            else:
                mine = self._values[key] = Future()
        return value.result() if value is not None else self._made(key, mine)

    def keys(self):
        """The keys of what is kept, the last one asked for at the end."""
        with self._lock:
            return list(self._values)

    def clear(self):
        """Keeps nothing of what there is."""
        with self._lock:
            self._values.clear()
            self._sizes.clear()

    def _made(self, key, future):
        try:
            value = self._make(key)
        except BaseException as error:
            with self._lock:
                self._values.pop(key, None)
            future.set_exception(error)
            raise
        with self._lock:
            if self._values.get(key) is future:
                self._sizes[key] = self._size(value)
            total = sum(self._sizes.values())
            for old in [other for other in self._values if other != key and other in self._sizes]:
                if total <= self._most:
                    break
                total -= self._sizes.pop(old)
                del self._values[old]
        future.set_result(value)
        return value
