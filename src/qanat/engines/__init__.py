"""What computes. One package per engine; they never import each other."""
