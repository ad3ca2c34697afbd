"""Watching: agents of every kind play, keys do what the help says, and everything runs without a display."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

from rltk.drawing import Scene
from rltk.drawing.colours import colour_map
from rltk.drawing.scene import directions
from rltk.errors import ArgumentError
from rltk.viewing import Player, watch
from rltk.viewing.knowledge import greedy, knowledge_of


class Corridor(gym.Env):
    """Five cells in a row; going right from the last but one ends the episode and pays 1."""

    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)
    render_mode = None

    def __init__(self):
        self.place = 0
        self.seeds = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.place = 0
        return 0, {"state": self.place}

    def step(self, action):
        assert isinstance(action, int)
        self.place = max(0, self.place + (1 if action == 1 else -1))
        ended = self.place == 4
        return self.place, float(ended), ended, False, {"state": np.int64(self.place)}

    def scene(self):
        cells = np.array([[5, 0, 0, 0, 2]], np.uint8)
        return Scene(cells, np.arange(5)[None], directions(["left", "right"]), agent=(0, self.place), heading=(0, 1))


class Foreign(gym.Env):
    """An environment that knows no scene and paints itself."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert isinstance(action, np.ndarray)
        return np.zeros(2, np.float32), 0.5, False, True, {}

    def render(self):
        return np.full((40, 60, 3), (9, 99, 199), np.uint8)


class Right:
    """A tabular agent whose q prefers right; predict returns what an SB3 model does, an array."""

    q = np.array([[0.1, 0.2], [0.2, 0.4], [0.3, 0.6], [0.5, 1.0], [0.0, 0.0]])
    gamma = 0.5

    def __init__(self):
        self.calls = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.calls.append((observation, state, bool(episode_start[0]), deterministic))
        return np.array(1), (0 if state is None else state) + 1


OPTIMUM = SimpleNamespace(
    value=np.array([0.125, 0.25, 0.5, 1.0, 0.0]),
    q=np.array([[0.1, 0.125], [0.1, 0.25], [0.1, 0.5], [0.1, 1.0], [0.0, 0.0]]),
    policy=np.array([1, 1, 1, 1, 0]),
    criterion=SimpleNamespace(gamma=0.5, horizon=None),
)


@pytest.fixture
def display(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def played(player, steps):
    for _ in range(steps):
        player.advance()
    return player


def test_an_episode_runs_to_its_end_and_the_next_begins():
    agent, env = Right(), Corridor()
    player = played(Player(agent, env, seed=7, episodes=2), 4)
    assert player.episode.ending == "terminated"
    assert player.record.returns == [1.0]
    assert player.record.lengths == [4]
    assert not player.done
    played(player, 1 + 4)
    assert player.done
    assert player.episode.number == 2
    assert env.seeds == [7, None]  # the seed is the first episode's only
    assert [start for _, _, start, _ in agent.calls] == [True, False, False, False] * 2
    assert [memory for _, memory, _, _ in agent.calls] == [None, 1, 2, 3] * 2
    assert all(deterministic for *_, deterministic in agent.calls)
    assert played(player, 3).record.lengths == [4, 4]  # what is done stays done


def test_agents_that_act_on_states_get_the_state():
    class OnStates(Right):
        acts_on_states = True

    class Blurred(Corridor):
        def step(self, action):
            _, *rest = super().step(action)
            return 0, *rest

    agent = OnStates()
    played(Player(agent, Blurred()), 3)
    assert [seen for seen, *_ in agent.calls] == [0, 1, 2]
    with pytest.raises(ArgumentError, match="state"):
        Player(agent, Foreign("rgb_array"))


def test_an_episode_is_cut_at_max_steps():
    player = played(Player(Right(), Corridor(), max_steps=2), 2)
    assert "cut" in player.episode.ending
    assert player.record.lengths == [2]


def test_the_overlay_keys_lay_tables_over_the_map_and_lift_them():
    player = Player(Right(), Corridor())
    plain = player.frame()
    assert plain.mean() > 150
    for key, kind in (("v", "value"), ("q", "q"), ("p", "policy")):
        assert player.press(key)
        assert player.view.overlay == kind
        frame = player.frame()
        assert (frame[:120, :600] != plain[:120, :600]).any()
        assert player.press(key)
        assert player.view.overlay == "none"
        assert (player.frame()[:120, :600] == plain[:120, :600]).all()
    player.press("v")
    player.press("p")
    assert player.view.overlay == "policy"


def test_o_changes_between_agent_and_optimum():
    player = Player(Right(), Corridor(), solution=OPTIMUM, overlay="value")
    spot = (10, 130)  # in the second cell: the agent's values run from 0.2 to 1, the optimum's from 0.125
    own = player.frame()[spot]
    player.press("o")
    assert player.view.of_optimum
    best = player.frame()[spot]
    assert tuple(own) == tuple(colour_map()[round(0.2 / 0.8 * 255)])
    assert tuple(best) == tuple(colour_map()[round(0.125 / 0.875 * 255)])
    alone = Player(Right(), Corridor())
    alone.press("o")
    assert not alone.view.of_optimum
    assert "solution" in alone.view.message


def test_space_n_speed_restart_and_escape():
    player = played(Player(Right(), Corridor(), fps=8), 2)
    player.press("space")
    assert player.view.paused
    player.press("n")
    assert player.episode.step == 3
    player.press("space")
    assert not player.view.paused
    player.press("n")
    assert player.view.paused  # one step means one
    faster = player.speed
    player.press("+")
    assert player.speed > faster
    player.press("-")
    assert player.speed == pytest.approx(faster)
    for _ in range(99):
        player.press("+")
    assert player.speed == 240
    restarted = played(Player(Right(), Corridor()), 2)
    restarted.press("r")
    assert (restarted.episode.number, restarted.episode.step) == (1, 0)
    assert restarted.record.lengths == []
    assert restarted.press("x")
    assert not restarted.press("escape")


def test_the_strip_tells_step_return_estimate_and_optimum():
    player = played(Player(Right(), Corridor(), solution=OPTIMUM, episodes=3), 4)
    words = "\n".join(player._words())
    for said in ("episode 1 of 3", "step 4", "return 1.000", "terminated", "estimate 0.200", "optimum 0.125"):
        assert said in words
    assert "gamma 0.5" in words
    assert "space pause" in words
    height = len(player.frame())
    player.press("h")
    assert "space pause" not in "\n".join(player._words())
    assert "h help" in "\n".join(player._words())
    assert len(player.frame()) == height  # the window does not jump


def test_the_pointer_tells_a_cells_value():
    player = Player(Right(), Corridor())
    player.frame()
    player.view.pointer = (3 * 120 + 5, 60)
    words = "\n".join(player._words())
    assert "row 0, column 3" in words
    assert "state 3" in words
    assert "1.00" in words


def test_the_help_names_every_key_that_does_something():
    from rltk.viewing.player import HELP

    named = " ".join(HELP).replace("·", " ").split()
    assert {"space", "n", "+", "-", "r", "v", "q", "p", "o", "h", "esc"} <= set(named)


def test_foreign_environments_show_their_own_frame_enlarged():
    agent = SimpleNamespace(predict=lambda *_, **__: (np.zeros(1, np.float32), None))
    player = Player(agent, Foreign("rgb_array"))
    frame = player.frame()
    assert (frame[:240, :360] == (9, 99, 199)).all()
    player.press("v")
    assert player.view.overlay == "none"
    assert "rltk environment" in player.view.message
    assert played(player, 1).episode.ending == "truncated"


@pytest.mark.parametrize(
    ("env", "options", "words"),
    [
        (Foreign(), {}, "rgb_array"),
        (Foreign("human"), {}, "human"),
        (SimpleNamespace(num_envs=3), {}, "one Gymnasium environment"),
        (Corridor(), {"overlay": "values"}, "overlay"),
        (Corridor(), {"fps": 0}, "fps"),
        (Corridor(), {"episodes": 0}, "episodes"),
        (Corridor(), {"max_steps": -1}, "max_steps"),
    ],
)
def test_what_can_not_be_watched_says_how_to_mend_it(env, options, words):
    with pytest.raises(ArgumentError, match=words):
        Player(Right(), env, **options)


def test_an_agent_must_predict():
    with pytest.raises(ArgumentError, match="predict"):
        Player(object(), Corridor())


def test_knowledge_follows_from_q():
    known = knowledge_of(Right(), "agent")
    assert list(known.value) == [0.2, 0.4, 0.6, 1.0, 0.0]
    assert known.policy[3].tolist() == [0, 1]
    assert known.policy[4].tolist() == [0.5, 0.5]  # a tie
    assert known.criterion == "gamma 0.5"
    assert greedy(np.array([[-np.inf, -3.0]])).tolist() == [[0, 1]]


def test_knowledge_of_networks_is_asked_in_all_states():
    agent = SimpleNamespace(
        policy=lambda: None,  # SB3's is a module, no table
        action_probabilities=lambda observations: np.tile([0.25, 0.75], (len(observations), 1)),
    )
    env = SimpleNamespace(observations=lambda states: states, mdp=lambda: SimpleNamespace(n_states=5))
    known = knowledge_of(agent, "agent", env)
    assert known.value is None
    assert known.policy.shape == (5, 2)
    assert knowledge_of(agent, "agent").policy is None


def test_an_overlay_that_is_not_known_is_said_not_crashed():
    player = Player(SimpleNamespace(predict=lambda *_, **__: (1, None)), Corridor(), overlay="q")
    player.frame()
    assert "no q is known" in player.view.message


def test_watch_plays_the_asked_episodes(display):
    seen = watch(Right(), Corridor(), episodes=2, fps=240, overlay="policy")
    assert (seen.episodes, seen.lengths, seen.returns, seen.closed) == (2, (4, 4), (1.0, 1.0), False)
    assert seen.mean_return == 1.0
    import pygame

    assert not pygame.display.get_init()  # the window is gone


def press_while_showing(monkeypatch, keys):
    """Post these key presses through pygame's own queue once the window is open."""
    from rltk.drawing import window

    shown = window.Window.show

    def show(self, frame):
        import pygame

        shown(self, frame)
        if keys:
            key, typed = keys.pop(0)
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=typed))

    monkeypatch.setattr(window.Window, "show", show)


def test_watch_takes_keys_from_the_window(display, monkeypatch):
    import pygame

    agent = Right()
    keys = [(pygame.K_SPACE, " "), (pygame.K_n, "n"), (pygame.K_v, "v"), (pygame.K_h, "h"), (pygame.K_ESCAPE, "\x1b")]
    press_while_showing(monkeypatch, keys)
    seen = watch(agent, Corridor(), fps=0.25)  # so slow that only "n" steps
    assert seen.closed
    assert seen.episodes == 0
    assert np.isnan(seen.mean_return)
    assert len(agent.calls) == 1


def test_the_window_closes_even_when_the_agent_fails(display):
    import pygame

    class Broken(Right):
        def predict(self, *_, **__):
            raise RuntimeError("no idea")

    with pytest.raises(RuntimeError, match="no idea"):
        watch(Broken(), Corridor(), fps=240)
    assert not pygame.display.get_init()
