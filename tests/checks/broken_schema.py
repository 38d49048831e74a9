"""A module that fails when it is imported: Pandera refuses the pattern."""

import pandera.pandas as pa

flights = pa.DataFrameSchema({"tailnum": pa.Column(str, pa.Check.str_matches("("))})
