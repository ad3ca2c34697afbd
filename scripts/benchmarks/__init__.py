"""What `rltk bench` measures: one module a part, and the planners' problems and peers in modules of their own."""
