"""What on this host would keep a configuration from doing what it says."""
