"""Which ids there are: per family its file in `levels/`, and MiniGrid's ids with their options. Only names and numbers.

`FAMILIES` are MiniGrid's; `OWN_FAMILIES`, in the same form, are those that MiniGrid does not have.

Source: minigrid 3.2.0, __init__.py (`register_minigrid_envs`).
"""

from typing import Any

# family -> (module of rltk.envs.minigrid.levels, {MiniGrid's id: options})
FAMILIES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "BlockedUnlockPickup": ("blockedunlockpickup", {"MiniGrid-BlockedUnlockPickup-v0": {}}),
    "Crossing": (
        "crossing",
        {
            "MiniGrid-LavaCrossingS9N1-v0": {"size": 9, "num_crossings": 1},
            "MiniGrid-LavaCrossingS9N2-v0": {"size": 9, "num_crossings": 2},
            "MiniGrid-LavaCrossingS9N3-v0": {"size": 9, "num_crossings": 3},
            "MiniGrid-LavaCrossingS11N5-v0": {"size": 11, "num_crossings": 5},
            "MiniGrid-SimpleCrossingS9N1-v0": {"size": 9, "num_crossings": 1, "obstacle_type": "wall"},
            "MiniGrid-SimpleCrossingS9N2-v0": {"size": 9, "num_crossings": 2, "obstacle_type": "wall"},
            "MiniGrid-SimpleCrossingS9N3-v0": {"size": 9, "num_crossings": 3, "obstacle_type": "wall"},
            "MiniGrid-SimpleCrossingS11N5-v0": {"size": 11, "num_crossings": 5, "obstacle_type": "wall"},
        },
    ),
    "DistShift": (
        "distshift",
        {
            "MiniGrid-DistShift1-v0": {"strip2_row": 2},
            "MiniGrid-DistShift2-v0": {"strip2_row": 5},
        },
    ),
    "DoorKey": (
        "doorkey",
        {
            "MiniGrid-DoorKey-5x5-v0": {"size": 5},
            "MiniGrid-DoorKey-6x6-v0": {"size": 6},
            "MiniGrid-DoorKey-8x8-v0": {"size": 8},
            "MiniGrid-DoorKey-16x16-v0": {"size": 16},
        },
    ),
    "DynamicObstacles": (
        "dynamicobstacles",
        {
            "MiniGrid-Dynamic-Obstacles-5x5-v0": {"size": 5, "n_obstacles": 2},
            "MiniGrid-Dynamic-Obstacles-Random-5x5-v0": {"size": 5, "agent_start_pos": None, "n_obstacles": 2},
            "MiniGrid-Dynamic-Obstacles-6x6-v0": {"size": 6, "n_obstacles": 3},
            "MiniGrid-Dynamic-Obstacles-Random-6x6-v0": {"size": 6, "agent_start_pos": None, "n_obstacles": 3},
            "MiniGrid-Dynamic-Obstacles-8x8-v0": {},
            "MiniGrid-Dynamic-Obstacles-16x16-v0": {"size": 16, "n_obstacles": 8},
        },
    ),
    "Empty": (
        "empty",
        {
            "MiniGrid-Empty-5x5-v0": {"size": 5},
            "MiniGrid-Empty-Random-5x5-v0": {"size": 5, "agent_start_pos": None},
            "MiniGrid-Empty-6x6-v0": {"size": 6},
            "MiniGrid-Empty-Random-6x6-v0": {"size": 6, "agent_start_pos": None},
            "MiniGrid-Empty-8x8-v0": {},
            "MiniGrid-Empty-16x16-v0": {"size": 16},
        },
    ),
    "Fetch": (
        "fetch",
        {
            "MiniGrid-Fetch-5x5-N2-v0": {"size": 5, "numObjs": 2},
            "MiniGrid-Fetch-6x6-N2-v0": {"size": 6, "numObjs": 2},
            "MiniGrid-Fetch-8x8-N3-v0": {},
        },
    ),
    "FourRooms": ("fourrooms", {"MiniGrid-FourRooms-v0": {}}),
    "GoToDoor": (
        "gotodoor",
        {
            "MiniGrid-GoToDoor-5x5-v0": {},
            "MiniGrid-GoToDoor-6x6-v0": {"size": 6},
            "MiniGrid-GoToDoor-8x8-v0": {"size": 8},
        },
    ),
    "GoToObject": (
        "gotoobject",
        {
            "MiniGrid-GoToObject-6x6-N2-v0": {},
            "MiniGrid-GoToObject-8x8-N2-v0": {"size": 8, "numObjs": 2},
        },
    ),
    "KeyCorridor": (
        "keycorridor",
        {
            "MiniGrid-KeyCorridorS3R1-v0": {"room_size": 3, "num_rows": 1},
            "MiniGrid-KeyCorridorS3R2-v0": {"room_size": 3, "num_rows": 2},
            "MiniGrid-KeyCorridorS3R3-v0": {"room_size": 3, "num_rows": 3},
            "MiniGrid-KeyCorridorS4R3-v0": {"room_size": 4, "num_rows": 3},
            "MiniGrid-KeyCorridorS5R3-v0": {"room_size": 5, "num_rows": 3},
            "MiniGrid-KeyCorridorS6R3-v0": {"room_size": 6, "num_rows": 3},
        },
    ),
    "LavaGap": (
        "lavagap",
        {
            "MiniGrid-LavaGapS5-v0": {"size": 5},
            "MiniGrid-LavaGapS6-v0": {"size": 6},
            "MiniGrid-LavaGapS7-v0": {"size": 7},
        },
    ),
    "LockedRoom": ("lockedroom", {"MiniGrid-LockedRoom-v0": {}}),
    "Memory": (
        "memory",
        {
            "MiniGrid-MemoryS17Random-v0": {"size": 17, "random_length": True},
            "MiniGrid-MemoryS13Random-v0": {"size": 13, "random_length": True},
            "MiniGrid-MemoryS13-v0": {"size": 13},
            "MiniGrid-MemoryS11-v0": {"size": 11},
            "MiniGrid-MemoryS9-v0": {"size": 9},
            "MiniGrid-MemoryS7-v0": {"size": 7},
        },
    ),
    "MultiRoom": (
        "multiroom",
        {
            "MiniGrid-MultiRoom-N2-S4-v0": {"minNumRooms": 2, "maxNumRooms": 2, "maxRoomSize": 4},
            # The id says four rooms; MiniGrid's v0 has six, and its v1 has four.
            "MiniGrid-MultiRoom-N4-S5-v0": {"minNumRooms": 6, "maxNumRooms": 6, "maxRoomSize": 5},
            "MiniGrid-MultiRoom-N4-S5-v1": {"minNumRooms": 4, "maxNumRooms": 4, "maxRoomSize": 5},
            "MiniGrid-MultiRoom-N6-v0": {"minNumRooms": 6, "maxNumRooms": 6},
        },
    ),
    "ObstructedMaze1Dlhb": (
        "obstructedmaze_1dlhb",
        {
            "MiniGrid-ObstructedMaze-1Dl-v0": {"key_in_box": False, "blocked": False},
            "MiniGrid-ObstructedMaze-1Dlh-v0": {"key_in_box": True, "blocked": False},
            "MiniGrid-ObstructedMaze-1Dlhb-v0": {},
        },
    ),
    "ObstructedMazeFull": (
        "obstructedmaze",
        {
            "MiniGrid-ObstructedMaze-2Dl-v0": {
                "agent_room": (2, 1),
                "key_in_box": False,
                "blocked": False,
                "num_quarters": 1,
                "num_rooms_visited": 4,
            },
            "MiniGrid-ObstructedMaze-2Dlh-v0": {
                "agent_room": (2, 1),
                "key_in_box": True,
                "blocked": False,
                "num_quarters": 1,
                "num_rooms_visited": 4,
            },
            "MiniGrid-ObstructedMaze-2Dlhb-v0": {
                "agent_room": (2, 1),
                "key_in_box": True,
                "blocked": True,
                "num_quarters": 1,
                "num_rooms_visited": 4,
            },
            "MiniGrid-ObstructedMaze-1Q-v0": {
                "agent_room": (1, 1),
                "key_in_box": True,
                "blocked": True,
                "num_quarters": 1,
                "num_rooms_visited": 5,
            },
            "MiniGrid-ObstructedMaze-2Q-v0": {
                "agent_room": (2, 1),
                "key_in_box": True,
                "blocked": True,
                "num_quarters": 2,
                "num_rooms_visited": 11,
            },
            "MiniGrid-ObstructedMaze-Full-v0": {},
        },
    ),
    "ObstructedMazeFullV1": (
        "obstructedmaze_v1",
        {
            "MiniGrid-ObstructedMaze-2Dlhb-v1": {
                "agent_room": (2, 1),
                "key_in_box": True,
                "blocked": True,
                "num_quarters": 1,
                "num_rooms_visited": 4,
            },
            "MiniGrid-ObstructedMaze-1Q-v1": {
                "agent_room": (1, 1),
                "key_in_box": True,
                "blocked": True,
                "num_quarters": 1,
                "num_rooms_visited": 5,
            },
            "MiniGrid-ObstructedMaze-2Q-v1": {
                "agent_room": (2, 1),
                "key_in_box": True,
                "blocked": True,
                "num_quarters": 2,
                "num_rooms_visited": 11,
            },
            "MiniGrid-ObstructedMaze-Full-v1": {},
        },
    ),
    "Playground": ("playground", {"MiniGrid-Playground-v0": {}}),
    "PutNear": (
        "putnear",
        {
            "MiniGrid-PutNear-6x6-N2-v0": {},
            "MiniGrid-PutNear-8x8-N3-v0": {"size": 8, "numObjs": 3},
        },
    ),
    "RedBlueDoors": (
        "redbluedoors",
        {
            "MiniGrid-RedBlueDoors-6x6-v0": {"size": 6},
            "MiniGrid-RedBlueDoors-8x8-v0": {},
        },
    ),
    "Unlock": ("unlock", {"MiniGrid-Unlock-v0": {}}),
    "UnlockPickup": ("unlockpickup", {"MiniGrid-UnlockPickup-v0": {}}),
}

OWN_FAMILIES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "Layout": ("layout", {"MiniGrid-v0": {}}),
}
