"""What a person may give a world by mistake: a typed error that names it, never a crash, never silence."""

import inspect

import numpy as np
import pytest

from rltk.envs import TabularVectorEnv, classics, gridworld
from rltk.envs.classics import BanditEnv, JacksCarRentalEnv, MaximizationBiasEnv, RandomWalkEnv
from rltk.envs.gridworld import ChangingMazeEnv, MazeEnv, RacetrackEnv, WindyGridworldEnv
from rltk.errors import ArgumentError, RltkError, SizeError, UnknownNameError

WORLDS = [
    world
    for room in (classics, gridworld)
    for world in vars(room).values()
    if inspect.isclass(world) and world.__name__.endswith("Env") and not issubclass(world, TabularVectorEnv)
]
ODD = {
    **{
        repr(odd): odd for odd in ("x", "", b"a", float("nan"), float("inf"), -1, -0.5, [], (), ["S.G"], [5, 6], {}, 1j)
    },
    **{
        "10**400": 10**400,
        "complex": np.complex128(1),
        "array": np.array(0.5),
        "object": object(),
        "ragged": [[1], [2, 3]],
    },
}
# What is a number, or a seed, where the option takes one; and a map is what the tests of maps are about.
FINE = {(option, odd) for option in ("mean", "left_reward", "right_reward") for odd in ("-1", "-0.5")}
FINE |= {(option, "10**400") for option in ("bandit_seed", "map_seed")}


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
def test_no_option_takes_what_it_can_not_use(world):
    """Each option of each world with each of these."""
    for option, parameter in inspect.signature(world.__init__).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        for name, odd in ODD.items():
            if (option, name) not in FINE:
                with pytest.raises(RltkError) as caught:
                    world(**{option: odd})
                assert caught.value.args[0], (option, name)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: WindyGridworldEnv(moves=["four"]), UnknownNameError, "moves: one of 'four', 'kings'"),
        (lambda: WindyGridworldEnv(stochastic="no"), ArgumentError, "stochastic: True or False; found 'no'"),
        (lambda: JacksCarRentalEnv(exercise_4_7="no"), ArgumentError, "exercise_4_7: True or False; found 'no'"),
        (lambda: RacetrackEnv(track=5), UnknownNameError, "track: one of 'left', 'right', or a map's text"),
        (lambda: ChangingMazeEnv(maps=5), ArgumentError, "maps: a sequence of maps"),
        (lambda: ChangingMazeEnv(changes=1000), ArgumentError, "changes: 1 rising numbers of steps"),
        (lambda: ChangingMazeEnv(changes=np.array(1000)), ArgumentError, "changes: 1 rising numbers of steps"),
        (lambda: MazeEnv(max_episode_steps="x"), ArgumentError, "max_episode_steps is None or a positive number"),
        (lambda: MazeEnv(max_episode_steps=float("inf")), ArgumentError, "max_episode_steps is None or a positive"),
        (lambda: BanditEnv(k=10**13), SizeError, "a bandit with k = 10,000,000,000,000 arms would take"),
        (lambda: MaximizationBiasEnv(n_actions=10**13), SizeError, "n_actions = 10,000,000,000,000 would take"),
        (lambda: RandomWalkEnv(length=10**13), SizeError, "a random walk over 10,000,000,000,000 states would take"),
    ],
)
def test_each_error_says_what_was_expected(make, kind, message):
    """By name, with what would do."""
    with pytest.raises(kind, match=message):
        make()


def test_changes_may_be_an_array():
    """Whole numbers, as in a list."""
    env = ChangingMazeEnv(changes=np.array([7]))
    env.reset(seed=0)
    worlds = []
    for _ in range(8):
        worlds.append(env.mdp())
        env.step(0)
    assert worlds[6] is worlds[0]
    assert worlds[7] is not worlds[0]
