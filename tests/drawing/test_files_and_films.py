"""GIFs: what is in the file, and that a file is whole or not there."""

import numpy as np
import pytest
from PIL import Image

from rltk.drawing import save_gif
from rltk.drawing.files import replacing
from rltk.errors import ArgumentError


def still(shade, size=16):
    frame = np.full((size, size, 3), 248, np.uint8)
    frame[2:6, 2:6] = shade
    return frame


def frames_of(path):
    with Image.open(path) as image:
        pictures, durations = [], []
        for number in range(image.n_frames):
            image.seek(number)
            pictures.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        return pictures, durations, image.info.get("loop")


def test_frames_durations_loop_and_exact_colours(tmp_path):
    path = tmp_path / "episode.gif"
    sent = [still((10 * number, 114, 178)) for number in range(5)]
    save_gif(path, iter(sent), fps=10, pause=1.5)

    pictures, durations, loop = frames_of(path)
    assert loop == 0  # for ever
    assert durations == [100, 100, 100, 100, 1600]
    for picture, frame in zip(pictures, sent, strict=True):
        assert (picture == frame).all()
    assert [entry.name for entry in tmp_path.iterdir()] == ["episode.gif"]


def test_many_colours_share_64_and_the_common_ones_stay_exact(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    frames = [np.full((80, 80, 3), 248, np.uint8) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame[:40, :40] = noise
        frame[50:60, 50 + number : 60 + number] = (0, 114, 178)
    save_gif(tmp_path / "noise.gif", frames)

    pictures, _, _ = frames_of(tmp_path / "noise.gif")
    colours = {tuple(colour) for picture in pictures for colour in picture.reshape(-1, 3)}
    assert 32 < len(colours) <= 64
    for number, picture in enumerate(pictures):
        assert tuple(picture[70, 70]) == (248, 248, 248)
        assert tuple(picture[55, 55 + number]) == (0, 114, 178)
    away = np.abs(pictures[0][:40, :40].astype(int) - noise.astype(int)).mean()
    assert away < 50  # a random assignment would be 85 away


def test_one_frame_is_a_film_too(tmp_path):
    save_gif(tmp_path / "one.gif", [still(0)])
    assert len(frames_of(tmp_path / "one.gif")[0]) == 1


def test_folders_are_made_and_an_older_film_is_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "a.gif"
    save_gif(path, [still(0)])
    save_gif(path, [still(0), still(90)])
    assert len(frames_of(path)[0]) == 2


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    path.write_bytes(b"older")

    def broken():
        yield still(0)
        raise RuntimeError("the simulator fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        save_gif(path, broken())

    def fill_the_disk():
        with replacing(path) as partial:
            partial.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_the_disk()
    assert path.read_bytes() == b"older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize(
    ("frames", "options"),
    [
        ([], {}),
        ([np.zeros((4, 4), np.uint8)], {}),
        ([np.zeros((4, 4, 3))], {}),
        ([None], {}),
        ([still(0, 16), still(0, 17)], {}),
        ([still(0)], {"fps": 0}),
        ([still(0)], {"fps": 51}),
        ([still(0)], {"fps": float("nan")}),
        ([still(0)], {"pause": -1}),
    ],
)
def test_bad_films_are_refused_and_leave_nothing(tmp_path, frames, options):
    with pytest.raises(ArgumentError):
        save_gif(tmp_path / "bad.gif", frames, **options)
    assert not list(tmp_path.iterdir())


def test_the_name_must_say_gif(tmp_path):
    with pytest.raises(ArgumentError, match=r"\.gif"):
        save_gif(tmp_path / "a.mp4", [still(0)])
    with pytest.raises(ArgumentError, match="folder"), replacing(tmp_path):
        pass
