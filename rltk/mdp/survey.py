"""What bounds need to know of T and R, in one pass: how much mass goes on, the longest row, the largest reward."""

from typing import NamedTuple

import numpy as np

from rltk.mdp.jit import jit


class Survey(NamedTuple):
    """Facts about the rows of an MDP, over all states and available actions."""

    low_mass: float  # the least probability of going on: what a backup contracts by
    high_mass: float  # the largest
    longest_row: int  # the largest number of outcomes in a row: how many products a backup sums
    largest_reward: float  # in size
    resting: np.ndarray  # (S,) bool: every outcome ends and pays nothing, so the state is worth exactly 0


@jit(nogil=True)
def survey_rows(row_start, probability, reward, noise, terminated, n_actions, resting):
    """Fill `resting` (S,); returns (least mass, largest mass, longest row, largest reward). noise: (nnz,) or empty."""
    low, high, longest, largest = np.inf, 0.0, 0, 0.0
    for s in range(resting.size):
        rests = True
        for row in range(s * n_actions, (s + 1) * n_actions):
            begin, end = row_start[row], row_start[row + 1]
            if begin == end:
                continue
            mass = 0.0
            for i in range(begin, end):
                size = abs(reward[i])
                largest = max(largest, size)
                if not terminated[i]:
                    mass += probability[i]
                    rests = False
                elif size > 0.0 or (noise.size > 0 and noise[i] > 0.0):
                    rests = False
            low, high, longest = min(low, mass), max(high, mass), max(longest, end - begin)
        resting[s] = rests
    return low, high, longest, largest


@jit(nogil=True)
def survey_moves(moves, noise, reward, reward_by_move, terminated, by_move, resting):
    """The same for the compact form."""
    n_states, n_moves = moves.shape
    low, high = np.inf, 0.0
    unbroken_low, unbroken_high = np.inf, 0.0  # of a state none of whose moves ends
    for a in range(noise.shape[0]):
        mass = 0.0
        for m in range(n_moves):
            mass += noise[a, m]
        unbroken_low, unbroken_high = min(unbroken_low, mass), max(unbroken_high, mass)
    for s in range(n_states):
        if not by_move and terminated[s]:
            low, resting[s] = min(low, 0.0), True
            continue
        broken, rests = False, by_move
        for m in range(n_moves):
            if terminated[s * n_moves + m if by_move else moves[s, m]]:
                broken = True
            else:
                rests = False
        if not broken:
            low, high = min(low, unbroken_low), max(high, unbroken_high)
        else:
            for a in range(noise.shape[0]):
                mass = 0.0
                for m in range(n_moves):
                    if not terminated[s * n_moves + m if by_move else moves[s, m]]:
                        mass += noise[a, m]
                low, high = min(low, mass), max(high, mass)
        if rests:
            for m in range(n_moves):
                if reward[s * n_moves + m if reward_by_move else moves[s, m]] != 0.0:
                    rests = False
        resting[s] = rests
    largest = 0.0
    for i in range(reward.size):
        largest = max(largest, abs(reward[i]))
    return low, high, n_moves, largest
