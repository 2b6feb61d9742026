"""Walk a plan; commit; recover. The only layer that may catch any error."""
