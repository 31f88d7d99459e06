"""The catalogue: credential types and policies as data, parsed from texts."""
