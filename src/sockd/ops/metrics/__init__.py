"""What the daemon tells of itself as figures: the page that Prometheus reads."""
