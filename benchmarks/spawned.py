"""Run a command from a small process and write what it took: ``python -IS spawned.py ANSWER COMMAND...``.

A new process counts the memory of the one that started it into its own peak, so that has to be small.
"""

import os
import sys
import time

begun = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as answer:
    wall, cpu = time.perf_counter() - begun, used.ru_utime + used.ru_stime
    answer.write(f"{os.waitstatus_to_exitcode(status)} {wall} {cpu} {used.ru_maxrss / 1024}")
