{{ read_new_files('data/flights/*.csv') }}
