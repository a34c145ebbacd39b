"""An answer as one self-contained HTML page: text, drawings, rows and queries, and nothing that leaves the file."""
