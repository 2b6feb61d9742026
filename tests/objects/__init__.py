"""The crash test of tables in object stores: a fault at each request that an update makes.

Read `trial` first: it tries one case. A `Client` is a command of Qanat in a process group of its
own; a `Proxy` stands between it and a real S3 server, counts its requests, and lets a fault of
`faults` meet one of them. `site` has the server, the bucket and the folder of one worker, which
are restored for every case from the images of `projects`. `judge` reads what is left without
Qanat. `run` tries all cases, or a drawn part.
"""
