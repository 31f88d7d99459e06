"""The agencies' own data about people, from which credentials are issued."""
