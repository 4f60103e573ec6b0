"""Answers that never reach the client, though the CA has done what was asked."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Collection


class Losses:
    """Which answers are lost; chance is seeded, so that a schedule can be had again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: frozenset[str] = frozenset()
        self._probability = 0.0
        self._dice = random.Random()
        self.count: Counter[str] = Counter()

    def schedule(self, places: Collection[str], probability: float, seed: int) -> None:
        """Lose the answers of these resources from now on, each with the same probability."""
        with self._lock:
            self._places = frozenset(places)
            self._probability = probability
            self._dice.seed(seed)
            self.count.clear()

    def take(self, place: str) -> bool:
        """Decide about one answer."""
        with self._lock:
            lost = place in self._places and self._dice.random() < self._probability
            if lost:
                self.count[place] += 1
            return lost
