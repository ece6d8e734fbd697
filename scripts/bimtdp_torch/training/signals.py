# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM end a run after the step in progress, with its state saved."""

from __future__ import annotations

import signal
import threading
from typing import Any, Dict, Optional


class Stopped(Exception):
    """The run was ended by a signal; it resumes when it is started again."""

    def __init__(self, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name}; run the same command again to resume")
        self.exit_code = 128 + signum  # as of a process that the signal killed: 130 for SIGINT, 143 for SIGTERM


class StopSignal:
    """Context in which the first SIGINT or SIGTERM is only noted; a second one acts as usual."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: Optional[int] = None
        self._previous: Dict[int, Any] = {}

    def _note(self, signum: int, frame: Any) -> None:
        self.received = signum
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            self._previous = {signum: signal.signal(signum, self._note) for signum in self.SIGNALS}
        return self

    def __exit__(self, *exception: Any) -> None:
        self._restore()

    def check(self) -> None:
        """Raises ``Stopped`` if a signal came."""
        if self.received is not None:
            raise Stopped(self.received)
