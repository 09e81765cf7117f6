"""One run of the gate inside pytest: what it is about, the tree of items, what the user sees. Entered by the plugin."""
