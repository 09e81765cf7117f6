"""The record of a run: its form, how it is made, kept, compared and judged again."""
