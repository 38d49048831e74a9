"""Tables of Parquet files under a log of versions: what Delta tables and Parquet datasets share."""
