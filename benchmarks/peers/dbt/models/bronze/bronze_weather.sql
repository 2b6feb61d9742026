{{ read_new_files('data/weather.csv') }}
