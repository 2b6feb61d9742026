"""Observers of an update: what people see (`terminal`), logs (`logs`), metrics (`metrics`)."""
