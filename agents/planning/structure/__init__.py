"""What T looks like without its numbers, or with its repetitions found: graphs, patterns, orders."""
