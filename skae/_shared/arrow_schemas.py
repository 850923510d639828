"""Metadata in schemas of Arrow, which may come from any file."""


def list_index(schema) -> set[str]:
    """Return the names of columns that pandas has written as the index of a data frame."""
    try:
        entries = schema.pandas_metadata["index_columns"]
        return {entry for entry in entries if isinstance(entry, str)}
    except Exception:
        # Missing or unreadable metadata mean that there is no index.
        return set()
