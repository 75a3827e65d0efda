"""Random requests from a seed, answered by Throng and by SQL written from the words of docs/semantics.md."""
