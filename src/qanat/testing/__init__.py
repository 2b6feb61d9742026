"""Real services for tests, each started for one test run; nothing of Qanat imports this.

`postgresql` is a database server, `kafka` a broker, and `apicurio` a schema registry (`java` finds
what runs both). `object_store`
(moto, by `moto_server`), `ministack` and `seaweedfs` are S3 servers, `azurite` is Azure's storage
and `gcs` Google's; `server` runs them, `proxy` stands before one and changes requests, `relay`
before any and cuts the network. `reading` has what a connector needs to be tried without a
project.
"""
