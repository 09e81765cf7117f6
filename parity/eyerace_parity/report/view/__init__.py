"""What every report shows, as plain data made from the record."""
