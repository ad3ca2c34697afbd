"""Logs: strict JSON lines that survive a kill, cut at the checkpoint, and TensorBoard under known tags."""

import errno
import json
import math

import numpy as np
import pytest

from rltk.errors import ArgumentError, CheckpointError
from rltk.runs import MetricLog, TensorBoardLog, read_log, truncate_log


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "log.jsonl"
    log = MetricLog(path)
    for step in (0, 10, 10, 20):
        log.write(step, {"ep_rew_mean": step / 4, "suboptimality": np.float64(1.0)})
    log.close()
    return path


def steps(path) -> list[float]:
    return [record["timestep"] for record in read_log(path)]


def test_lines_are_strict_json_under_the_known_tags(path):
    lines = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]

    assert [line["timestep"] for line in lines] == [0, 10, 10, 20]
    assert set(lines[3]) == {"timestep", "time", "rollout/ep_rew_mean", "suboptimality"}
    assert lines[3]["rollout/ep_rew_mean"] == 5.0


def test_what_strict_json_lacks_is_read_back(tmp_path):
    log = MetricLog(tmp_path / "log.jsonl")
    log.write(1, {"a": math.nan, "b": math.inf, "c": -np.float32(np.inf), "d": True, "e": np.array(3), "f": 2**70})
    log.close()

    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    json.loads(line, parse_constant=pytest.fail)
    (record,) = read_log(tmp_path / "log.jsonl")
    assert math.isnan(record["a"])
    assert [record[name] for name in "bcdef"] == [math.inf, -math.inf, True, 3, 2**70]


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    log = MetricLog(tmp_path / "log.jsonl")
    log.write(1, {"a": 1.0})
    assert steps(tmp_path / "log.jsonl") == [1]
    log.close()


def test_a_half_written_last_line_is_dropped_wherever_it_was_cut(path):
    content = path.read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(content)):
        path.write_bytes(content[:cut])
        assert steps(path) == [0, 10, 10]
        log = MetricLog(path)
        log.write(30, {})
        log.close()
        assert steps(path) == [0, 10, 10, 30]
    path.write_bytes(content + bytes(40))  # What a file system leaves after a power cut.
    assert steps(path) == [0, 10, 10, 20]


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(path):
    lines = path.read_bytes().splitlines(keepends=True)
    for line in (b"{\n", b"[]\n", b"{}\n", b'{"timestep": "1"}\n', b"[" * 100_000 + b"\n"):
        path.write_bytes(b"".join([lines[0], line, *lines[1:]]))
        with pytest.raises(CheckpointError, match=f"{path.name} is damaged in line 2"):
            read_log(path)


@pytest.mark.parametrize(("at", "left"), [(-1, []), (0, [0]), (9, [0]), (10, [0, 10, 10]), (99, [0, 10, 10, 20])])
def test_a_log_is_cut_at_the_checkpoint(path, at, left):
    with path.open("ab") as file:
        file.write(b'{"timestep": 2')

    assert truncate_log(path, at) == (left[-1] if left else -1)
    assert steps(path) == left
    assert path.read_bytes().count(b"\n") == len(left)
    assert path.read_bytes()[-1:] in (b"\n", b"")


def test_timesteps_never_go_back(path):
    log = MetricLog(path)
    with pytest.raises(ArgumentError, match="timestep 19 follows timestep 20"):
        log.write(19, {})
    log.write(20, {})
    log.close()


@pytest.mark.parametrize(
    "metrics", [{"timestep": 1}, {"time": 1.0}, {"a": "text"}, {"a": None}, {"a": [1.0]}, {"a": np.zeros(2)}, {"a": 1j}]
)
def test_what_is_no_metric_is_refused_before_it_is_written(path, metrics):
    log = MetricLog(path)
    with pytest.raises(ArgumentError, match="metric"):
        log.write(30, metrics)
    with pytest.raises(ArgumentError, match=r"timestep is 1\.5"):
        log.write(1.5, {})
    log.close()
    assert steps(path) == [0, 10, 10, 20]


def test_a_full_disk_leaves_only_whole_lines(path):
    log = MetricLog(path)
    real = log._file

    class Full:
        def __init__(self):
            self.calls = 0

        def write(self, data):
            self.calls += 1
            if self.calls > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real.write(data[:5])

        def __getattr__(self, name):
            return getattr(real, name)

    log._file = Full()
    with pytest.raises(CheckpointError, match=r"No space left.*make room"):
        log.write(30, {})
    log._file = real
    log.write(40, {})
    log.close()
    assert steps(path) == [0, 10, 10, 20, 40]


def test_a_missing_log_is_a_typed_error(tmp_path):
    for use in (read_log, truncate_log):
        with pytest.raises(CheckpointError, match="nothing"):
            use(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="nothing"):
        MetricLog(tmp_path / "nothing" / "log.jsonl")


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_the_scalars_under_stable_baselines_tags(tmp_path):
    log = TensorBoardLog(tmp_path / "tb")
    log.write(5, {})
    assert not (tmp_path / "tb").exists()

    log.write(10, {"ep_rew_mean": 0.5, "ep_len_mean": 7, "fps": 2.0, "suboptimality": np.float64(0.25)})
    log.write(20, {"ep_rew_mean": 0.75, "huge": 1e300, "huger": 10**400, "flag": True})
    log.close()
    log.close()

    found = scalars(tmp_path / "tb")
    assert found["rollout/ep_rew_mean"] == [(10, 0.5), (20, 0.75)]
    assert found["rollout/ep_len_mean"] == [(10, 7.0)]
    assert found["time/fps"] == [(10, 2.0)]
    assert found["suboptimality"] == [(10, 0.25)]
    assert found["huge"] == found["huger"] == [(20, math.inf)]


def test_tensorboard_hides_what_a_resumed_run_does_again(tmp_path):
    first = TensorBoardLog(tmp_path)
    for step in (10, 20, 30):
        first.write(step, {"x": step})
    first.close()
    second = TensorBoardLog(tmp_path, purge_step=21)
    second.write(25, {"x": -1.0})
    second.close()

    assert scalars(tmp_path)["x"] == [(10, 10.0), (20, 20.0), (25, -1.0)]


def test_tensorboard_on_a_full_disk_warns_once_and_goes_on(tmp_path):
    (tmp_path / "file").touch()
    log = TensorBoardLog(tmp_path / "file")

    with pytest.warns(UserWarning, match="no more TensorBoard"):
        log.write(1, {"x": 1.0})
    log.write(2, {"x": 1.0})
    log.close()
