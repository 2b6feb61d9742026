select carrier, name as airline
from read_csv('data/airlines.csv', header = true)
