"""The image store in memory."""
