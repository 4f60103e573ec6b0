"""The command ``certbot-caa-guard``."""
