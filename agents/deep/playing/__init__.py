"""A learner's side of its environment: players, and how they come back to their episodes."""
