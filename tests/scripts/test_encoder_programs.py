"""The programs for encoders: pretrain, report card, study."""

import json

import pytest

from rltk.scripts import encoder_study, pretrain, report_card

EMPTY = ["--env", "rltk/FrozenLake-v0", "--env-kwargs", "observation", "symbolic", "--levels", "0"]


def test_pretrain_then_report_card(tmp_path, capsys):
    """As the README has it, on a small lake: a file of weights, a table, JSON and a page."""
    out = tmp_path / "encoder.safetensors"
    given = ["--objectives", "vae", "1", "inverse", "50", "--steps", "10", "--batch-size", "16", "--held-out", "0"]
    quiet = ["--progress", "False"]
    assert pretrain.main([*EMPTY, *given, *quiet, "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    assert pretrain.main([*EMPTY, *given, *quiet, "--seed", "1", "--out", str(out)]) == 2
    assert "seed was 0 there" in capsys.readouterr().err

    card = tmp_path / "card"
    assert report_card.main([str(out), *EMPTY, *quiet, "--out", str(card)]) == 0
    text = capsys.readouterr().out
    assert "effective rank" in text
    assert json.loads(card.with_suffix(".json").read_text())["encoder"]["encoder"] == "cnn"
    assert "<img" in card.with_suffix(".html").read_text()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--out", "encoder.bin"], ".safetensors"),
        (["--data", "nowhere"], "folder"),
        (["--env", "CartPole-v1", "--levels", "0"], "record"),
    ],
)
def test_what_cannot_be_pretrained_is_told(argv, message, capsys):
    assert pretrain.main(argv) == 2
    assert message in capsys.readouterr().err


def test_a_study_of_one_encoder(tmp_path, capsys, monkeypatch):
    """A line is written, the table has its score, and a second call makes nothing anew."""
    monkeypatch.setattr(encoder_study, "STEPS", 1_000)
    monkeypatch.setattr(encoder_study, "LEVELS", (0, 1))
    given = ["--worlds", "door", "--trunks", "mlp", "--objectives", "none", "--seeds", "1", "--out", str(tmp_path)]
    for _ in range(2):
        assert encoder_study.main([*given, "--progress", "False"]) == 0
        text = capsys.readouterr().out
        assert "mlp, none" in text
        assert max(map(len, text.splitlines())) <= 80
    (line,) = (tmp_path / "door-mlp-none.jsonl").read_text().splitlines()
    assert all(0 <= score <= 1 for score in json.loads(line)["scores"])
    assert encoder_study.main(["--worlds", "sea"]) == 2
    assert "door, rooms" in capsys.readouterr().err
