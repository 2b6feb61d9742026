"""Observers of an update: progress for people (`terminal`), logs for machines (`logs`)."""
