"""What tests of pipelines and of adapters need; nothing of Qanat imports it."""
