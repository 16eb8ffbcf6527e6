"""The routes, a file a subject: parse, one call, answer. `routing` serves every file here."""
