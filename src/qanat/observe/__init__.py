"""Observers of an update: what people see (`terminal`), logs (`logs`), metrics (`metrics`).

Those that a spec names: `cloudevents` (web hooks and files) and `openlineage` (for catalogs).
"""
