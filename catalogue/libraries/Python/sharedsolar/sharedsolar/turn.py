"""Of all the processes that hold a copy of a meter, one counts: the one that began last.

iottalk-py reads this device's code in one process and calls its functions in another, a fork with a
copy of all that was read; threads are not copied, and a lock that one of them held stays locked.
So the meter counts in the first process, also while no server answers, until the second one calls
it. Two devices started in one folder would both write its state: here the older one stops.
"""

import contextlib
import os
import threading

try:
    import fcntl
except ImportError:  # Windows, where copies are made anew and locks of files are others
    fcntl = None


class Turn:
    """A lock among the threads and processes of one folder, and whose turn it is.

    ``began`` is called, with the lock held, where a process takes the turn; it is called once in
    each process that asks for it.
    """

    def __init__(self, path, began):
        self._path = path
        self._began = began
        self._open = None
        self._forked()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self):
        # Whoever held the old lock is not in this process.
        self._lock = threading.RLock()
        self._name = None
        self._depth = 0
        if self._open is not None:
            # Ours is a copy, which would keep the file locked for ever.
            self._open.close()
            self._open = None

    @contextlib.contextmanager
    def held(self):
        """Hold the lock; gives whether it is (still) this process's turn. Takes the first one."""
        with self._lock, self._file():
            if self._name is None:
                self._name = os.urandom(8).hex()
                self._write(self._name)
                self._began()
            yield self._read() == self._name

    @contextlib.contextmanager
    def _file(self):
        if self._depth or fcntl is None:
            yield
            return
        with open(self._path, "a+b") as file:
            self._open = file
            fcntl.flock(file, fcntl.LOCK_EX)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                self._open = None
                fcntl.flock(file, fcntl.LOCK_UN)  # a copy in a fork may still be open

    def _write(self, name):
        with open(self._path, "wb") as file:
            file.write(name.encode())

    def _read(self):
        with open(self._path, "rb") as file:
            return file.read().decode()
