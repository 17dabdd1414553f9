"""Networks from elsewhere: one folder per format; each returns an `Imported`."""
