"""Several schedulers share due runs while they are killed, put to sleep, and their clocks jump."""
