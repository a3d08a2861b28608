"""The configuration of every command: schema, parsing, messages, overrides, errors."""
