"""What is said on the way: lines, flows, HTTP, times."""
