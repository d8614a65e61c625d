"""Configurations of inetd and xinetd, made into sockd's."""
