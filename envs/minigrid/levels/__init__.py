"""The families of levels, a file each; `rltk.envs.minigrid.ids` says which ids belong to which."""
