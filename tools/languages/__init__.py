"""The query languages: check, compile, print. Useful without the rest of Tracehound."""
