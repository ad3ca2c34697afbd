"""Jack's car rental: two car parks, random customers, and up to five cars moved between them overnight.

    evening (n1, n2)  --move a cars-->  morning (m1, m2)  --rent, take back-->  evening (n1', n2')
    rented_i = min(requests_i, m_i),      n_i' = min(m_i - rented_i + returned_i, 20)

Requests and returns are Poisson with means 3 and 3 at the first park, 4 and 2 at the second; a rental pays 10, a move
costs 2; a car beyond the 20th goes away for nothing, and one that comes back can be rented the day after. The business
goes on for ever; the book's discount is 0.9. Nothing is cut off: the distributions' whole tails are in T. What a day
pays is the mean over the rentals that lead to the same evening.

Exercise 4.7 changes the costs: one car from the first park to the second travels for free, and a park with more than 10
cars overnight (after the move) costs 4.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Example 4.2, Exercise 4.7.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.options import check_flag
from rltk.mdp import MDP

MOST_CARS = 20
MOST_MOVED = 5
SHAPE = (MOST_CARS + 1, MOST_CARS + 1)
REQUESTS = (3.0, 4.0)
RETURNS = (3.0, 2.0)
RENT, MOVE_COST = 10.0, 2.0
FULL_PARK, SECOND_PARK_COST = 10, 4.0  # Exercise 4.7


def car_rental_mdp(exercise_4_7: bool = False) -> MDP:
    """The MDP: 441 states (cars at the first park, at the second, in the evening), 11 actions.

    Action a moves a - 5 cars from the first park to the second; more cars than are there can't be moved.
    ArgumentError for an option that is no bool.
    """
    exercise_4_7 = check_flag("exercise_4_7", exercise_4_7)
    states = np.arange(np.prod(SHAPE))
    first, second = np.unravel_index(states, SHAPE)  # (S,) each
    moved = np.arange(-MOST_MOVED, MOST_MOVED + 1)  # (A,)
    available = (moved <= first[:, None]) & (-moved <= second[:, None])  # (S, A)
    morning_first = np.clip(first[:, None] - moved, 0, MOST_CARS)
    morning_second = np.clip(second[:, None] + moved, 0, MOST_CARS)

    paid_for = np.where(moved > 0, moved - 1, -moved) if exercise_4_7 else np.abs(moved)
    cost = np.broadcast_to(MOVE_COST * paid_for, available.shape)
    if exercise_4_7:
        cost = cost + SECOND_PARK_COST * ((morning_first > FULL_PARK) * 1 + (morning_second > FULL_PARK))

    chance_first, rent_first = _day(REQUESTS[0], RETURNS[0])
    chance_second, rent_second = _day(REQUESTS[1], RETURNS[1])
    dense = (*available.shape, states.size)
    T = chance_first[morning_first][..., :, None] * chance_second[morning_second][..., None, :]  # (S, A, 21, 21)
    R = rent_first[morning_first][..., :, None] + rent_second[morning_second][..., None, :]
    return MDP.from_arrays(
        np.where(available[..., None], T.reshape(dense), 0.0),
        np.where(available[..., None], R.reshape(dense) - cost[..., None], 0.0),
        available=available,
        state_labels=SHAPE,
        action_labels=tuple(moved.tolist()).__getitem__,
    )


def _day(requests: float, returns: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a day makes of a park with m cars in the morning: (21, 21) the chance of n in the evening, and what the
    rentals of such a day pay on average."""
    chance, rent = np.zeros(SHAPE), np.zeros(SHAPE)
    for morning in range(MOST_CARS + 1):
        for rented, p in enumerate(_poisson_up_to(requests, morning)):
            left = morning - rented
            p_evening = p * _poisson_up_to(returns, MOST_CARS - left)
            chance[morning, left:] += p_evening
            rent[morning, left:] += RENT * rented * p_evening
    return chance, rent / chance


def _poisson_up_to(mean: float, most: int) -> NDArray[np.float64]:
    """(most + 1,) the distribution of the smaller of `most` and a Poisson variable: the last entry is its tail."""
    counts = np.arange(1, most + 1)
    out = np.exp(-mean) * np.concatenate([[1.0], np.cumprod(mean / counts)])
    tail, more = 0.0, out[-1]
    k = most
    while more > 0.0:  # summed from where it stands: 1 - (the rest) would lose the small tails
        tail += more
        k += 1
        more *= mean / k
    out[-1] = tail
    return out


def car_rental_layout() -> Layout:
    """The book's figure: cars at the first park upwards, at the second to the right, an axis along each."""
    height, width = SHAPE
    cells = np.full((height + 1, width + 1), Cell.WALL, dtype=np.uint8)
    cells[:-1, 1:] = Cell.FLOOR
    first, second = np.unravel_index(np.arange(height * width), SHAPE)
    places = ((height - 1 - first) * (width + 1) + second + 1).astype(np.int32)
    labels = [(height - 1 - cars, 0, str(cars)) for cars in range(height)]
    labels += [(height, cars + 1, str(cars)) for cars in range(width)]
    moved = range(-MOST_MOVED, MOST_MOVED + 1)
    headings = [None if a == 0 else (1, 1) if a > 0 else (-1, -1) for a in moved]
    return Layout(cells, places, sizes=SHAPE, actions=headings, labels=labels)


class JacksCarRentalEnv(TabularEnv):
    """Jack's car rental. exercise_4_7: with the costs of that exercise. The other options are those of `TabularEnv`."""

    def __init__(self, *, exercise_4_7: bool = False, **options: Any) -> None:
        super().__init__(car_rental_mdp(exercise_4_7), layout=car_rental_layout(), **options)


class JacksCarRentalVectorEnv(TabularVectorEnv):
    """The batched form of `JacksCarRentalEnv`, with the options of `TabularVectorEnv`."""

    def __init__(self, num_envs: int = 1, *, exercise_4_7: bool = False, **options: Any) -> None:
        super().__init__(car_rental_mdp(exercise_4_7), num_envs, layout=car_rental_layout(), **options)
