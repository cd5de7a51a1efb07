-- Who brought each consumer to a gateway: written with its first paid request there and never changed. A curator of 32 zero
-- bytes says that nobody did. The SQLite file of the same name differs only in the type of bytes.
CREATE TABLE referrals (
    gateway  BYTEA NOT NULL,
    consumer BYTEA NOT NULL,
    curator  BYTEA NOT NULL,
    bound_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, consumer)
);

-- What each curator brought to a container lately.
CREATE INDEX lines_by_container ON lines (gateway, container, epoch);
