"""The process and its surroundings: home, memory, processors, settings."""
