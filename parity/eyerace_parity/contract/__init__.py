"""The contract file as typed, frozen models."""
