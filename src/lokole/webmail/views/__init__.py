"""One module per group of pages: fetch, render, stop."""
