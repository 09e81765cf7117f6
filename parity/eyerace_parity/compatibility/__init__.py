"""Which ONNX Runtime takes which file, foretold from measured tables; and which one a Flutter package bundles."""
