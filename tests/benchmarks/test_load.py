import subprocess
import sys
import time

from benchmarks.load import clocks, foreign

BUSY = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"


def test_ones_own_work_and_childrens_do_not_count_as_foreign_and_others_do():
    before = clocks()
    subprocess.run([sys.executable, "-c", BUSY.format(seconds=0.5)], check=True)
    after = clocks()
    assert after.own - before.own >= 0.5
    other = subprocess.Popen([sys.executable, "-c", BUSY.format(seconds=30)])
    try:
        since = clocks()
        time.sleep(1.0)
        assert (foreign(since).value or 0) > 0.1
    finally:
        other.kill()
        other.wait()
