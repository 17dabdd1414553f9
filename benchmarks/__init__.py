"""What cnndsl's generated modules are worth against other runtimes: `python -m benchmarks --help`.

`measure.py` says what is measured and starts a process for each piece; `jobs.py` and `as_a_user.py`
run there. `results.py` keeps what was found, `report.py` and `plot.py` show it.
"""
