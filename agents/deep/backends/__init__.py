"""How updates are made: torch, torch.compile, or one kernel for small networks."""
