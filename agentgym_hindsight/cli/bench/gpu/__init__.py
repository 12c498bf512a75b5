"""``agh bench gpu``: measurements at the true shapes of language models on one GPU, in parts with time limits."""
