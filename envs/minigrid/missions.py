"""Missions: what the agent is told, as a sentence with gaps.

A level knows its mission's number (`body[MISSION]`); the sentence is made from it. With the gaps' words w_1, w_2, ...
chosen from lists of n_1, n_2, ... words, the number is (i_1 * n_2 + i_2) * n_3 + i_3 and so on; generators write it.
"""

from functools import cached_property
from itertools import product
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.cells import COLOURS

# Words for gaps. Colours stand in the order of their numbers.
COLOUR_WORDS = COLOURS
KEY_BALL, KEY_BALL_BOX = ("key", "ball"), ("key", "ball", "box")


class Missions:
    """All sentences that a family may say, by number.

    template: a sentence with {} where a word is chosen; words: for each gap the words that may stand there.
    """

    def __init__(self, template: str, *words: tuple[str, ...]) -> None:
        self.template = template
        self.words = words
        self.texts = tuple(template.format(*chosen) for chosen in product(*words))

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word that may be said, in alphabetical order."""
        return tuple(sorted({word for text in self.texts for word in text.split()}))

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """(missions, L): each sentence as its words' places in the vocabulary, the first being 1; 0 after its end.

        L: words of the longest sentence.
        """
        number = {word: 1 + i for i, word in enumerate(self.vocabulary)}
        rows = [[number[word] for word in text.split()] for text in self.texts]
        table = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        for row, words in zip(table, rows, strict=True):
            row[: len(words)] = words
        table.flags.writeable = False
        return table


class MissionSpace(gym.Space[str]):
    """The space of a family's mission sentences."""

    def __init__(self, texts: tuple[str, ...], seed: Any = None) -> None:
        self.texts = texts
        super().__init__(shape=None, dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Sentences are no array."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A sentence, each as likely as any other."""
        return self.texts[int(self.np_random.integers(len(self.texts)))]

    def contains(self, x: Any) -> bool:
        """Whether `x` is one of the sentences."""
        return isinstance(x, str) and x in self.texts

    def __deepcopy__(self, memo: dict[int, Any]) -> "MissionSpace":
        """A space of the same sentences; a batch has one for each environment, and they share the sentences."""
        twin = MissionSpace(self.texts)
        if self._np_random is not None:
            twin._np_random = type(self._np_random)(type(self._np_random.bit_generator)())
            twin._np_random.bit_generator.state = self._np_random.bit_generator.state
        return twin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MissionSpace) and self.texts == other.texts

    def __hash__(self) -> int:
        return hash(self.texts)

    def __repr__(self) -> str:
        return f"MissionSpace({len(self.texts)} sentences such as {self.texts[0]!r})"
