"""Blackjack against a dealer who must draw to 17, from a deck so large that every card is as likely as at first.

A state is the player's sum (12 to 21), the card that the dealer shows (ace = 1 to 10) and whether the player holds a
usable ace, one that counts 11: 200 states, as in the book. Below 12 a card can't hurt, so the deal goes on until then.
Actions: 0 sticks, 1 hits. Going bust loses; the dealer hits until 17 or more, and the higher sum wins. Winning pays 1,
a draw 0, losing -1, undiscounted.

A natural (an ace and a ten-card dealt) wins at once unless the dealer has one too. What sticking on 21 pays so depends
on how the 21 came about: ten more states, one a dealer's card, hold the naturals. Three more are the ends.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Example 5.1. In law this is
Gymnasium's `Blackjack-v1` with `sab=True`, whose player is asked below 12 as well, and hits there.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell, Place
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.outcomes import Outcomes, mdp_from_outcomes
from rltk.mdp import MDP

STICK, HIT = 0, 1
ACTIONS = ("stick", "hit")
CARDS = range(1, 11)
CHANCE = {card: (4 if card == 10 else 1) / 13 for card in CARDS}
LOWEST, HIGHEST, DEALER_STANDS = 12, 21, 17
SUMS = range(LOWEST, HIGHEST + 1)
_BUST = -1
NATURAL = 2 * len(SUMS) * len(CARDS)  # the first of the ten
LOST, DRAWN, WON = NATURAL + len(CARDS) + np.arange(3)
N_STATES = int(WON) + 1
ENDS = ("lost", "drawn", "won")


def state_of(player: int, dealer: int, usable_ace: bool) -> int:
    """The state's number, of what Gymnasium's Blackjack observes; player from 12 to 21."""
    return (int(usable_ace) * len(SUMS) + player - LOWEST) * len(CARDS) + dealer - 1


def label_of(state: int) -> Any:
    """(player, dealer, usable ace), ("natural", dealer), or "lost", "drawn" or "won"."""
    if state >= LOST:
        return ENDS[state - int(LOST)]
    kind, card = divmod(state, len(CARDS))
    if state >= NATURAL:
        return "natural", card + 1
    return LOWEST + kind % len(SUMS), card + 1, kind >= len(SUMS)


def blackjack_mdp() -> MDP:
    """The MDP: 213 states, 2 actions."""
    groups = []
    for dealer in CARDS:
        for player in SUMS:
            for usable in (False, True):
                state = state_of(player, dealer, usable)
                groups += [_hit(state, player, dealer, usable), _stick(state, _against(player, dealer))]
        natural, draw = NATURAL + dealer - 1, _dealers_natural(dealer)
        groups += [_hit(natural, HIGHEST, dealer, True), _stick(natural, (0.0, draw, 1.0 - draw))]
    return mdp_from_outcomes(
        N_STATES,
        len(ACTIONS),
        groups,
        start=_deal(),
        final=[int(LOST), int(DRAWN), int(WON)],
        success=[int(WON)],
        state_labels=label_of,
        action_labels=ACTIONS.__getitem__,
    )


def _best(hard: int, ace: bool) -> tuple[int, bool]:
    """(sum, whether an ace is usable) of a hand with the sum `hard` where aces count 1."""
    usable = ace and hard + 10 <= HIGHEST
    return (hard + 10 if usable else hard), usable


def _hit(state: int, player: int, dealer: int, usable: bool) -> Outcomes:
    """What follows a hit: a card each."""
    entered = []
    for card in CARDS:
        total, still = _best(player - 10 * usable + card, usable or card == 1)
        entered.append(int(LOST) if total > HIGHEST else state_of(total, dealer, still))
    after = np.array(entered)
    return Outcomes(state, HIT, after, np.array(list(CHANCE.values())), np.where(after == LOST, -1.0, 0.0))


def _stick(state: int, chances: tuple[float, float, float]) -> Outcomes:
    """What follows sticking: lost, drawn, won with these chances."""
    return Outcomes(state, STICK, np.array([LOST, DRAWN, WON]), np.array(chances), np.array([-1.0, 0.0, 1.0]))


def _against(player: int, dealer: int) -> tuple[float, float, float]:
    """The chances to lose, draw and win by sticking on the sum `player` against a dealer who shows `dealer`."""
    finals = _dealers_finals(dealer, dealer == 1)
    lose = sum(p for total, p in finals.items() if total > player)
    draw = finals.get(player, 0.0)
    return lose, draw, 1.0 - lose - draw


@cache
def _dealers_finals(hard: int, ace: bool) -> dict[int, float]:
    """The distribution of the sum, 17 to 21 or bust, that the dealer comes to from this hand."""
    total, _ = _best(hard, ace)
    if total >= DEALER_STANDS:
        return {total if total <= HIGHEST else _BUST: 1.0}
    finals: dict[int, float] = {}
    for card, chance in CHANCE.items():
        for end, p in _dealers_finals(hard + card, ace or card == 1).items():
            finals[end] = finals.get(end, 0.0) + chance * p
    return finals


def _dealers_natural(dealer: int) -> float:
    """The chance that the dealer's hidden card makes a natural."""
    return {1: CHANCE[10], 10: CHANCE[1]}.get(dealer, 0.0)


def _deal() -> NDArray[np.float64]:
    """(S,) the distribution of the state in which the player is first asked."""
    hands: dict[tuple[int, bool], float] = {}  # of the player: hard sum, ace; naturals apart
    for one, p in CHANCE.items():
        for two, q in CHANCE.items():
            if {one, two} != {1, 10}:
                hand = one + two, 1 in (one, two)
                hands[hand] = hands.get(hand, 0.0) + p * q
    for hard in range(2, LOWEST):  # a hand below 12 holds no ace
        p = hands.pop((hard, False), 0.0)
        for card, q in CHANCE.items():
            hands[hard + card, card == 1] = hands.get((hard + card, card == 1), 0.0) + p * q
    start = np.zeros(N_STATES)
    for dealer, chance in CHANCE.items():
        for (hard, ace), p in hands.items():
            total, usable = _best(hard, ace)
            start[state_of(total, dealer, usable)] += chance * p
        start[NATURAL + dealer - 1] = chance * 2 * CHANCE[1] * CHANCE[10]
    return start


def blackjack_layout() -> Layout:
    """The panels of the book's Figure 5.2 side by side, usable ace left, sums upwards, the dealer's card to the right.

    Above the left one stand the naturals, above the right one the ends.
    """
    wide, high = len(CARDS), len(SUMS)
    cells = np.full((high + 3, 2 * wide + 1), Cell.WALL, dtype=np.uint8)
    cells[2:-1] = Cell.FLOOR
    cells[:, wide] = Cell.WALL
    cells[1, :wide] = Cell.MARK
    of_ends: list[Place] = [(1, wide + 2), (1, wide + 5), (1, wide + 8)]
    for place, kind in zip(of_ends, (Cell.PIT, Cell.MARK, Cell.GOAL), strict=True):
        cells[place] = kind
    usable, total, dealer = np.unravel_index(np.arange(NATURAL), (2, high, wide))
    rows = np.concatenate([1 + high - total, np.full(wide, 1), [row for row, _ in of_ends]])
    columns = np.concatenate([dealer + (1 - usable) * (wide + 1), np.arange(wide), [column for _, column in of_ends]])

    cards = ["A" if card == 1 else str(card) for card in CARDS]
    labels = [(1 + HIGHEST + 1 - player, wide, str(player)) for player in SUMS]
    labels += [(high + 2, column + offset, text) for offset in (0, wide + 1) for column, text in enumerate(cards)]
    labels += [(row, column, text) for (row, column), text in zip(of_ends, ENDS, strict=True)]
    words = "usable", "ace", *[""] * (wide - 1), "no", "usable", "ace"
    labels += [(0, column, text) for column, text in enumerate(words) if text]
    labels += [(1, column, "A+10") for column in range(wide)]
    places = (rows * cells.shape[1] + columns).astype(np.int32)
    return Layout(cells, places, actions=(None, (-1, 0)), labels=labels)


class BlackjackEnv(TabularEnv):
    """Blackjack as an MDP, with the options of `TabularEnv`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(blackjack_mdp(), layout=blackjack_layout(), **options)


class BlackjackVectorEnv(TabularVectorEnv):
    """The batched form of `BlackjackEnv`, with the options of `TabularVectorEnv`."""

    def __init__(self, num_envs: int = 1, **options: Any) -> None:
        super().__init__(blackjack_mdp(), num_envs, layout=blackjack_layout(), **options)
