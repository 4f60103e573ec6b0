"""The certbot plugin: its flags, its seams into certbot, and what it keeps in lineages."""
