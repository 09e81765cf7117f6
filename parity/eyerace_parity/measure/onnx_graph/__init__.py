"""What an ONNX file says of itself."""
