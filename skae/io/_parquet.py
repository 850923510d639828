"""Columns of Parquet files."""

from collections import defaultdict

from skae._shared.arrow_schemas import list_index
from skae._shared.extras import import_extra
from skae._shared.unreadable import explain_unreadable
from skae.io._columns import Column, name_columns
from skae.io._sizes import check_size
from skae.io._written import is_text, is_written_numbers

_KIND = "a readable .parquet file"
_REMEDY = "Check that its ending matches its content."
_CELL_BYTES = 8
_OTHER_KINDS = ("text", "categories", "dates or times")


def read_parquet_columns(path, target, *, numeric_only=True):
    """Return the columns of a Parquet file, and remarks.

    Columns of unsupported types and, with `numeric_only`, those of text, categories, dates and
    times have a reason to be left out. Their values are not read, except those of the target.
    """
    import_extra("pandas", "table", "read_table")
    arrow = import_extra("pyarrow", "table", "read_table")
    parquet = import_extra("pyarrow.parquet", "table", "read_table")
    with explain_unreadable(path, _KIND, _REMEDY):
        file = parquet.ParquetFile(path)
        schema = file.schema_arrow
    reasons = [_find_reason(arrow, field.type) for field in schema]
    if not numeric_only:
        reasons = ["" if reason in _OTHER_KINDS else reason for reason in reasons]
    names, remarks = name_columns(schema.names)
    wanted = [
        index
        for index, (name, reason) in enumerate(zip(names, reasons, strict=True))
        if not reason or target in (name, schema.names[index])
    ]
    remedy = "Read it with pandas, and pass the table to skae.comparison.compare_with_pca."
    check_size(path, _measure(file.metadata, len(wanted)), remedy)
    with explain_unreadable(path, _KIND, _REMEDY):
        table = _read_packed(arrow, parquet, path, schema, wanted)
        n_bytes = sum(_measure_texts(arrow, column) for column in table.columns)
    check_size(path, n_bytes, remedy)
    with explain_unreadable(path, _KIND, _REMEDY):
        values = _unpack_values(arrow, table, schema, wanted)
    index_names = list_index(schema)
    columns = [
        Column(name, values.get(index), title, "index of the rows" if title in index_names else why)
        for index, (name, title, why) in enumerate(zip(names, schema.names, reasons, strict=True))
    ]
    return columns, [*remarks, *_describe_numbers_as_text(columns)]


def _describe_numbers_as_text(columns):
    read = [column for column in columns if column.values is not None and not column.reason]
    names = [own.name for own in read if is_text(own.values) and is_written_numbers(own.values)]
    if names:
        yield f"Text that could be numbers was kept as text in {', '.join(names)}"


def _find_reason(arrow, kind):
    """Return the reason to leave out columns of a type, or an empty string."""
    types = arrow.types
    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    if any(is_kind(kind) for is_kind in numeric):
        return ""
    if types.is_dictionary(kind):
        return "categories"
    if types.is_string(kind) or types.is_large_string(kind) or "string_view" in str(kind):
        return "text"
    if types.is_temporal(kind):
        return "dates or times"
    return "no values" if types.is_null(kind) else f"values of type {str(kind)[:40]}"


def _measure(metadata, n_wanted):
    """Return the number of bytes that the wanted columns take at least, as far as is written."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    fixed = metadata.num_rows * max(n_wanted, 1) * _CELL_BYTES
    return max(fixed, sum(group.total_byte_size for group in groups))


def _read_packed(arrow, parquet, path, schema, wanted):
    """Return the wanted columns as a table, in which equal texts are held once."""
    titles = list(dict.fromkeys(schema.names[index] for index in wanted))
    is_text = (arrow.types.is_string, arrow.types.is_large_string)
    kinds = ((schema.names[index], schema.types[index]) for index in wanted)
    texts = [title for title, kind in kinds if any(own(kind) for own in is_text)]
    return parquet.ParquetFile(path, read_dictionary=texts).read(columns=titles)


def _measure_texts(arrow, column):
    """Return the number of bytes of texts, each counted as often as it occurs."""
    kind = column.type
    if not arrow.types.is_dictionary(kind) or not arrow.types.is_string(kind.value_type):
        return 0
    compute = import_extra("pyarrow.compute", "table", "read_table")
    lengths = (
        compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks
    )
    return sum(compute.sum(own).as_py() or 0 for own in lengths)


def _unpack_values(arrow, table, schema, wanted):
    """Return a Series for each of the wanted columns, by index."""
    positions = defaultdict(list)
    for position, title in enumerate(table.column_names):
        positions[title].append(position)
    values = {}
    for index in wanted:
        # Several columns may have this name.
        nth = schema.names[:index].count(schema.names[index])
        column = table.column(positions[schema.names[index]][nth])
        kind = schema.types[index]
        kind = arrow.float64() if arrow.types.is_decimal(kind) else kind
        values[index] = (column if column.type == kind else column.cast(kind)).to_pandas()
    return values
