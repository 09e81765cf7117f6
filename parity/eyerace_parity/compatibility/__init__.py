"""Predicts from measured tables which ONNX Runtime loads which file; knows the runtime of each Flutter package."""
