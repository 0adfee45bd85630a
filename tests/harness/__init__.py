"""Runs trees of real noded processes for the demo, the integration tests and the benchmark."""
