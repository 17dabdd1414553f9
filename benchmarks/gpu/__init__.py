"""What generated CUDA modules are worth against PyTorch: `python -m benchmarks.gpu --help`.

`cases.py` says what is measured and what is wanted; `jobs.py` measures one case in a process of its
own: `engines.py` makes what runs, `device.py` is the device and its clock, `race.py` lets them take
turns. `report.py` and `plot.py` show what was found, and what was not measured yet.
"""
