"""Pixels where they belong: the ground, what stands on it, overlays, legend, sizes."""

import numpy as np
import pytest

from rltk.drawing import Cell, Overlay, Painter, Scene, Token, default_cell_size, paint
from rltk.drawing.colours import AGENT, CELLS, GRID, OKABE_ITO, SLATE, colour_map
from rltk.drawing.scene import directions
from rltk.errors import ArgumentError, RltkError, SizeError

COMPASS = directions(["up", "right", "down", "left"])


def world(cells, **fields):
    """A scene whose states number all cells but walls, row by row."""
    cells = np.array(cells, np.uint8)
    states = np.full(cells.shape, -1, np.int32)
    free = cells != Cell.WALL
    states[free] = np.arange(free.sum())
    return Scene(cells, states, fields.pop("actions", COMPASS), **fields)


def floor(height, width, **fields):
    return world(np.zeros((height, width)), **fields)


def dark(picture):
    """(h, w) bool: nearly black pixels, such as arrows and digits on light ground."""
    return (picture.astype(int).max(-1)) < 90


def test_every_kind_of_cell_has_its_colour_and_place():
    picture = paint(world([[0, 1, 2], [3, 4, 6]]), cell_size=20)

    assert picture.shape == (40, 60, 3)
    assert picture.dtype == np.uint8
    kinds = [[Cell.FLOOR, Cell.WALL, Cell.GOAL], [Cell.PIT, Cell.LAVA, Cell.MARK]]
    for row in range(2):
        for column in range(3):
            assert tuple(picture[row * 20 + 10, column * 20 + 10]) == CELLS[kinds[row][column]]
    assert tuple(picture[0, 5]) == GRID
    assert tuple(picture[0, 25]) == SLATE  # no grid line across a wall


def test_the_grid_is_closed_on_all_four_sides_and_absent_in_tiny_cells():
    picture = paint(floor(2, 2), cell_size=12)
    for line in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (line == GRID).all()
    assert (paint(floor(2, 2), cell_size=8) == CELLS[Cell.FLOOR]).all()


def test_a_start_is_a_ring():
    picture = paint(world([[5]]), cell_size=40)
    assert tuple(picture[20, 20]) == CELLS[Cell.FLOOR]
    assert (picture[20, 2:8] != CELLS[Cell.FLOOR]).any()


@pytest.mark.parametrize("heading", [(0, 1), (0, -1), (1, 0), (-1, 0)])
def test_the_agent_points_where_it_heads(heading):
    """A triangle is widest at its back: its centre of mass lies behind its middle, its tip ahead."""
    picture = paint(floor(1, 1, agent=(0, 0), heading=heading), cell_size=60)
    rows, columns = np.nonzero((picture == AGENT).all(-1))
    assert rows.size > 200
    along = rows if heading[0] else columns
    across = columns if heading[0] else rows
    sign = heading[0] + heading[1]
    ahead = along.max() if sign > 0 else along.min()
    behind = along.min() if sign > 0 else along.max()
    assert np.ptp(across[along == behind]) > 3 * np.ptp(across[along == ahead])


def test_an_agent_without_heading_is_a_disc():
    picture = paint(floor(1, 1, agent=(0, 0)), cell_size=61)
    blue = (picture == AGENT).all(-1)
    assert blue[30, 30]
    assert (blue == blue.T).mean() > 0.99
    assert (blue == blue[::-1]).mean() > 0.99


@pytest.mark.parametrize("cell_size", [1, 2, 3, 4, 5, 8, 13])
def test_small_cells_still_show_the_agent(cell_size):
    for heading in (None, (0, 1), (1, 0)):
        picture = paint(floor(3, 3, agent=(1, 2), heading=heading), cell_size=cell_size)
        inside = np.zeros(picture.shape[:2], bool)
        inside[cell_size : 2 * cell_size, 2 * cell_size :] = True
        changed = (picture != paint(floor(3, 3), cell_size=cell_size)).any(-1)
        assert changed[inside].any()
        assert not changed[~inside].any()
        assert picture[changed].astype(int)[:, 0].min() < 120  # blue on near white, not white on near white


def test_small_triangles_differ_by_heading():
    pictures = {
        paint(floor(1, 1, agent=(0, 0), heading=heading), cell_size=8).tobytes()
        for heading in ((0, 1), (0, -1), (1, 0), (-1, 0))
    }
    assert len(pictures) == 4


def test_tokens_have_colour_shape_and_label():
    token = Token(0, 1, colour=6, shape="square")
    picture = paint(floor(1, 2, tokens=(token,)), cell_size=40)
    assert tuple(picture[20, 60]) == OKABE_ITO[6]
    assert tuple(picture[20, 20]) == CELLS[Cell.FLOOR]
    labelled = paint(floor(1, 2, tokens=(Token(0, 1, "K", 4, "square"),)), cell_size=40)
    assert dark(labelled[:, 40:]).sum() > 10
    ring = paint(floor(1, 2, tokens=(Token(0, 1, colour=6, shape="ring"),)), cell_size=40)
    assert tuple(ring[20, 60]) == CELLS[Cell.FLOOR]


def test_labels_stand_in_the_corner_of_cells_that_have_room():
    scene = floor(1, 2, labels={(0, 1): "B'"})
    large, plain = paint(scene, cell_size=40), paint(floor(1, 2), cell_size=40)
    rows, columns = np.nonzero((large != plain).any(-1))
    assert rows.size
    assert rows.max() < 20
    assert columns.min() >= 40
    assert columns.max() < 65
    assert (paint(scene, cell_size=12) == paint(floor(1, 2), cell_size=12)).all()


def test_thin_walls_stand_between_their_cells():
    beside = paint(floor(2, 2, walls=(((0, 0), (0, 1)),)), cell_size=24)
    assert tuple(beside[12, 24]) == SLATE
    assert tuple(beside[36, 24]) == GRID
    above = paint(floor(2, 2, walls=(((1, 1), (0, 1)),)), cell_size=24)
    assert tuple(above[24, 36]) == SLATE
    assert tuple(above[24, 12]) == GRID


def test_values_take_the_map_from_low_to_high():
    picture = paint(floor(1, 3), cell_size=30, overlay=Overlay(value=[0.0, 0.5, 1.0], title="V"))
    spots = [tuple(picture[4, column * 30 + 4]) for column in range(3)]
    assert spots[0] == tuple(colour_map()[0])
    assert spots[2] == tuple(colour_map()[255])
    assert spots[1] == tuple(colour_map()[128])
    assert picture.shape[1] > 90 + 60  # the legend stands beside the map


def test_values_are_looked_up_through_states():
    scene = Scene(np.zeros((1, 2), np.uint8), np.array([[1, 0]]), COMPASS)
    picture = paint(scene, cell_size=30, overlay=Overlay(value=[0.0, 1.0]))
    assert tuple(picture[4, 4]) == tuple(colour_map()[255])


def test_walls_goals_and_cells_without_state_keep_their_look():
    scene = Scene(np.array([[0, 1, 2, 0]], np.uint8), np.array([[0, -1, 1, -1]]), COMPASS)
    picture = paint(scene, cell_size=30, overlay=Overlay(value=[0.5, 9.0]))
    assert tuple(picture[15, 45]) == SLATE
    assert tuple(picture[15, 75]) == CELLS[Cell.GOAL]
    assert tuple(picture[15, 105]) == CELLS[Cell.FLOOR]
    told = paint(scene, cell_size=30, overlay=Overlay(value=[0.5, 9.0], terminal=[False, False]))
    assert tuple(told[7, 67]) == tuple(colour_map()[255])
    assert tuple(told[15, 61]) == CELLS[Cell.GOAL]  # its frame still says what it is


def test_numbers_are_written_only_where_they_fit():
    values = [0.25, 0.5]
    ground = tuple(colour_map()[0])
    large = paint(floor(1, 2), cell_size=60, overlay=Overlay(value=values))[:60, :60]
    small = paint(floor(1, 2), cell_size=14, overlay=Overlay(value=values))[:14, :14]
    assert (large[20:40, 10:50] != ground).any()
    assert (small[1:13, 1:13] == ground).all()
    columns = np.nonzero((large[1:-1, 1:] != ground).any(-1))[1]
    assert columns.min() >= 0.15 * 60 - 2  # the margin on either side
    assert columns.max() <= 0.85 * 60


def test_differences_are_centred_on_zero():
    picture = paint(floor(1, 3), cell_size=30, overlay=Overlay(value=[-1.0, 0.0, 0.25], diverging=True))
    negative, zero, positive = (picture[4, column * 30 + 4].astype(int) for column in range(3))
    assert negative[2] > negative[0]
    assert zero.min() > 235
    assert positive[0] > positive[2]
    assert positive.min() > negative.min()  # a quarter is fainter than minus one


def test_q_colours_four_triangles_and_rims_the_greedy_one():
    q = np.array([[0.0, 1.0, 0.5, 0.25]])
    picture = paint(floor(1, 1), cell_size=40, overlay=Overlay(q=q))
    up, right, down, left = (tuple(picture[spot]) for spot in ((8, 20), (20, 31), (31, 20), (20, 8)))
    table = colour_map()
    assert up == tuple(table[0])
    assert right == tuple(table[255])
    assert down == tuple(table[128])
    assert left == tuple(table[64])
    assert (picture[15:25, 37:40] == 0).all(-1).any()  # black rim on yellow
    assert not (picture[10:30, 1:4] == 0).all(-1).any()


def test_unavailable_actions_are_grey_and_count_for_no_limit():
    picture = paint(floor(1, 1), cell_size=40, overlay=Overlay(q=[[0.0, 1.0, 0.5, -np.inf]]))
    red, green, blue = picture[20, 8].astype(int)
    assert red == green == blue
    assert tuple(picture[8, 20]) == tuple(colour_map()[0])


def test_actions_that_stay_share_a_disc_in_the_middle():
    actions = (*COMPASS, None, None)
    q = np.array([[0.0, 0.0, 0.0, 0.0, 0.5, 1.0]])
    picture = paint(floor(1, 1, actions=actions), cell_size=60, overlay=Overlay(q=q))
    assert tuple(picture[30, 35]) == tuple(colour_map()[128])
    assert tuple(picture[30, 25]) == tuple(colour_map()[255])
    assert tuple(picture[8, 30]) == tuple(colour_map()[0])


@pytest.mark.parametrize("action", range(4))
def test_arrows_point_along_their_action(action):
    """The head is the widest part, so more ink lies ahead of the arrow's middle."""
    policy = np.eye(4)[[action]]
    picture = paint(floor(1, 1), cell_size=60, overlay=Overlay(policy=policy))[:60, :60]
    rows, columns = np.nonzero(dark(picture))
    direction = COMPASS[action]
    along = rows * direction[0] + columns * direction[1]
    across = rows * direction[1] + columns * direction[0]
    assert np.ptp(along) > 1.8 * np.ptp(across)
    middle = (along.max() + along.min()) / 2
    assert (along > middle).sum() > 1.3 * (along < middle).sum()


def test_arrows_are_as_long_as_they_are_probable_and_ties_are_several():
    def reach(policy):
        picture = paint(floor(1, 1), cell_size=100, overlay=Overlay(policy=[policy]))[:100, :100]
        rows, columns = np.nonzero(dark(picture))
        return 50 - rows.min(), columns.max() - 50, rows.max() - 50, 50 - columns.min()

    up, right, down, left = reach([0.5, 0.25, 0.25, 0.0])
    assert up == pytest.approx(24, abs=2)
    assert right == down == pytest.approx(12, abs=2)
    assert left < 8
    assert reach([0.991, 0.003, 0.003, 0.003])[0] < 30  # alone: in the middle of its cell


def test_an_action_that_stays_is_a_dot():
    scene = floor(1, 1, actions=(*COMPASS, None))
    ink = dark(paint(scene, cell_size=60, overlay=Overlay(policy=[4]))[:60, :60])
    assert ink[30, 30]
    rows, columns = np.nonzero(ink)
    assert np.ptp(rows) == np.ptp(columns)
    assert 30 - rows.min() < 12


def test_a_policy_may_be_indices():
    probabilities = paint(floor(1, 2), 40, Overlay(policy=[[0, 1.0, 0, 0], [0, 0, 0, 1.0]]))
    assert (paint(floor(1, 2), 40, Overlay(policy=np.array([1, 3]))) == probabilities).all()


def test_the_caption_is_a_strip_below_and_wraps():
    plain = paint(floor(2, 4), cell_size=50)
    one = paint(floor(2, 4), cell_size=50, caption="step 3")
    long = paint(floor(2, 4), cell_size=50, caption="a caption with many words that can't stand on one line " * 2)
    assert one.shape[1] == long.shape[1] == plain.shape[1]
    assert len(plain) < len(one) < len(long)
    assert (one[:100] == plain).all()
    assert dark(one[102:]).any()
    assert not dark(long[:, -8:][102:]).any()  # nothing runs into the edge


def test_the_legend_is_never_clipped():
    tiny = paint(floor(1, 1), cell_size=10, overlay=Overlay(value=[0.5], policy=[0], title="value", notes=("gamma 1",)))
    assert len(tiny) > 100
    ink = dark(tiny)
    assert not ink[-2:].any()
    assert not ink[:, -4:].any()


def test_nothing_is_black_and_no_display_was_opened():
    import pygame

    picture = paint(floor(4, 4, agent=(0, 0)))
    assert picture.mean() > 200
    assert not pygame.display.get_init()


def test_frames_are_copies_and_the_agent_leaves_no_trace():
    painter = Painter((3, 3), 20)
    first = painter.paint(floor(3, 3, agent=(0, 0)))
    kept = first.copy()
    painter.paint(floor(3, 3, agent=(2, 2)))
    assert (first == kept).all()
    assert (painter.paint(floor(3, 3)) == paint(floor(3, 3), 20)).all()


def test_a_painter_sees_what_changes():
    painter = Painter((1, 2), 20)
    overlay = Overlay(value=[0.0, 1.0])
    cells = np.zeros((1, 2), np.uint8)
    states = np.array([[0, 1]], np.int32)
    scene = Scene(cells, states, COMPASS)
    plain = painter.paint(scene)
    valued = painter.paint(scene, overlay)
    states[:] = [[1, 0]]  # in place, as environments do
    swapped = painter.paint(scene, overlay)
    assert (valued[:20, 1:19] != swapped[:20, 1:19]).any()
    assert (painter.paint(scene) == plain).all()
    cells[0, 1] = Cell.LAVA
    assert tuple(painter.paint(scene)[10, 30]) == CELLS[Cell.LAVA]


def test_digits_do_not_peep_out_behind_the_agent():
    overlay = Overlay(value=[0.123, 0.9])
    painter = Painter((1, 2), 60)
    with_agent = painter.paint(floor(1, 2, agent=(0, 0), heading=(0, 1)), overlay)[:60, :60]
    empty = paint(floor(1, 2, agent=(0, 0), heading=(0, 1)), 60, Overlay(value=[0.123, 0.9], policy=np.zeros((2, 4))))
    assert (with_agent == empty[:60, :60]).all()
    left = painter.paint(floor(1, 2, agent=(0, 1)), overlay)[:60, :60]
    assert (left == paint(floor(1, 2), 60, overlay)[:60, :60]).all()


def test_pygame_quit_by_others_does_no_harm():
    import pygame

    overlay = Overlay(value=[0.5], title="before")
    paint(floor(1, 1), 60, overlay)
    pygame.quit()
    again = paint(floor(1, 1), 60, Overlay(value=[0.75], title="after all"))
    pygame.font.init()
    pygame.quit()
    pygame.font.init()  # a new generation: fonts of the old one must not be used
    once_more = paint(floor(1, 1), 60, Overlay(value=[0.33], title="once more, other words"))
    assert dark(again[:, 60:]).any()
    assert dark(once_more[:, 60:]).any()


def test_the_default_size_fits_and_large_maps_are_one_pixel_a_cell():
    assert default_cell_size((13, 13)) == 55
    assert default_cell_size((1, 1)) == 120
    picture = paint(floor(1000, 900, agent=(3, 4)))
    assert picture.shape == (1000, 900, 3)
    assert tuple(picture[3, 4]) == AGENT
    valued = paint(floor(1000, 900), overlay=Overlay(value=np.arange(900_000.0)))
    assert tuple(valued[0, 0]) == tuple(colour_map()[0])


def test_a_picture_that_is_too_large_is_refused_before_memory_is_taken():
    with pytest.raises(SizeError, match="megapixels"):
        Painter((100_000, 100_000), 100)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Painter((0, 3)),
        lambda: Painter((2, 3), 0),
        lambda: Painter((2, 3), 2.5),
        lambda: Painter((2, 3)).paint(floor(3, 2)),
        lambda: paint(floor(2, 2), overlay=Overlay(value=[1.0])),
        lambda: paint(floor(1, 1), overlay=Overlay(q=[[1.0, 2.0]])),
        lambda: paint(floor(1, 1), overlay=Overlay(policy=[[0, 0, 0, 0, 1.0]])),
        lambda: Overlay(value=[1.0], q=[[1.0]]),
        lambda: Overlay(value=[[1.0]]),
        lambda: Overlay(value="much"),
        lambda: Overlay(policy=[[0.5, 7.0]]),
        lambda: Overlay(value=[1.0], limits=(2, 1)),
        lambda: Overlay(value=[1.0, 2.0], policy=[[1.0]]),
        lambda: floor(2, 2, agent=(2, 0)),
        lambda: floor(2, 2, walls=(((0, 0), (1, 1)),)),
        lambda: floor(2, 2, tokens=(Token(5, 5),)),
        lambda: Token(0, 0, "long"),
        lambda: Token(0, 0, colour=8),
        lambda: Token(0, 0, shape="star"),
        lambda: Scene(np.full((1, 1), 9), np.zeros((1, 1), int)),
        lambda: Scene(np.full((1, 1), 300), np.zeros((1, 1), int)),
        lambda: Scene(np.zeros((1, 2), int), np.zeros((1, 1), int)),
        lambda: Scene(np.zeros((1, 2)), np.zeros((1, 2))),
    ],
)
def test_what_can_not_be_drawn_is_a_typed_error(make):
    with pytest.raises(RltkError) as caught:
        make()
    assert isinstance(caught.value, ArgumentError | SizeError)
    assert len(str(caught.value)) > 30


def test_the_pointer_finds_its_cell():
    painter = Painter((2, 3), 10)
    assert painter.cell_at(25, 12) == (1, 2)
    assert painter.cell_at(31, 2) is None
    assert painter.cell_at(-1, 2) is None
