"""What computes. One package per engine, today `duckdb`; they never import each other."""
