"""The tables of the ledger, and the migrations of older versions.

All names begin with `qanat_`, so that the tables may stand in a database with others. Every row
has a `scope`, so that projects and environments may share the tables.
"""

from __future__ import annotations

_NEWEST = """e.scope = {0}.scope AND e.flow = {0}.flow AND e.generation = {0}.generation
                AND e.status = 'committed' AND e.number = (
                    SELECT max(number) FROM qanat_epochs n
                    WHERE n.scope = {0}.scope AND n.flow = {0}.flow
                        AND n.generation = {0}.generation AND n.status = 'committed'
                )"""
"""Of the epochs `e`: the newest of a flow in a generation."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE qanat_leases (
            scope TEXT PRIMARY KEY,
            token BIGINT NOT NULL,
            holder TEXT,
            since DOUBLE PRECISION NOT NULL,
            expires DOUBLE PRECISION NOT NULL,
            host TEXT NOT NULL,
            pid BIGINT NOT NULL,
            machine TEXT NOT NULL,
            process_started BIGINT NOT NULL
        )""",
        """CREATE TABLE qanat_updates (
            scope TEXT NOT NULL,
            id TEXT NOT NULL,
            environment TEXT NOT NULL,
            command TEXT NOT NULL,
            started DOUBLE PRECISION NOT NULL,
            ended DOUBLE PRECISION,
            status TEXT NOT NULL,
            error TEXT,
            PRIMARY KEY (scope, id)
        )""",
        "CREATE INDEX qanat_updates_by_time ON qanat_updates (scope, started)",
        """CREATE TABLE qanat_epochs (
            scope TEXT NOT NULL,
            id BIGINT NOT NULL,
            flow TEXT NOT NULL,
            dataset TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            number BIGINT NOT NULL,
            update_id TEXT NOT NULL,
            generation BIGINT NOT NULL,
            replaces SMALLINT NOT NULL,
            ranges TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            status TEXT NOT NULL,
            started DOUBLE PRECISION NOT NULL,
            ended DOUBLE PRECISION,
            version BIGINT,
            counts TEXT,
            rules TEXT NOT NULL,
            source_schemas TEXT NOT NULL,
            bytes_written BIGINT,
            error TEXT,
            PRIMARY KEY (scope, id)
        )""",
        "CREATE INDEX qanat_epochs_by_flow ON qanat_epochs (scope, flow, status, number)",
        "CREATE INDEX qanat_epochs_by_dataset ON qanat_epochs (scope, dataset_key, id)",
        "CREATE INDEX qanat_epochs_by_update ON qanat_epochs (scope, update_id, id)",
        "CREATE INDEX qanat_epochs_open ON qanat_epochs (scope, id) WHERE status = 'intended'",
        """CREATE TABLE qanat_epoch_files (
            scope TEXT NOT NULL,
            epoch_id BIGINT NOT NULL,
            source TEXT NOT NULL,
            ordinal BIGINT NOT NULL,
            path TEXT NOT NULL,
            size BIGINT NOT NULL,
            modified_ns BIGINT NOT NULL,
            digest TEXT,
            PRIMARY KEY (scope, epoch_id, source, ordinal)
        )""",
        "CREATE INDEX qanat_epoch_files_by_path ON qanat_epoch_files (scope, path)",
        """CREATE TABLE qanat_sources (
            scope TEXT NOT NULL,
            flow TEXT NOT NULL,
            generation BIGINT NOT NULL,
            source TEXT NOT NULL,
            position TEXT,
            columns TEXT,
            PRIMARY KEY (scope, flow, generation, source)
        )""",
        """CREATE TABLE qanat_definitions (
            scope TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            dataset TEXT NOT NULL,
            kind TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            inputs TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (scope, dataset_key)
        )""",
        """CREATE TABLE qanat_generations (
            scope TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            generation BIGINT NOT NULL,
            PRIMARY KEY (scope, dataset_key)
        )""",
    ),
    (
        # Every update looks for running ones; without the index it would read all past updates.
        "CREATE INDEX qanat_updates_open ON qanat_updates (scope, id) WHERE status = 'running'",
    ),
    (
        # Facts as text, not as PostgreSQL's JSON: that refuses the character 0 in a value.
        """CREATE TABLE qanat_events (
            scope TEXT NOT NULL,
            update_id TEXT NOT NULL,
            number BIGINT NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            kind TEXT NOT NULL,
            facts TEXT NOT NULL,
            PRIMARY KEY (scope, update_id, number)
        )""",
    ),
    (
        # Leases are of datasets (as JSON; NULL: of all): a scope has several at a time, and one
        # row in `qanat_leases`, which writers lock and which counts the tokens.
        """CREATE TABLE qanat_held (
            scope TEXT NOT NULL,
            token BIGINT NOT NULL,
            holder TEXT NOT NULL,
            since DOUBLE PRECISION NOT NULL,
            expires DOUBLE PRECISION NOT NULL,
            datasets TEXT,
            host TEXT NOT NULL,
            machine TEXT NOT NULL,
            pid BIGINT NOT NULL,
            process_started BIGINT NOT NULL,
            PRIMARY KEY (scope, token)
        )""",
        """INSERT INTO qanat_held
            SELECT scope, token, holder, since, expires, NULL, host, machine, pid, process_started
            FROM qanat_leases WHERE holder IS NOT NULL""",
        "ALTER TABLE qanat_updates ADD COLUMN leaves TEXT",
    ),
    (
        # Renamings and removals that have begun, each until it has ended.
        """CREATE TABLE qanat_moves (
            scope TEXT NOT NULL,
            update_id TEXT NOT NULL,
            facts TEXT NOT NULL,
            PRIMARY KEY (scope, update_id)
        )""",
    ),
    (
        # What a flow has read, it has read into one dataset: sent into another one, it reads from
        # the start there. Until now the newest one of a generation had it all.
        """CREATE TABLE qanat_positions (
            scope TEXT NOT NULL,
            flow TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            generation BIGINT NOT NULL,
            source TEXT NOT NULL,
            position TEXT,
            columns TEXT,
            PRIMARY KEY (scope, flow, dataset_key, generation, source)
        )""",
        f"""INSERT INTO qanat_positions
            SELECT s.scope, s.flow, e.dataset_key, s.generation, s.source, s.position, s.columns
            FROM qanat_sources s JOIN qanat_epochs e ON {_NEWEST.format("s")}""",
        "DROP TABLE qanat_sources",
        # A sink went on where another one had been; a table started over. The numbers of the
        # copies are negative, so that they are none of the files of the epoch itself.
        f"""INSERT INTO qanat_epoch_files
            SELECT f.scope, e.id, f.source, -(f.epoch_id * 10000000 + f.ordinal + 1), f.path,
                f.size, f.modified_ns, f.digest
            FROM qanat_epochs b
            JOIN qanat_epochs e ON e.dataset_key <> b.dataset_key AND {_NEWEST.format("b")}
            JOIN qanat_definitions d ON d.scope = e.scope AND d.dataset_key = e.dataset_key
                AND d.kind = 'sink'
            JOIN qanat_epoch_files f ON f.scope = b.scope AND f.epoch_id = b.id
            WHERE b.status = 'committed'""",
        """CREATE INDEX qanat_epochs_by_flow_and_dataset
            ON qanat_epochs (scope, flow, dataset_key, status, number)""",
    ),
    (
        # Datasets that no update works on (`resumed` is NULL), or that were told to go on.
        """CREATE TABLE qanat_pauses (
            scope TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            dataset TEXT NOT NULL,
            since DOUBLE PRECISION NOT NULL,
            reason TEXT NOT NULL,
            resumed DOUBLE PRECISION,
            PRIMARY KEY (scope, dataset_key)
        )""",
    ),
    (
        # What is known of rows without another look at them. The columns of an epoch stay with it
        # until it is settled; then it is added to what its update has brought, as JSON in `facts`.
        "ALTER TABLE qanat_epochs ADD COLUMN columns TEXT",
        """CREATE TABLE qanat_metrics (
            scope TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            flow TEXT NOT NULL,
            update_id TEXT NOT NULL,
            started DOUBLE PRECISION NOT NULL,
            ended DOUBLE PRECISION NOT NULL,
            dataset TEXT NOT NULL,
            generation BIGINT NOT NULL,
            volume BIGINT NOT NULL,
            facts TEXT NOT NULL,
            PRIMARY KEY (scope, dataset_key, flow, update_id)
        )""",
        "CREATE INDEX qanat_metrics_by_time ON qanat_metrics (scope, ended)",
        # How many metrics a flow has, and when it is to bring something again.
        """CREATE TABLE qanat_watched (
            scope TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            flow TEXT NOT NULL,
            dataset TEXT NOT NULL,
            metrics BIGINT NOT NULL,
            due DOUBLE PRECISION,
            PRIMARY KEY (scope, dataset_key, flow)
        )""",
        """CREATE TABLE qanat_anomalies (
            scope TEXT NOT NULL,
            dataset_key TEXT NOT NULL,
            flow TEXT NOT NULL,
            metric TEXT NOT NULL,
            update_id TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL,
            dataset TEXT NOT NULL,
            facts TEXT NOT NULL,
            verdict TEXT,
            PRIMARY KEY (scope, dataset_key, flow, metric, update_id)
        )""",
    ),
    (
        """CREATE TABLE qanat_requests (
            scope TEXT NOT NULL,
            holder TEXT NOT NULL,
            datasets TEXT,
            expires DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (scope, holder)
        )""",
    ),
    (
        # What started an update; NULL: a person.
        "ALTER TABLE qanat_updates ADD COLUMN origin TEXT",
    ),
    (
        # Updates of which an observer may not have got all events: up to which it has, and which
        # process delivers them, until when.
        """CREATE TABLE qanat_outbox (
            scope TEXT NOT NULL,
            observer TEXT NOT NULL,
            update_id TEXT NOT NULL,
            number BIGINT NOT NULL,
            since DOUBLE PRECISION NOT NULL,
            claimed DOUBLE PRECISION NOT NULL,
            host TEXT NOT NULL,
            machine TEXT NOT NULL,
            pid BIGINT NOT NULL,
            process_started BIGINT NOT NULL,
            PRIMARY KEY (scope, observer, update_id)
        )""",
    ),
    (
        # How long a continuous update lasted: its rows are compared by the hour. 0 until it ends.
        "ALTER TABLE qanat_metrics ADD COLUMN lasted DOUBLE PRECISION",
    ),
    (
        # Schedulers lock the row of their scope. Of a schedule, all due times up to `due_until`
        # are recorded as runs, or left out for good.
        "CREATE TABLE qanat_serving (scope TEXT PRIMARY KEY)",
        """CREATE TABLE qanat_schedules (
            scope TEXT NOT NULL,
            schedule_key TEXT NOT NULL,
            schedule TEXT NOT NULL,
            due_until DOUBLE PRECISION NOT NULL,
            paused DOUBLE PRECISION,
            reason TEXT NOT NULL,
            typical DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (scope, schedule_key)
        )""",
        # Who claims a run, or carries it out, has it until `expires`; the token grows with claims.
        """CREATE TABLE qanat_runs (
            scope TEXT NOT NULL,
            schedule_key TEXT NOT NULL,
            due DOUBLE PRECISION NOT NULL,
            schedule TEXT NOT NULL,
            state TEXT NOT NULL,
            attempt BIGINT NOT NULL,
            token BIGINT NOT NULL,
            not_before DOUBLE PRECISION NOT NULL,
            started DOUBLE PRECISION,
            ended DOUBLE PRECISION,
            error TEXT,
            update_id TEXT,
            alerted DOUBLE PRECISION,
            expires DOUBLE PRECISION NOT NULL,
            host TEXT NOT NULL,
            machine TEXT NOT NULL,
            pid BIGINT NOT NULL,
            process_started BIGINT NOT NULL,
            PRIMARY KEY (scope, schedule_key, due)
        )""",
        "CREATE INDEX qanat_runs_by_time ON qanat_runs (scope, due)",
        """CREATE INDEX qanat_runs_open ON qanat_runs (scope, due)
            WHERE state IN ('waiting', 'starting', 'running')""",
    ),
)
"""The statements from each version of the tables to the next. Append only: never change one."""

VERSION = len(MIGRATIONS)

VERSION_TABLE = "CREATE TABLE IF NOT EXISTS qanat_ledger (version BIGINT NOT NULL)"
