"""What DQN's network is made of besides its encoder: heads, noisy layers, memories."""
