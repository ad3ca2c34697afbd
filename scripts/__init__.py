"""Programs that a person runs: `rltk train`, `rltk plan`, `rltk evaluate`, `rltk watch`, `rltk demo`, `rltk bench`."""
