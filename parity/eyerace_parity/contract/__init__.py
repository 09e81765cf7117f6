"""What must hold: the contract file as typed, frozen models."""
