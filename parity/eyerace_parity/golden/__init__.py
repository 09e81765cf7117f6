"""The golden set: labelled images or recorded tensors."""
