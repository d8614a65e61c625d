"""What a run is told as: to a person, to programs, to monitoring."""
