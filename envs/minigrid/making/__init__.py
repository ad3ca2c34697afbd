"""Levels from people: layouts as text, and families in Python."""
