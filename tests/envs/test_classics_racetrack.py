"""The racetrack: the rules worked out plainly, car by car, and what they make of the book's two tracks."""

from collections import deque
from fractions import Fraction
from math import floor

import numpy as np
import pytest

import rltk
from rltk.envs import RacetrackEnv
from rltk.envs.gridworld.racetrack import LEFT, RIGHT
from rltk.errors import ArgumentError, MapError, UnknownNameError

TRACKS = {"left": LEFT.split(), "right": RIGHT.split()}
HALF = Fraction(1, 2)


def drive(lines, place, velocity):
    """Where a car at `place` comes to within one step: a place, or "finished" or "crashed"."""
    longest = max(velocity)
    for step in range(1, longest + 1):
        row = place[0] - floor(Fraction(velocity[0] * step, longest) + HALF)
        column = place[1] + floor(Fraction(velocity[1] * step, longest) + HALF)
        if row < 0 or column >= len(lines[0]) or lines[row][column] == "#":
            return "crashed"
        if lines[row][column] == "G":
            return "finished"
    return place[0] - velocity[0], place[1] + velocity[1]


def after(lines, place, velocity, change):
    """The velocity that an action leads to."""
    wanted = tuple(min(4, max(0, v + c)) for v, c in zip(velocity, change, strict=True))
    return velocity if wanted == (0, 0) and lines[place[0]][place[1]] != "S" else wanted


def numbered(lines):
    """{(place, velocity): state}, cell by cell, row by row."""
    places = [(r, c) for r, line in enumerate(lines) for c, kind in enumerate(line) if kind in ".S"]
    return {(p, divmod(v, 5)): 25 * i + v for i, p in enumerate(places) for v in range(25)}


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_every_row_is_the_rule(track, noise):
    """Sutton and Barto (2018), Exercise 5.12: noise 0.1, -1 a step, a car off the track is put on the starting line."""
    lines, mdp = TRACKS[track], RacetrackEnv(track=track, noise=noise).mdp()
    states = numbered(lines)
    starts = [states[p, v] for p, v in states if v == (0, 0) and lines[p[0]][p[1]] == "S"]
    assert mdp.start[starts] == pytest.approx(1 / len(starts))
    random = np.random.default_rng(0)
    cars = list(states)
    for i in random.permutation(len(cars))[:400]:
        place, velocity = cars[i]
        for action in range(9):
            change = (action // 3 - 1, action % 3 - 1)
            assert mdp.action_label(action) == change
            expected = {}
            for now, p in ((after(lines, place, velocity, change), 1 - noise), (velocity, noise)):
                end = drive(lines, place, now)
                entered = {"crashed": starts, "finished": ["end"]}.get(end) or [states[end, now]]
                for state in entered:
                    expected[state] = expected.get(state, 0.0) + p / len(entered)
            k = states[cars[i]] * 9 + action
            row = slice(mdp.row_start[k], mdp.row_start[k + 1])
            found = {}
            for state, p in zip(mdp.next_state[row].tolist(), mdp.probability[row].tolist(), strict=True):
                name = "end" if state >= len(states) else state
                found[name] = found.get(name, 0.0) + p
            assert found == pytest.approx({state: p for state, p in expected.items() if p}), (place, velocity, change)
            assert (mdp.reward[row] == -1).all()
            assert (mdp.terminated[row] == (mdp.next_state[row] >= len(states))).all()


@pytest.mark.parametrize("track", TRACKS)
def test_without_noise_the_best_lap_is_the_shortest(track):
    """By breadth-first search over places and velocities from the whole starting line at once. (From its other cells
    the optimum may be to crash: it costs a step, and the car is put on the line anew.)"""
    lines, mdp = TRACKS[track], RacetrackEnv(track=track, noise=0.0).mdp()
    states = numbered(lines)
    starts = [car for car, state in states.items() if mdp.start[state] > 0]
    distance, queue = dict.fromkeys(starts, 0), deque(starts)
    while "end" not in distance:
        place, velocity = car = queue.popleft()
        for action in range(9):
            now = after(lines, place, velocity, (action // 3 - 1, action % 3 - 1))
            end = drive(lines, place, now)
            seen = "end" if end == "finished" else (end, now)
            if end != "crashed" and seen not in distance:
                distance[seen] = distance[car] + 1
                queue.append(seen)
    value = rltk.solve(mdp, gamma=1.0).value
    assert value[[states[car] for car in starts]].max() == pytest.approx(-distance["end"])


def test_the_tracks_are_of_the_figures_size():
    """Sutton and Barto (2018), Figure 5.5: starting lines of 6 and 23 cells, finishing lines of 6 and 9."""
    for name, shape, starts, finishes in (("left", (32, 17), 6, 6), ("right", (30, 32), 23, 9)):
        lines = TRACKS[name]
        assert (len(lines), len(lines[0])) == shape
        assert lines[-1].count("S") == "".join(lines).count("S") == starts
        assert [line[-1] for line in lines].count("G") == "".join(lines).count("G") == finishes


def test_a_car_never_stands_beyond_the_start():
    """Sutton and Barto (2018), Exercise 5.12: both components can't be zero except at the starting line."""
    env = RacetrackEnv()
    _, info = env.reset(seed=0)
    random = np.random.default_rng(0)
    started = set(np.flatnonzero(env.mdp().start))
    for _ in range(3000):
        *_, terminated, _, info = env.step(int(random.integers(9)))
        assert info["state"] % 25 != 0 or info["state"] in started or terminated
        if terminated:
            env.reset()


def test_the_picture_shows_the_speeds():
    """The dials at the left and below show the speeds up and to the right; the car points where it goes."""
    env = RacetrackEnv()
    state = 25 * 100 + 5 * 3 + 2
    env.reset(seed=0)
    env.set_state({**env.get_state(), "state": np.array(state)})
    scene = env.scene()
    up, right = scene.tokens
    assert (up.row, up.column) == (scene.shape[0] - 2 - 3, 0)
    assert (right.row, right.column) == (scene.shape[0] - 1, 1 + 2)
    assert scene.heading == (-3, 2)
    here = scene.states[:, 1:][:-1]
    assert np.isin(here[here >= 0] % 25, [17]).sum() == np.count_nonzero((here >= 0) & (here < env.mdp().n_states - 6))
    assert env.layout.coords(np.array([state]))[0].tolist() == [*scene.agent, 3, 2]


def test_a_track_of_ones_own():
    """On a straight of one cell there is one way to win: two steps, the first of which may fail."""
    mdp = RacetrackEnv(track="S.G\n", noise=0.1).mdp()
    value = rltk.solve(mdp, gamma=1.0).value
    # Faster by one at each step: 1 cell, then over the finish. A failed first change costs a step, a later one nothing.
    assert mdp.over_start(value) == pytest.approx(-(1 / 0.9 + 1))
    assert mdp.n_states == 2 * 25 + 1


def test_the_right_edge_is_no_way_round():
    """Driving off it is driving off the track, whatever stands at the left of the next row."""
    mdp = RacetrackEnv(track="G\n.\nS\n", noise=0.0).mdp()
    for velocity, action in ((5 * 1 + 0, 5), (5 * 0 + 1, 4)):  # up, and then right as well; right
        row = mdp.row_start[velocity * 9 + action]  # in the middle cell
        assert mdp.next_state[row] == 25  # standing on the starting line


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"track": "oval"}, UnknownNameError, "'left', 'right'"),
        ({"track": "S..\n...\n"}, MapError, "finish"),
        ({"track": "..G\n...\n"}, MapError, "starting line|start"),
        ({"noise": 1.1}, ArgumentError, "noise: "),
    ],
)
def test_what_is_no_track_is_named(options, error, words):
    with pytest.raises(error, match=words):
        RacetrackEnv(**options)
