# SPDX-License-Identifier: Apache-2.0
"""Training: settings, schedule, objective, loop, logs, checkpoints; see each module."""

from .batch_norm import freeze, recalibrate
from .schedule import learning_rate_factor
from .signals import Stopped
from .trainer import Trainer

__all__ = ["Stopped", "Trainer", "freeze", "learning_rate_factor", "recalibrate"]
