"""Man pages and completions, made from the tables of the code; `make docs` writes them."""
