"""The golden set: labelled images or recorded tensors, and the preprocessing that turns one into the other."""
