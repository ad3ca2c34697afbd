"""The programs, as a person calls them: what they print, what they write, what they say when something is wrong."""

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
import runs_to_kill
from killed import Working, kill_soon

from rltk.agents.tabular import TabularLearner
from rltk.runs import latest_checkpoint, read_log
from rltk.runs.checkpoint import generations
from rltk.scripts import pictures
from rltk.scripts.cli import COMMANDS, main

FAST = ["--n-timesteps", "20000", "--eval-freq", "5000", "--save-freq", "10000", "--progress", "False"]


def train(root, *more: str) -> list:
    """Train a little and return the run folders under `root`."""
    assert main(["train", "--root", str(root), *FAST, *more]) == 0
    return sorted(root.iterdir())


def test_help_lists_every_command(capsys):
    """`rltk` alone says what there is; every command explains itself within 80 columns."""
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert "Example" in text or name == "demo"
        assert max(map(len, text.splitlines())) <= 80


def test_an_unknown_command_is_refused_with_the_list(capsys):
    """A wrong word is no traceback."""
    assert main(["fly"]) == 2
    assert "train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--env", "rltk/FourRoom-v0"], "rltk/FourRooms-v0"),
        (["train", "--algo", "sarsa-max"], "q-learning"),
        (["train", "--gamma", "1.2"], "gamma"),
        (["train", "--n-timesteps", "0"], "n_timesteps"),
        (["train", "--alpha", "3"], "alpha is a number in [0, 1]"),
        (["train", "--alpha-end", "-0.1"], "alpha_end"),
        (["train", "--epsilon", "5"], "epsilon is a number in [0, 1]"),
        (["train", "--epsilon-end", "-3"], "epsilon_end"),
        (["train", "--epsilon", "nan"], "epsilon"),
        (["train", "--env", "CartPole-v1"], "Discrete"),
        (["train", "--env-kwargs", "slop", "0.1"], "slop"),
        (["plan", "--env", "CartPole-v1"], "model"),
        (["plan", "--method", "guess"], "policy-iteration"),
        (["plan", "--gamma", "1.2"], "gamma"),
        (["plan", "--tolerance", "0"], "tolerance"),
        (["plan", "--picture", "values.docx"], ".png"),
        (["plan", "--env", "FrozenLake-v1", "--picture", "values.png"], "scene"),
        (["plan", "--env", "rltk/Maze-v0", "--env-kwargs", "size", "100000"], "GiB"),
        (["evaluate", "--run", "nowhere"], "rltk train"),
        (["train", "--resume", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_told_in_words_and_leaves_nothing(arguments, says, tmp_path, capsys, monkeypatch):
    """A typed error of a few lines, exit status 2, and no folder half made."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    written = capsys.readouterr()
    told = written.err
    assert says in told
    assert "Traceback" not in told
    assert not written.out  # a setting is checked before anything is reported
    assert max(map(len, told.splitlines())) <= 80 or "nowhere" in told
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_is_refused(capsys):
    """tyro's own message, and its status."""
    assert main(["train", "--speed", "11"]) == 2
    assert "--speed" in capsys.readouterr().err


def test_train_writes_what_it_says(tmp_path, capsys):
    """Pictures, film, log, configuration, evaluation and checkpoints, all named in what it prints."""
    (folder,) = train(tmp_path)
    told = capsys.readouterr().out
    for name in ("learning_curve.png", "value_map.png", "episode.gif"):
        assert name in told
        assert (folder / name).stat().st_size > 1000
    rows = read_log(folder / "log.jsonl")
    assert [row["timestep"] for row in rows] == [0, 5000, 10000, 15000, 20000]
    assert rows[-1]["suboptimality"] < rows[0]["suboptimality"]
    graded = json.loads((folder / "evaluation.json").read_text())
    assert graded["exact"] is True
    assert graded["value"] == rows[-1]["value"]
    assert json.loads((folder / "config.json").read_text())["config"]["n_timesteps"] == 20000


def test_evaluate_reads_the_run_back(tmp_path, capsys):
    """The agent of the newest checkpoint has the figures that training ended with."""
    (folder,) = train(tmp_path)
    capsys.readouterr()
    assert main(["evaluate", "--run", str(folder), "--save", str(tmp_path / "again.json")]) == 0
    assert "optimum" in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads((folder / "evaluation.json").read_text())


def test_a_map_file_is_an_environment(tmp_path, capsys):
    """`--env my.map` plans and trains on it."""
    path = tmp_path / "my.map"
    path.write_text("#####\n#S.G#\n#####\n")
    assert main(["plan", "--env", str(path), "--gamma", "0.9", "--picture", str(tmp_path / "values.png")]) == 0
    told = capsys.readouterr().out
    assert "0.9" in told
    assert (tmp_path / "values.png").read_bytes().startswith(b"\x89PNG")
    (folder,) = train(tmp_path / "runs", "--env", str(path))
    assert folder.name.startswith("my__")
    path.unlink()  # the run keeps its own copy of the map
    capsys.readouterr()
    assert main(["evaluate", "--run", str(folder)]) == 0
    assert "suboptimality" in capsys.readouterr().out


def test_plan_asks_for_a_horizon_or_an_average(capsys):
    """`--horizon 100` on FrozenLake is Gymnasium's own limit, 0.74419; `--average True` the mean reward a step."""
    lake = ["plan", "--env", "FrozenLake-v1", "--report", "False"]
    assert main([*lake, "--gamma", "1", "--horizon", "100"]) == 0
    assert "0.74419" in capsys.readouterr().out
    assert main([*lake, "--average", "True"]) == 0
    assert "average reward" in capsys.readouterr().out
    assert main([*lake, "--average", "True", "--method", "value-iteration"]) == 2
    assert "average" in capsys.readouterr().err


def test_a_wrong_map_is_told_with_its_place(tmp_path, capsys):
    """Line and column of the fault."""
    path = tmp_path / "my.map"
    path.write_text("#####\n#S?G#\n#####\n")
    assert main(["plan", "--env", str(path)]) == 2
    assert "line 2, column 3" in " ".join(capsys.readouterr().err.split())


def test_watch_opens_a_window(tmp_path, monkeypatch):
    """On SDL's dummy display an episode of the optimum, and one of a trained agent, play to their end."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    assert main(["watch", "--env", "rltk/FrozenLake-v0", "--episodes", "1", "--fps", "240"]) == 0
    (folder,) = train(tmp_path)
    assert main(["watch", "--run", str(folder), "--episodes", "1", "--fps", "240", "--overlay", "q"]) == 0


def final_table(folder) -> np.ndarray:
    """The table in the newest checkpoint of a run."""
    return latest_checkpoint(folder / "checkpoints").state["agent"]["agent"]["table"]


def test_a_map_given_as_an_option_is_kept_too(tmp_path, capsys):
    """A run started with `--env-kwargs map k.map` outlives that file: it is resumed, graded and watched without it."""
    path = tmp_path / "k.map"
    path.write_text("#####\n#S.G#\n#####\n")
    options = ["--env", "rltk/GridWorld-v0", "--env-kwargs", "map", str(path), "slip", "0.1"]
    (folder,) = train(tmp_path / "runs", *options)
    assert (folder / "world.map").read_bytes() == path.read_bytes()
    path.unlink()
    assert main(["train", "--resume", str(folder), "--progress", "False"]) == 0
    assert main(["evaluate", "--run", str(folder)]) == 0
    assert "suboptimality" in capsys.readouterr().out


def test_returns_without_end_are_left_out_of_the_picture(tmp_path, monkeypatch):
    """With gamma 1 an agent that walks for ever has the return -inf, and an optimum may be infinite too: gaps."""
    captions = []
    curve = pictures.learning_curve
    monkeypatch.setattr(pictures, "learning_curve", lambda *a, **k: captions.append(k) or curve(*a, **k))
    lost = tmp_path / "lost.map"
    lost.write_text("######\n#S.#G#\n######\n---\n[rewards]\nstep = -1.0\n")
    for env in ("rltk/SuttonBarto5x5-v0", str(lost)):
        (folder,) = train(tmp_path / Path(env).stem, "--env", env, "--gamma", "1")
        values = [row["value"] for row in read_log(folder / "log.jsonl")]
        missing = int((~np.isfinite(values)).sum())
        said = captions[-1]
        assert (folder / "learning_curve.png").stat().st_size > 1000
        assert missing > 0
        assert f"{missing} points infinite or undefined: not drawn" in said["caption"].replace("point ", "points ")
        assert said["ylabel"] == "exact return"
        assert "greedy policy" in said["caption"]
        assert said["optimum"] is None


class Blind(gym.Env):
    """Two rooms and a door, without a model and without pictures."""

    metadata: ClassVar = {"render_modes": []}
    observation_space, action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        assert render_mode is None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.room = 0
        return self.room, {}

    def step(self, action):
        self.room = min(self.room + int(action), 2)
        return self.room, float(action) - 0.1, self.room == 2, False, {}


def test_an_environment_without_pictures_is_trained_without_a_film(tmp_path, capsys, monkeypatch):
    """Its run ends well, says why there is no film, and its curve says that its returns are sampled."""
    labels = []
    curve = pictures.learning_curve
    monkeypatch.setattr(pictures, "learning_curve", lambda *a, **k: labels.append(k["ylabel"]) or curve(*a, **k))
    gym.register("Blind-v0", Blind, max_episode_steps=20)
    try:
        (folder,) = train(tmp_path, "--env", "Blind-v0")
    finally:
        del gym.registry["Blind-v0"]
    told = capsys.readouterr()
    assert "no film" in told.err
    assert "episode.gif" not in told.out
    assert labels == ["sampled return"]
    assert not (folder / "episode.gif").exists()
    assert (folder / "learning_curve.png").exists()


def test_figures_and_checkpoints_are_due_at_their_own_steps(tmp_path, monkeypatch):
    """Frequencies without a common divisor call back only where one is due, and the last step is always there."""
    asked = []
    learn = TabularLearner.learn

    def counted(self, total_timesteps, *more, **named):
        asked.append(total_timesteps)
        return learn(self, total_timesteps, *more, **named)

    monkeypatch.setattr(TabularLearner, "learn", counted)
    (folder,) = train(tmp_path, "--eval-freq", "9999", "--save-freq", "10000")
    assert [row["timestep"] for row in read_log(folder / "log.jsonl")] == [0, 9999, 19998, 20000]
    assert asked == [9999, 1, 9998, 2]


def test_an_interrupted_run_tells_how_to_go_on(tmp_path, capsys, monkeypatch):
    """Ctrl-C: status 130 and the command, which works; other options beside it are named as ignored."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TabularLearner, "learn", interrupt)
        assert main(["train", "--root", str(tmp_path), *FAST]) == 130
    (folder,) = tmp_path.iterdir()
    assert f"rltk train --resume {folder}" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder), "--progress", "False", "--alpha-end", "0.3"]) == 0
    told = capsys.readouterr().err
    assert "ignored: --alpha-end\n" in told
    assert json.loads((folder / "config.json").read_text())["config"]["alpha_end"] == 0.001


def whole_ones(root) -> set[Path]:
    """The checkpoints under `root` that are written to their end."""
    return {path for folder in root.glob("*/checkpoints") for path in generations(folder)}


@pytest.mark.parametrize("env", ["rltk/FourRooms-v0", "FrozenLake-v1"])
def test_a_killed_run_goes_on_with_the_same_bits(env, tmp_path):
    """SIGKILL at random moments, resume each time: table and log end as those of a run that was never killed."""
    steps = "400000" if env.startswith("rltk") else "40000"
    save = str(int(steps) // 40)
    options = ["--env", env, "--n-timesteps", steps, "--eval-freq", save, "--save-freq", save, "--progress", "False"]
    (whole,) = train(tmp_path / "whole", *options)

    root, moments, reached = tmp_path / "killed", random.Random(0), [0]
    arguments = ["--root", str(root), *options]
    for _ in range(3):
        working = Working(runs_to_kill.program, "train", *arguments)
        seen, began = whole_ones(root), time.monotonic()
        while not whole_ones(root) - seen and time.monotonic() < began + 60:
            time.sleep(0.002)
        assert kill_soon(working, moments, reports=0, seconds=0.03)  # a checkpoint comes every few hundredths
        (folder,) = root.iterdir()
        reached.append(latest_checkpoint(folder / "checkpoints").step)
        assert reached[-2] < reached[-1] < int(steps)  # it was killed while it learnt, further on each time
        arguments = ["--resume", str(folder), "--progress", "False"]
    assert Working(runs_to_kill.program, "train", *arguments).end() == 0
    assert final_table(folder).tobytes() == final_table(whole).tobytes()
    clocked = ("time", "time/fps")
    rows = [
        [{k: v for k, v in row.items() if k not in clocked} for row in read_log(f / "log.jsonl")]
        for f in (folder, whole)
    ]
    assert rows[0] == rows[1]


def test_the_demo_does_the_main_job(tmp_path, capsys):
    """One table within 80 columns with the known optima, and the files it names."""
    assert main(["demo", "--root", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    table = told.split("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80
    lines = {line.split()[0]: line.split() for line in table.splitlines()}
    assert lines["FrozenLake-v1"][3] == "0.54203"
    assert lines["CliffWalking-v1"][3] == "-13.00000"
    assert next(words for name, words in lines.items() if name.startswith("Taxi"))[3] == "7.93000"
    assert float(lines["FourRooms-v0"][6].rstrip("%")) < 1  # normalised suboptimality of what it trained
    (folder,) = tmp_path.iterdir()
    for name in ("learning_curve.png", "value_map.png", "optimal_value_map.png", "episode.gif"):
        assert name in told
        assert (folder / name).exists()


def test_the_readme_tells_the_truth(tmp_path, monkeypatch):
    """README's map and its first Python lines run as they stand, but for the window, which opens on a dummy display."""
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    world = re.search(r"```text\n(.*?)```", text, re.DOTALL).group(1)
    code = re.search(r"```python\n(import gymnasium.*?)```", text, re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path)
    Path("my.map").write_text(world)
    lines = code.replace("rltk.watch(agent, env, ", "rltk.watch(agent, env, episodes=1, fps=240, ")
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy"}
    done = subprocess.run([sys.executable, "-c", lines], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "suboptimality" in done.stdout


@pytest.mark.parametrize(
    ("algo", "own"),
    [("actor-critic", []), ("reinforce", ["beta", "0.2"]), ("n-step-sarsa", ["n", "8"]), ("dyna-q", [])],
)
def test_every_kind_of_learner_trains_and_is_graded(tmp_path, capsys, algo, own):
    """One with a policy of its own, which takes no epsilon, and one with options of its own: trained, drawn, loaded."""
    options = ["--algo-kwargs", *own] if own else []
    (folder,) = train(tmp_path, "--algo", algo, *options)
    assert algo in folder.name
    assert (folder / "value_map.png").exists()
    saved = latest_checkpoint(folder / "checkpoints").state["agent"]["config"]
    assert all(str(saved[name]) == value for name, value in zip(own[::2], own[1::2], strict=True))
    assert main(["evaluate", "--run", str(folder)]) == 0
    assert "exact" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--algo", "actor-critic", "--epsilon", "0.2"], "explores by its own policy"),
        (["--algo", "n-step-sarsa", "--algo-kwargs", "n", "0"], "n is a whole number"),
        (["--algo-kwargs", "n", "8"], "no option 'n'"),
        (["--algo", "td"], "no learner is called"),
    ],
)
def test_options_that_a_learner_does_not_take_are_refused(tmp_path, capsys, more, says):
    """By name, before a folder is made."""
    assert main(["train", "--root", str(tmp_path), *FAST, *more]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
