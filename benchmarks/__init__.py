"""How fast it is, against the seed's design and against what the machine must do at least: make bench"""
