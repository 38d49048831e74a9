import pytest
from tests.types.conftest import *
from tests.types.matrix import cells
C={}
@pytest.mark.parametrize("d", list(ARRIVALS))
@pytest.mark.parametrize("o", list(ORIGINS))
def test_try(o,d,tmp_path,postgres_server,database):
    if o not in C: C[o]=ORIGINS[o](tmp_path,postgres_server,database)
    origin=C[o]
    arrival=ARRIVALS[d](tmp_path,postgres_server,database)
    for case,cell in cells(origin,arrival): print(f"{case.label:40} {str(cell)[:150]}")
