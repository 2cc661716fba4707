"""What every room may use: ids, errors, the secret type, clocks, safe text. Standard library only."""
