def write(page, rounds, seed, destinations): pass
