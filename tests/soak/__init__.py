"""Many epochs of a continuous update: rows exactly once, memory and opening times flat (`run`)."""
