"""One module for each group of figures; `run(stage)` measures it."""
