"""Where tables live: one package per table format; today `delta` and `iceberg`."""
