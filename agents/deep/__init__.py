"""Learners with networks: DQN and its parts."""
